# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""to_edge for the methods of a program: import, decompose, functionalize, verify."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import (
    InputKind,
    OutputKind,
    OutputSpec,
    TensorArgument,
)

from rushlight.dialect.decompose import Decomposer, core_aten_table
from rushlight.dialect.functionalize import functionalize
from rushlight.dialect.quantization import is_quantization
from rushlight.dialect.state import mark_state
from rushlight.dialect.verifier import make_program
from rushlight.export.importer import import_program
from rushlight.obstacles import CompileError, Obstacle
from rushlight.passes.base import graph_modules, refresh_outputs, run_passes
from rushlight.passes.decompose_composites import COMPOSITES
from rushlight.passes.pipeline import edge_passes
from rushlight.passes.remove_unread_state import remove_unread_state

_CHANGED = {
    InputKind.BUFFER: OutputKind.BUFFER_MUTATION,
    InputKind.CONSTANT_TENSOR: OutputKind.BUFFER_MUTATION,
    InputKind.PARAMETER: OutputKind.PARAMETER_MUTATION,
    InputKind.USER_INPUT: OutputKind.USER_INPUT_MUTATION,
}


def to_edge_program(
    program: ExportedProgram,
    *,
    preserve: frozenset = frozenset(),
    keep: Callable[[fx.Node], bool] = lambda node: False,
) -> ExportedProgram:
    """The edge dialect form of one exported program: both steps below."""
    edge = functional_program(program, preserve=preserve, keep=keep)
    finish_edge_programs({"forward": edge})
    return edge


def functional_program(
    program: ExportedProgram,
    *,
    preserve: frozenset = frozenset(),
    keep: Callable[[fx.Node], bool] = lambda node: False,
) -> ExportedProgram:
    """An exported program, which stays as it is, in small operators without mutation.  Operators in
    `preserve`, and nodes that `keep` accepts, are not decomposed."""
    imported = import_program(program)
    module, signature = imported.module, imported.signature
    whole = COMPOSITES | preserve
    decomposer = Decomposer(
        core_aten_table(without=whole),
        lambda node: node.target in whole or is_quantization(node.target) or keep(node),
    )
    for m in graph_modules(module):
        decomposer.run(m.graph)
    for m in graph_modules(module):
        if m is not module and functionalize(m.graph):
            raise CompileError([Obstacle("a branch or loop body writes to a tensor from outside")])
    final = functionalize(module.graph)
    _add_mutation_outputs(module, signature, final)
    refresh_outputs(module.graph, signature)
    for m in graph_modules(module):
        m.graph.eliminate_dead_code()
        m.recompile()
    constants = {**program.constants, **imported.constants}
    edge = make_program(program, module, signature, constants=constants)
    edge.graph_module.meta["edge"] = True
    return edge


def finish_edge_programs(programs: Mapping[str, ExportedProgram]) -> None:
    """The passes over all methods of a program, in place."""
    mark_state(programs)
    for edge in programs.values():
        run_passes(edge, edge_passes())
        _number_nodes(edge)
        edge.validate()
    remove_unread_state(programs.values())


def _add_mutation_outputs(module: fx.GraphModule, signature, final: dict[fx.Node, fx.Node]) -> None:
    """The final values of inputs that were written to become outputs, in front of the others."""
    if not final:
        return
    by_name = {s.arg.name: s for s in signature.input_specs if hasattr(s.arg, "name")}
    specs, nodes = [], []
    for placeholder, node in final.items():
        spec = by_name[placeholder.name]
        if spec.kind == InputKind.CONSTANT_TENSOR:  # written to: it is state
            spec.kind, spec.persistent = InputKind.BUFFER, False
        target = placeholder.name if spec.kind == InputKind.USER_INPUT else spec.target
        specs.append(OutputSpec(_CHANGED[spec.kind], TensorArgument(node.name), target))
        nodes.append(node)
    output = module.graph.output_node()
    output.args = ((*nodes, *output.args[0]),)
    signature.output_specs = [*specs, *signature.output_specs]


def _number_nodes(program: ExportedProgram) -> None:
    """Debug handles: what a profiler's events and a device's errors are matched by."""
    counter = itertools.count(1)
    for module in graph_modules(program.graph_module):
        for node in module.graph.nodes:
            if node.op == "call_function":
                node.meta["debug_handle"] = next(counter)


def is_edge(program: ExportedProgram) -> bool:
    return bool(program.graph_module.meta.get("edge"))


def operators_of(program: ExportedProgram) -> set:
    return {
        n.target
        for m in graph_modules(program.graph_module)
        for n in m.graph.nodes
        if isinstance(n.target, torch._ops.OpOverload)
    }
