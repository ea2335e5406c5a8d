# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Replaces what a partitioner marked by delegate calls."""

from __future__ import annotations

import operator

import torch
from torch import fx
from torch.export import ExportedProgram, ModuleCallEntry, ModuleCallSignature
from torch.export.graph_signature import (
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    OutputSpec,
    TensorArgument,
)
from torch.utils import _pytree as pytree

from rushlight.delegates.backend import BackendDetails, LoweredBackendModule, call_delegate
from rushlight.delegates.partitioner import DelegationSpec, Partitioner
from rushlight.dialect.symbolic import UnboundedError
from rushlight.dialect.verifier import EdgeVerifier
from rushlight.export.importer import mutated_names, tensor_of
from rushlight.obstacles import unbounded
from rushlight.passes.base import input_specs, refresh_outputs


class PartitionError(Exception):
    """A partitioner asked for what cannot be done."""


def lower_to_backend(program: ExportedProgram, partitioner: Partitioner) -> ExportedProgram:
    """The program with every partition compiled and in its place."""
    result = partitioner.partition(program)
    program = result.tagged_exported_program
    for tag, spec in result.partition_tags.items():
        _lower(program, tag, spec)
    for node in program.graph.nodes:
        node.meta.pop("delegation_tag", None)
    _drop_unused_constants(program)
    program.graph_module.recompile()
    refresh_outputs(program.graph, program.graph_signature)
    program.validate()
    return program


def _backend(name: str) -> type[BackendDetails]:
    stack = [BackendDetails]
    while stack:
        cls = stack.pop()
        if cls.__name__ == name and cls is not BackendDetails:
            return cls
        stack.extend(cls.__subclasses__())
    raise PartitionError(f"no backend named {name!r}: import the module that defines it")


def _lower(program: ExportedProgram, tag: str, spec: DelegationSpec) -> None:
    graph = program.graph
    nodes = [n for n in graph.nodes if n.op == "call_function" and n.meta.get("delegation_tag") == tag]
    if not nodes:
        return
    inside = set(nodes)
    _check_convex(graph, inside, tag)
    took_state = _give_state(program, tag, inside)
    outputs = [n for n in nodes if any(u not in inside for u in n.users)]
    # A part of a tuple belongs to the partition with its whole.
    for n in list(outputs):
        if isinstance(n.meta["val"], (tuple, list)):
            raise PartitionError(f"partition {tag}: {n} is used outside as a tuple; mark its parts too")
    part, inputs = _extract(program, nodes, outputs, tag)
    backend = _backend(spec.backend_id)
    try:
        done = backend.preprocess(part, list(spec.compile_specs))
    except (NotImplementedError, UnboundedError) as error:
        if not took_state:
            return  # they stay operators
        if isinstance(error, UnboundedError):
            raise unbounded(nodes[0], error) from error
        raise
    lowered = LoweredBackendModule(
        spec.backend_id, done.processed_bytes, list(spec.compile_specs), part, done.named_data,
        done.debug_handle_map, done.weights,
    )  # fmt: skip
    name = _free_name(program.graph_module, "lowered_module")
    program.graph_module.add_module(name, lowered)
    _move_users_behind(graph, inside, nodes[-1])
    with graph.inserting_before(nodes[-1]):
        module = graph.get_attr(name)
        call = graph.call_function(call_delegate, (module, *inputs))
        call.meta.update(nodes[-1].meta)
        call.meta["val"] = tuple(o.meta["val"] for o in outputs)
        call.meta["debug_handle"] = tuple(n.meta.get("debug_handle", -1) for n in nodes)
        parts = []
        for i, o in enumerate(outputs):
            part_node = graph.call_function(operator.getitem, (call, i))
            part_node.meta = dict(o.meta)
            part_node.meta.pop("delegation_tag", None)
            parts.append(part_node)
    for o, part_node in zip(outputs, parts, strict=True):
        o.replace_all_uses_with(part_node, delete_user_cb=lambda u: u not in inside)
    for n in reversed(nodes):
        graph.erase_node(n)


def _give_state(program: ExportedProgram, tag: str, inside: set[fx.Node]) -> bool:
    """Buffers that the delegate takes and that it alone writes become its own state: they are no outputs
    of the method any more.  Whether there are any."""
    specs = input_specs(program)
    taken = {s.target for n, s in specs.items() if n.meta.get("delegation_tag") == tag}
    output = program.graph.output_node()
    kept = [
        (spec, node)
        for spec, node in zip(program.graph_signature.output_specs, output.args[0], strict=True)
        if spec.kind != OutputKind.BUFFER_MUTATION or spec.target not in taken or node not in inside
    ]
    given = len(kept) < len(program.graph_signature.output_specs)
    program.graph_signature.output_specs = [spec for spec, _ in kept]
    output.args = (tuple(node for _, node in kept),)
    return given


