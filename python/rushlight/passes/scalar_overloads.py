# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Operators on a tensor and a number take the overload for numbers, which has a kernel; numbers where a
tensor is needed become constants."""

from __future__ import annotations

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
            if form is not None and isinstance(node.args[1], (int, float, bool)):
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
        arguments = node.target._schema.arguments
        new = list(node.args)
        for i, (a, value) in enumerate(zip(arguments, node.args, strict=False)):
            if str(a.type) != "Tensor" or not isinstance(value, (int, float, bool)):
                continue
            dtype = {bool: torch.bool, int: torch.int64, float: torch.float32}[type(value)]
            with graph.inserting_before(node):
                new[i] = graph.call_function(aten.full.default, ([], value), {"dtype": dtype})
            with fake_mode_of(graph):
                new[i].meta["val"] = torch.full([], value, dtype=dtype)
            inherit(new[i], node)
        if new == list(node.args):
            return False
        node.args = tuple(new)
        return True
