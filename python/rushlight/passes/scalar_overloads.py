# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Operators on a tensor and a number take the overload for numbers, which has a kernel; numbers where a
tensor is needed become constants."""

from __future__ import annotations

import functools

import torch
from torch import fx

from rushlight.dialect.decompose import fake_mode_of, inherit
from rushlight.passes.base import GraphPass

aten = torch.ops.aten

_SCALAR_FORM = {
    getattr(aten, name).Tensor: getattr(aten, name).Scalar
    for name in (
        "add", "sub", "mul", "div", "eq", "ne", "lt", "le", "gt", "ge", "remainder", "fmod",
        "bitwise_and", "bitwise_or", "bitwise_xor",
    )
}  # fmt: skip
_SCALAR_FORM[aten.div.Tensor_mode] = aten.div.Scalar_mode
_SCALAR_FORM[aten.pow.Tensor_Tensor] = aten.pow.Tensor_Scalar
_SCALAR_FORM[aten.bitwise_left_shift.Tensor] = aten.bitwise_left_shift.Tensor_Scalar
_SCALAR_FORM[aten.bitwise_right_shift.Tensor] = aten.bitwise_right_shift.Tensor_Scalar


class ScalarOverloads(GraphPass):
    def call_graph(self, graph: fx.Graph) -> bool:
        modified = False
        for node in list(graph.nodes):
            if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
                continue
            form = _SCALAR_FORM.get(node.target)
            if form is not None and _is_number(node.args[1]) and not _is_number(node.args[0]):
                node.target = form
                if "alpha" in node.kwargs:  # a keyword in one overload, positional in the other
                    node.args = (*node.args, node.kwargs["alpha"])
                    node.kwargs = {}
                modified = True
                continue
            modified |= self._numbers_to_tensors(graph, node)
        return modified

    @staticmethod
    def _numbers_to_tensors(graph: fx.Graph, node: fx.Node) -> bool:
        """Python numbers where the schema has a tensor: PyTorch accepts them, kernels do not."""
        numbers = [
            i
            for i, (a, value) in enumerate(zip(node.target._schema.arguments, node.args, strict=False))
            if str(a.type) == "Tensor" and _is_number(value)
        ]
        if not numbers:
            return False
        tensors = [n.meta["val"] for n in node.all_input_nodes if isinstance(n.meta["val"], torch.Tensor)]
        new = list(node.args)
        for i in numbers:
            value = new[i].meta["val"] if isinstance(new[i], fx.Node) else new[i]
            dtype = _dtype_beside(tensors, value)
            with graph.inserting_before(node):
                new[i] = graph.call_function(aten.full.default, ([], new[i]), {"dtype": dtype})
            with fake_mode_of(graph):
                new[i].meta["val"] = torch.empty([], dtype=dtype)
            inherit(new[i], node)
        node.args = tuple(new)
        return True


def _is_number(x) -> bool:
    """A Python number, or a node that computes one."""
    if isinstance(x, fx.Node):
        x = x.meta.get("val")
    return isinstance(x, (int, float, bool, torch.SymInt, torch.SymFloat, torch.SymBool))


def _dtype_beside(tensors: list[torch.Tensor], number) -> torch.dtype:
    """The dtype of a number as a tensor, such that it takes part in promotion as the number did: by its
    kind only."""
    kind = {torch.SymInt: 1, torch.SymFloat: 1.0, torch.SymBool: True}.get(type(number), number)
    return (
        torch.result_type(functools.reduce(_promoted, tensors), kind) if tensors else torch.tensor(kind).dtype
    )


def _promoted(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a.new_empty([1] * max(a.dim(), b.dim()), dtype=torch.result_type(a, b))