def _move_users_behind(graph: fx.Graph, inside: set[fx.Node], last: fx.Node) -> None:
    """Moves what depends on the partition, and stands before its last node, behind that node.  That
    nothing of it feeds the partition is what convexity means."""
    moving: list[fx.Node] = []
    tainted = set(inside)
    for node in graph.nodes:
        if node is last:
            break
        if node not in inside and any(i in tainted for i in node.all_input_nodes):
            tainted.add(node)
            moving.append(node)
    anchor = last
    for node in moving:
        anchor.append(node)
        anchor = node


def _check_convex(graph: fx.Graph, inside: set[fx.Node], tag: str) -> None:
    """No path may leave the partition and come back."""
    tainted: set[fx.Node] = set()
    for node in graph.nodes:
        sources = node.all_input_nodes
        if node in inside:
            back = [s for s in sources if s in tainted]
            if back:
                raise PartitionError(
                    f"partition {tag}: {node} depends on {back[0]}, which is outside and depends on the "
                    "partition; give the two sides different tags"
                )
        elif any(s in inside or s in tainted for s in sources):
            tainted.add(node)


def _extract(program: ExportedProgram, nodes, outputs, tag: str) -> tuple[ExportedProgram, list[fx.Node]]:
    """The partition as a program of its own, and the nodes that feed it."""
    specs = input_specs(program)
    graph = fx.Graph()
    mapping: dict[fx.Node, fx.Node] = {}
    in_specs: list[InputSpec] = []
    state: dict[str, torch.Tensor] = {}
    constants: dict[str, torch.Tensor] = {}
    inside = set(nodes)
    external: list[fx.Node] = []
    for n in nodes:
        for source in n.all_input_nodes:
            if source not in inside and source not in external:
                external.append(source)
    owned = [n for n in external if n in specs and n.meta.get("delegation_tag") == tag]
    inputs = [n for n in external if n not in owned]
    for source in (*owned, *inputs):
        new = graph.placeholder(source.name)
        new.meta = dict(source.meta)
        mapping[source] = new
        if source in owned:
            spec = specs[source]
            tensor = tensor_of(program, spec)
            kind = InputKind.CONSTANT_TENSOR
            if spec.target in program.state_dict:
                kind = spec.kind
                state[spec.target] = tensor
            else:
                constants[spec.target] = tensor
            persistent = True if kind == InputKind.BUFFER else None
            in_specs.append(InputSpec(kind, TensorArgument(new.name), spec.target, persistent))
        else:
            in_specs.append(InputSpec(InputKind.USER_INPUT, _argument(new), None))
    for n in nodes:
        mapping[n] = graph.node_copy(n, lambda x: mapping[x])
        mapping[n].meta = dict(n.meta)
    graph.output(tuple(mapping[o] for o in outputs))
    out_specs = [OutputSpec(OutputKind.USER_OUTPUT, _argument(mapping[o]), None) for o in outputs]
    leaves = lambda count: pytree.tree_structure(tuple(range(count)))  # noqa: E731
    in_spec = pytree.tree_structure((tuple(range(len(inputs))), {}))
    call = ModuleCallSignature(inputs=[], outputs=[], in_spec=in_spec, out_spec=leaves(len(outputs)))
    part = ExportedProgram(
        root=fx.GraphModule(program.graph_module, graph),
        graph=graph,
        graph_signature=ExportGraphSignature(in_specs, out_specs),
        state_dict=state,
        range_constraints=program.range_constraints,
        module_call_graph=[ModuleCallEntry("", call)],
        constants=constants,
        verifiers=[EdgeVerifier],
    )
    return part, inputs


def _argument(node: fx.Node):
    from torch.export.graph_signature import SymIntArgument

    if isinstance(node.meta["val"], torch.Tensor):
        return TensorArgument(node.name)
    return SymIntArgument(node.name)


def _free_name(module: torch.nn.Module, prefix: str) -> str:
    i = 0
    while hasattr(module, f"{prefix}_{i}"):
        i += 1
    return f"{prefix}_{i}"


def _drop_unused_constants(program: ExportedProgram) -> None:
    """Inputs that only delegates needed leave the method."""
    kept = []
    written = mutated_names(program.graph_signature)
    for node, spec in list(input_specs(program).items()):
        removable = spec.kind in (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)
        if removable and not node.users and spec.target not in written:
            program.graph.erase_node(node)
        else:
            kept.append(spec)
    program.graph_signature.input_specs = kept
