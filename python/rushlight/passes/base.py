# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What a pass is.

    class RemoveDropout(Pass):
        def call(self, program):
            ...change program.graph_module in place...
            return modified

A pass is one file and one small class.  It keeps `meta["val"]` of every node up to date.  Users' passes may
also be plain functions of a GraphModule that return a PassResult or None, as with ExecuTorch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import (
    ConstantArgument,
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    TensorArgument,
)
from torch.fx.passes.infra.pass_base import PassResult

from rushlight.dialect.decompose import fake_mode_of
from rushlight.dialect.state import state_of
from rushlight.dialect.symbolic import has_symbols
from rushlight.export.importer import tensor_of
from rushlight.obstacles import CompileError

__all__ = ["GraphPass", "Pass", "PassError", "PassResult", "run_passes"]


class PassError(Exception):
    """A pass failed: its name, the node, the node's source line."""


class Pass:
    """Rewrites a program in place."""

    @property
    def name(self) -> str:
        return type(self).__name__

    def requires(self, program: ExportedProgram) -> None:
        """Raises where the program is not one that the pass can work on."""

    def call(self, program: ExportedProgram) -> bool:
        """Changes the program; returns whether it did."""
        raise NotImplementedError

    def ensures(self, program: ExportedProgram) -> None:
        """Raises where the pass did not achieve what it is for."""


class GraphPass(Pass):
    """A pass that looks at one graph at a time: the method's, and the bodies of its control flow."""

    def call_graph(self, graph: fx.Graph) -> bool:
        raise NotImplementedError

    def call(self, program: ExportedProgram) -> bool:
        modified = False
        for module in graph_modules(program.graph_module):
            modified |= self.call_graph(module.graph)
        return modified


class _UserPass(Pass):
    """A user's function GraphModule -> PassResult | None."""

    def __init__(self, function: Callable):
        self.function = function

    @property
    def name(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)

    def call(self, program: ExportedProgram) -> bool:
        module = program.graph_module
        result = self.function(module)
        if result is None or not result.modified:
            return result is not None and result.modified
        if result.graph_module is not module:
            result.graph_module.meta.update(module.meta)
            program._graph_module = result.graph_module
            _rename_signature(program)
        return True


def _rename_signature(program: ExportedProgram) -> None:
    """A pass that rebuilt the graph may have given other names to inputs and outputs."""
    signature = program.graph_signature
    placeholders = [n for n in program.graph.nodes if n.op == "placeholder"]
    for spec, node in zip(signature.input_specs, placeholders, strict=True):
        if not isinstance(spec.arg, ConstantArgument):
            spec.arg.name = node.name
    outputs = program.graph.output_node().args[0]
    for spec, node in zip(signature.output_specs, outputs, strict=True):
        if isinstance(node, fx.Node) and not isinstance(spec.arg, ConstantArgument):
            spec.arg.name = node.name


def run_passes(program: ExportedProgram, passes: Iterable, *, verify: bool = False) -> None:
    """Runs passes over a program, in place and in order.  Errors name the pass."""
    for p in passes:
        p = p if isinstance(p, Pass) else _UserPass(p)
        try:
            p.requires(program)
            if p.call(program):
                program.graph_module.recompile()
                refresh_outputs(program.graph, program.graph_signature)
            p.ensures(program)
            if verify:
                program.validate()
        except CompileError:
            raise
        except Exception as error:
            raise PassError(f"pass {p.name}: {error}") from error


# -------------------------------------------------------------------------------------------------
# What passes share.


def graph_modules(module: fx.GraphModule) -> Iterator[fx.GraphModule]:
    """The module and the bodies of its control flow, at any depth."""
    yield module
    for node in module.graph.nodes:
        if node.op == "get_attr" and isinstance(getattr(module, node.target, None), fx.GraphModule):
            yield from graph_modules(getattr(module, node.target))


def refresh_outputs(graph: fx.Graph, signature: ExportGraphSignature) -> None:
    """Makes the signature name the nodes that the outputs are now.  Final values of buffers get nodes of
    their own: the signature tells them apart by name."""
    output = graph.output_node()
    outputs = list(output.args[0])
    specs = signature.output_specs
    seen = set()
    for i, (spec, node) in enumerate(zip(specs, outputs, strict=True)):
        if not isinstance(node, fx.Node):
            continue
        if spec.kind not in (OutputKind.USER_OUTPUT, OutputKind.LOSS_OUTPUT):
            if node in seen or node.op == "placeholder":
                with graph.inserting_before(output):
                    alias = graph.call_function(torch.ops.aten.alias.default, (node,))
                alias.meta = dict(node.meta)
                outputs[i] = node = alias
            seen.add(node)
        if isinstance(spec.arg, ConstantArgument):
            spec.arg = TensorArgument(node.name)
        else:
            spec.arg.name = node.name
    output.args = (tuple(outputs),)


def input_specs(program: ExportedProgram) -> dict[fx.Node, InputSpec]:
    """The signature's entry of each placeholder."""
    placeholders = [n for n in program.graph.nodes if n.op == "placeholder"]
    return dict(zip(placeholders, program.graph_signature.input_specs, strict=True))


def constant_tensors(program: ExportedProgram) -> dict[fx.Node, torch.Tensor]:
    """The tensors of placeholders that never change: parameters, constants, buffers that the method
    does not write to."""
    mutated = {
        s.target
        for s in program.graph_signature.output_specs
        if s.kind in (OutputKind.BUFFER_MUTATION, OutputKind.PARAMETER_MUTATION)
    } | set(state_of(program))
    return {
        node: tensor_of(program, spec)
        for node, spec in input_specs(program).items()
        if spec.kind in (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)
        and spec.target not in mutated
    }


def add_constant(program: ExportedProgram, tensor: torch.Tensor, name: str, like: fx.Node) -> fx.Node:
    """A new constant input of the program."""
    used = set(program.constants) | set(program.state_dict)
    target, i = name, 0
    while target in used:
        i += 1
        target = f"{name}_{i}"
    program.constants[target] = tensor
    graph = program.graph
    specs = program.graph_signature.input_specs
    placeholders = [n for n in graph.nodes if n.op == "placeholder"]
    position = next(
        (i for i, s in enumerate(specs) if s.kind in (InputKind.USER_INPUT, InputKind.TOKEN)),
        len(specs),
    )
    if position < len(placeholders):
        insertion = graph.inserting_before(placeholders[position])
    elif placeholders:
        insertion = graph.inserting_after(placeholders[-1])
    else:
        insertion = graph.inserting_before(next(iter(graph.nodes)))
    with insertion:
        node = graph.placeholder("c_" + re.sub(r"\W", "_", target))
    node.meta["val"] = fake_mode_of(like.graph).from_tensor(tensor, static_shapes=True)
    specs.insert(position, InputSpec(InputKind.CONSTANT_TENSOR, TensorArgument(node.name), target))
    return node


def nbytes(value: torch.Tensor) -> int | None:
    """Bytes of a fake tensor, or None where its size is symbolic."""
    if has_symbols(value):
        return None
    return value.numel() * value.element_size()
