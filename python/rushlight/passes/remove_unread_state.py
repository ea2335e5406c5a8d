# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Removes state that is written but never read.

Transformers' cache layers count positions in buffers of their own, and set them anew from
`cache_position` in every call: nothing depends on what they held.  Only buffers that the model does
not persist go; one that is part of its state dict may be read by the application.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind

from rushlight.dialect.state import state_of
from rushlight.passes.base import input_specs, refresh_outputs


def remove_unread_state(programs: Iterable[ExportedProgram]) -> None:
    """Works on all methods of a program at once: a buffer may be written in one and read in another."""
    programs = list(programs)
    read = set()
    temporary = set()
    for program in programs:
        for node, spec in input_specs(program).items():
            if spec.kind != InputKind.BUFFER:
                continue
            name = state_of(program).get(spec.target)
            if node.users:
                read.add(name)
            if not spec.persistent:
                temporary.add(name)
    for program in programs:
        unread = {target for target, name in state_of(program).items() if name in temporary - read}
        _remove(program, unread)


def _remove(program: ExportedProgram, targets: set[str]) -> None:
    signature = program.graph_signature
    output = program.graph.output_node()
    kept = [
        (spec, node)
        for spec, node in zip(signature.output_specs, output.args[0], strict=True)
        if not (spec.kind == OutputKind.BUFFER_MUTATION and spec.target in targets)
    ]
    if len(kept) == len(signature.output_specs):
        return
    output.args = (tuple(node for _, node in kept),)
    signature.output_specs = [spec for spec, _ in kept]
    program.graph.eliminate_dead_code()
    for node, spec in input_specs(program).items():
        if spec.kind == InputKind.BUFFER and spec.target in targets:
            program.graph.erase_node(node)
    signature.input_specs = [
        s for s in signature.input_specs if not (s.kind == InputKind.BUFFER and s.target in targets)
    ]
    refresh_outputs(program.graph, signature)
    program.graph_module.recompile()
