# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Which tensors of a program are state: those that some method writes to.

One tensor is one state, under whatever names the methods know it; two tensors are two, even if they have
one name (two models in one program).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind

from rushlight.export.importer import tensor_of

_WRITTEN = (OutputKind.BUFFER_MUTATION, OutputKind.PARAMETER_MUTATION)
_LIFTED = (InputKind.BUFFER, InputKind.PARAMETER, InputKind.CONSTANT_TENSOR)


def mark_state(programs: Mapping[str, ExportedProgram]) -> None:
    """Tells each program what is state in it: state_of.  Must come before anything is folded: what a
    method only reads is no constant if another one writes to it."""
    names: dict[object, str] = {}  # identity of a tensor -> name of the state
    for method, program in programs.items():
        written = {s.target for s in program.graph_signature.output_specs if s.kind in _WRITTEN}
        for target, key in _tensors(method, program):
            if target in written and key not in names:
                names[key] = target if target not in names.values() else f"{method}.{target}"
    for method, program in programs.items():
        program.graph_module.meta["state"] = {
            target: names[key] for target, key in _tensors(method, program) if key in names
        }


def state_of(program: ExportedProgram) -> dict[str, str]:
    """The name of the state for each target in the program's signature that is one."""
    return program.graph_module.meta.get("state", {})


def _tensors(method: str, program: ExportedProgram):
    """(target, identity) of the tensors that a program holds."""
    for spec in program.graph_signature.input_specs:
        if spec.kind in _LIFTED:
            address = tensor_of(program, spec).data_ptr()
            yield spec.target, address or (method, spec.target)  # what is empty has no address
