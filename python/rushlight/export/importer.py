# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""From an ExportedProgram as torch.export gives it to one that the compiler works on.

What is mended here: wrapper regions that change nothing (set_grad_enabled, a disabled autocast) are
opened; assertions are dropped; tensors that tracing lifted as constants although they are a buffer of
the module become that buffer again (Transformers' non-strict exports); weights that are made of several
tensors (torchao's quantized ones) become these.  Weights are shared with the program given, graphs are not.
"""

from __future__ import annotations

import copy
import operator
import re
from dataclasses import dataclass

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import (
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    TensorArgument,
)
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from rushlight.obstacles import cannot

aten = torch.ops.aten

_ASSERTIONS = {
    aten._assert_tensor_metadata.default,
    aten._assert_async.msg,
    aten._assert_scalar.default,
    aten.sym_constrain_range.default,
    aten.sym_constrain_range_for_size.default,
}
_OPENED = {
    torch.ops.higher_order.wrap_with_set_grad_enabled: 1,  # position of the submodule
    torch.ops.higher_order.wrap_with_autocast: 4,
}


@dataclass
class Imported:
    """A copy of a program's graph, ready for decomposition, the signature that goes with it, and the
    tensors that the program itself does not name."""

    module: fx.GraphModule
    signature: ExportGraphSignature
    constants: dict[str, torch.Tensor]


def import_program(program: ExportedProgram) -> Imported:
    module = copy_graph_module(program.graph_module)
    signature = copy.deepcopy(program.graph_signature)
    _open_wrappers(module)
    _drop_assertions(module)
    signature.input_specs = _merge_aliased_constants(program, module, signature)
    constants = _open_weights(program, module, signature)
    module.graph.eliminate_dead_code()
    return Imported(module, signature, constants)


def copy_graph_module(module: fx.GraphModule) -> fx.GraphModule:
    """A GraphModule with a graph of its own, submodules included; tensors are shared.  Meta data is
    copied one level deep: values are never changed, entries are."""
    children = {
        name: copy_graph_module(child) if isinstance(child, fx.GraphModule) else child
        for name, child in module.named_children()
    }
    attributes = {
        n.target: getattr(module, n.target)
        for n in module.graph.nodes
        if n.op == "get_attr" and "." not in n.target and n.target not in children
    }
    graph = fx.Graph()
    mapping: dict[fx.Node, fx.Node] = {}
    output = graph.graph_copy(module.graph, mapping)
    old_output = module.graph.output_node()
    graph.output(output)
    graph.output_node().meta = dict(old_output.meta)
    for old, new in mapping.items():
        new.name = old.name  # fx would give another to what is called as a function of Python's: input
        new.meta = dict(old.meta)
    result = fx.GraphModule({**attributes, **children}, graph)
    result.meta = dict(module.meta)
    return result


def _open_wrappers(module: fx.GraphModule) -> None:
    for node in list(module.graph.nodes):
        position = _OPENED.get(node.target)
        if position is None:
            continue
        if node.target is torch.ops.higher_order.wrap_with_autocast and node.args[2]:
            raise cannot(
                node,
                "autocast is enabled inside the model",
                "call the model outside torch.autocast, or convert it with model.to(dtype)",
            )
        body = getattr(module, node.args[position].target)
        _open_wrappers(body)
        _inline(module.graph, node, body.graph, node.args[position + 1 :])
    module.graph.eliminate_dead_code()


def _inline(graph: fx.Graph, node: fx.Node, body: fx.Graph, arguments) -> None:
    placeholders = [n for n in body.nodes if n.op == "placeholder"]
    mapping = dict(zip(placeholders, arguments, strict=True))
    with graph.inserting_before(node):
        for inner in body.nodes:
            if inner.op == "placeholder":
                continue
            if inner.op == "output":
                results = fx.map_arg(inner.args[0], lambda n: mapping[n])
                break
            mapping[inner] = graph.node_copy(inner, lambda n: mapping[n])
            mapping[inner].meta = dict(inner.meta)
    for user in list(node.users):
        if user.target is not operator.getitem:
            raise cannot(user, f"unexpected use of the results of {node.target}")
        user.replace_all_uses_with(results[user.args[1]])
        graph.erase_node(user)
    graph.erase_node(node)


def _drop_assertions(module: fx.GraphModule) -> None:
    for inner in module.modules():
        if not isinstance(inner, fx.GraphModule):
            continue
        for node in reversed(list(inner.graph.nodes)):
            if node.target in _ASSERTIONS:
                inner.graph.erase_node(node)


def _merge_aliased_constants(
    program: ExportedProgram, module: fx.GraphModule, signature: ExportGraphSignature
) -> list[InputSpec]:
    """Non-strict tracing lifts `cache.keys` as a constant although the module registered the same
    tensor as a buffer.  Uses of such a constant become uses of the buffer."""
    by_name = {n.name: n for n in module.graph.nodes if n.op == "placeholder"}
    owners = {}
    for spec in signature.input_specs:
        if spec.kind in (InputKind.PARAMETER, InputKind.BUFFER):
            owners[_identity(tensor_of(program, spec))] = spec
    kept = []
    for spec in signature.input_specs:
        owner = None
        if spec.kind == InputKind.CONSTANT_TENSOR:
            owner = owners.get(_identity(tensor_of(program, spec)))
        if owner is None:
            kept.append(spec)
            continue
        constant, buffer = by_name[spec.arg.name], by_name[owner.arg.name]
        constant.replace_all_uses_with(buffer)
        module.graph.erase_node(constant)
    return kept


_PART = torch.ops.export.access_subclass_inner_tensor.default
_HELD = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)


def _open_weights(
    program: ExportedProgram, module: fx.GraphModule, signature: ExportGraphSignature
) -> dict[str, torch.Tensor]:
    """Weights that are subclasses of Tensor become the tensors they are made of, each a constant that goes
    by the weight's name, with what follows a colon."""
    constants: dict[str, torch.Tensor] = {}
    kept: list[InputSpec] = []
    by_name = {n.name: n for n in module.graph.nodes if n.op == "placeholder"}
    for spec in signature.input_specs:
        tensor = tensor_of(program, spec) if spec.kind in _HELD else None
        if not is_traceable_wrapper_subclass(tensor):
            kept.append(spec)
            continue
        weight = by_name[spec.arg.name]
        for name, part, reads in list(_parts_of([weight], tensor, spec.target)):
            with module.graph.inserting_before(weight):
                new = module.graph.placeholder("c_" + re.sub(r"\W", "_", name))
            new.meta = dict(reads[0].meta)
            for read in reads:
                read.replace_all_uses_with(new)
            kept.append(InputSpec(InputKind.CONSTANT_TENSOR, TensorArgument(new.name), name))
            constants[name] = part.detach()
        module.graph.eliminate_dead_code()
        module.graph.erase_node(weight)
    signature.input_specs = kept
    return constants


def _parts_of(nodes: list[fx.Node], tensor: torch.Tensor, name: str):
    """(name, tensor, the nodes that read it) of what is read of a weight."""
    reads: dict[str, list[fx.Node]] = {}
    for user in (u for node in nodes for u in node.users):
        if user.target is not _PART:
            raise cannot(
                user,
                f"{name} is a {type(tensor).__name__}, which {user.target} takes as a whole",
                "quantize to another format, whose weights torch.export takes apart, or leave this module out",
            )
        reads.setdefault(user.args[1], []).append(user)
    for attribute, users in reads.items():
        part, own = getattr(tensor, attribute), f"{name}:{attribute}"
        if is_traceable_wrapper_subclass(part):
            yield from _parts_of(users, part, own)
        else:
            yield own, part, users


def _identity(tensor: torch.Tensor):
    if is_traceable_wrapper_subclass(tensor):
        return id(tensor)  # it has no memory of its own
    return (
        tensor.untyped_storage().data_ptr(),
        tensor.storage_offset(),
        tuple(tensor.shape),
        tuple(tensor.stride()),
        tensor.dtype,
    )


def tensor_of(program: ExportedProgram, spec: InputSpec) -> torch.Tensor:
    """The tensor that an input stands for.  Requires: a parameter, a buffer or a constant."""
    if spec.target in program.constants:
        return program.constants[spec.target]
    return program.state_dict[spec.target]


def mutated_names(signature: ExportGraphSignature) -> set[str]:
    """Targets of the buffers that a program changes."""
    return {s.target for s in signature.output_specs if s.kind == OutputKind.BUFFER_MUTATION}
