# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Evaluates what depends on constants only, where the file does not grow by it.  Quantized weights stay
integers."""

from __future__ import annotations

import operator

import torch
from torch import fx
from torch.export import ExportedProgram

from rushlight.dialect.quantization import widens
from rushlight.passes.base import Pass, add_constant, constant_tensors, input_specs, nbytes

# A result this small is worth its bytes, whatever it replaces.
SMALL = 64 * 1024


def _evaluate(target, args, kwargs):
    if target is torch.ops.aten.view.default:  # in a graph strides do not matter
        return args[0].reshape(args[1])
    return target(*args, **kwargs)


def _name(program: ExportedProgram, node: fx.Node) -> str:
    """A parameter's, and a colon, where a node is made of this alone."""
    while len(node.all_input_nodes) == 1:
        node = node.all_input_nodes[0]
    spec = input_specs(program).get(node)
    return "folded" if spec is None else f"{spec.target}:folded"


class FoldConstants(Pass):
    def __init__(self, keep=frozenset()):
        self.keep = keep  # operators that stay: what delegates want to see

    def call(self, program: ExportedProgram) -> bool:
        graph = program.graph
        values: dict[fx.Node, object] = dict(constant_tensors(program))
        constants = set(values)
        folded: list[fx.Node] = []
        with torch.no_grad():
            for node in graph.nodes:
                if self._is_foldable(node, values):
                    args, kwargs = fx.map_arg((node.args, node.kwargs), lambda n: values[n])
                    values[node] = _evaluate(node.target, args, kwargs)
                    folded.append(node)
        modified = False
        for node in folded:
            users = [u for u in node.users if u not in values]
            tensor = values[node]
            if not users or not isinstance(tensor, torch.Tensor):
                continue
            if not self._pays(node, tensor, constants):
                continue
            constant = add_constant(program, tensor.contiguous().clone(), _name(program, node), node)
            for user in users:
                user.replace_input_with(node, constant)
            modified = True
        if modified:
            graph.eliminate_dead_code()
        return modified

    def _is_foldable(self, node: fx.Node, values) -> bool:
        if node.op != "call_function" or node.target in self.keep:
            return False
        if node.target is operator.getitem:
            return node.args[0] in values
        if not isinstance(node.target, torch._ops.OpOverload):
            return False
        if torch.Tag.nondeterministic_seeded in node.target.tags or node.target._schema.is_mutable:
            return False
        if any(n not in values for n in node.all_input_nodes):
            return False
        value = node.meta["val"]
        outputs = value if isinstance(value, (tuple, list)) else [value]
        sizes = [nbytes(v) for v in outputs if isinstance(v, torch.Tensor)]
        # Intermediates are not kept, but they must be affordable.
        return all(s is not None and s <= 1 << 30 for s in sizes) and not widens(node)

    @staticmethod
    def _pays(node: fx.Node, tensor: torch.Tensor, constants: set[fx.Node]) -> bool:
        size = tensor.numel() * tensor.element_size()
        if size <= SMALL:
            return True
        # What would become free: constants that nothing else uses.
        freed, seen, stack = 0, set(), [node]
        while stack:
            n = stack.pop()
            if n in seen:
                continue
            seen.add(n)
            if n in constants:
                value = n.meta["val"]
                freed += value.numel() * value.element_size()
            stack.extend(i for i in n.all_input_nodes if len(i.users) == 1)
        return size <= freed
