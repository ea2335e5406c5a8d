# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Removes operators that return their input."""

from __future__ import annotations

import operator

import torch
from torch import fx

from rushlight.dialect.symbolic import expr_of
from rushlight.passes.base import GraphPass

aten = torch.ops.aten


def _same_layout(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors have the same dtype and sizes, and lie in memory in the same order."""
    if a.dtype != b.dtype or a.dim() != b.dim():
        return False
    if any(expr_of(x) != expr_of(y) for x, y in zip(a.shape, b.shape, strict=True)):
        return False
    return all(
        expr_of(x) == expr_of(y)
        for size, x, y in zip(a.shape, a.stride(), b.stride(), strict=True)
        if not (isinstance(size, int) and size == 1)
    )


# Operators that only change what _same_layout compares: where nothing changes, they do nothing.
_RESHAPES = {
    aten._to_copy.default,
    aten.alias.default,
    aten.clone.default,
    aten.detach.default,
    aten.expand.default,
    aten.lift_fresh_copy.default,
    aten.repeat.default,
    aten.squeeze.default,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.view.default,
    aten._unsafe_view.default,
}


def _is_number(x, value) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, bool) and x == value


def _input_if_no_op(node: fx.Node) -> fx.Node | None:
    """The node that this one equals, if any."""
    target, args = node.target, node.args
    source = args[0] if args and isinstance(args[0], fx.Node) else None
    if source is None:
        if target is aten.cat.default and len(args[0]) == 1:
            return args[0][0]
        return None
    before, after = source.meta.get("val"), node.meta.get("val")
    if not isinstance(before, torch.Tensor) or not isinstance(after, torch.Tensor):
        return None
    if target in _RESHAPES:
        same = _same_layout(before, after)
    elif target is aten.permute.default:
        same = list(args[1]) == list(range(before.dim()))
    elif target is aten.slice.Tensor:
        step = args[4] if len(args) > 4 else 1
        same = step == 1 and _same_layout(before, after)
    elif target in (aten.mul.Tensor, aten.mul.Scalar, aten.div.Tensor, aten.div.Scalar):
        same = _is_number(args[1], 1) and _same_layout(before, after)
    elif target in (aten.add.Tensor, aten.add.Scalar, aten.sub.Tensor, aten.sub.Scalar):
        same = _is_number(args[1], 0) and _same_layout(before, after)
    elif target is aten.pow.Tensor_Scalar:
        same = _is_number(args[1], 1) and _same_layout(before, after)
    elif target is aten.constant_pad_nd.default:
        same = all(_is_number(p, 0) for p in args[1]) and _same_layout(before, after)
    else:
        same = False
    return source if same else None


class RemoveNoOps(GraphPass):
    def call_graph(self, graph: fx.Graph) -> bool:
        modified = False
        for node in list(graph.nodes):
            if node.op != "call_function" or node.target is operator.getitem:
                continue
            same = _input_if_no_op(node)
            if same is not None:
                node.replace_all_uses_with(same)
                graph.erase_node(node)
                modified = True
        return modified
