# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""x * cos + cat(-x2, x1) * sin, the halves of x turned, as rope."""

from __future__ import annotations

import torch
from torch import fx

from rushlight.delegates.cpu.ops import ROPE
from rushlight.delegates.cpu.patterns import Context, insert, only

aten = torch.ops.aten


def replace(node: fx.Node, context: Context) -> fx.Node | None:
    if node.target is not aten.add.Tensor or context.positions is None or not context.limit:
        return None
    for straight, turned in (node.args, reversed(node.args)):
        if not only(straight, aten.mul.Tensor) or not only(turned, aten.mul.Tensor):
            continue
        for x, cos in (straight.args, reversed(straight.args)):
            for halves, sin in (turned.args, reversed(turned.args)):
                if not isinstance(x, fx.Node) or not _turns(halves, x):
                    continue
                tables = [_table(t, x.meta["val"].shape[-1], context) for t in (cos, sin)]
                if None not in tables and x.meta["val"].dim() == 4:
                    return insert(node, ROPE, (x, context.positions.node, *tables), node.meta["val"])
    return None


def extend(node: fx.Node, context: Context) -> fx.Node | None:
    """cat(rope(x[..., :n]), x[..., n:]) is rope of x, of which the first n turn."""
    if node.target is not aten.cat.default or len(node.args[0]) != 2 or node.args[1:] not in ((-1,), (3,)):
        return None
    turned, rest = node.args[0]
    if turned.target is not ROPE or len(turned.users) != 1 or not only(rest, aten.slice.Tensor):
        return None
    part, x = turned.args[0], rest.args[0]
    size, turning = x.meta["val"].shape[-1], part.meta["val"].shape[-1]
    if part is not x and not _slice(part, x, 0, turning):
        return None
    if rest.meta["val"].shape[-1] != size - turning or not (
        _slice(rest, x, turning, size) or turning == size
    ):
        return None
    return insert(node, ROPE, (x, *turned.args[1:]), node.meta["val"])


def _turns(node, x: fx.Node) -> bool:
    """cat(-x[..., n / 2:], x[..., : n / 2])"""
    if not only(node, aten.cat.default) or len(node.args[0]) != 2 or node.args[1:] not in ((-1,), (3,)):
        return False
    minus, low = node.args[0]
    if not only(minus, aten.neg.default):
        return False
    size = x.meta["val"].shape[-1]
    return _slice(minus.args[0], x, size // 2, size) and _slice(low, x, 0, size // 2)


def _slice(node, x: fx.Node, begin: int, end: int) -> bool:
    if not only(node, aten.slice.Tensor) or node.args[0] is not x or node.args[1] not in (-1, 3):
        return False
    first = node.args[2] if len(node.args) > 2 and node.args[2] is not None else 0
    last = node.args[3] if len(node.args) > 3 and node.args[3] is not None else end
    return first == begin and (last == end or last > x.meta["val"].shape[-1] == end) and len(node.args) < 5


def _table(node, size: int, context: Context) -> fx.Node | None:
    """The first half of a table of rotations whose halves are equal."""

    def make():
        table = context.positions.table(node, context.limit)
        if table is None or table.shape[1] != size or not torch.equal(*table.chunk(2, 1)):
            return None
        return table[:, : size // 2].contiguous()

    if not context.positions.follows(node):
        return None
    return context.constant(node, make, "rotation", node)
