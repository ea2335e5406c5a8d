# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""x * cos + turned(x) * sin as rope, where turned(x) is cat(-x2, x1) of x's halves, or (-x1, x0) of each pair.

The tables are what cos and sin are for each position, or, where nothing is cached, constants for each row.
"""

from __future__ import annotations

import torch
from torch import fx

from rushlight.delegates.cpu.ops import ROPE
from rushlight.delegates.cpu.patterns import Context, insert, only

aten = torch.ops.aten


def replace(node: fx.Node, context: Context) -> fx.Node | None:
    if node.target is not aten.add.Tensor or node.meta["val"].dim() != 4:
        return None
    for straight, turned in (node.args, reversed(node.args)):
        if not only(straight, aten.mul.Tensor) or not only(turned, aten.mul.Tensor):
            continue
        for x, cos in (straight.args, reversed(straight.args)):
            for other, sin in (turned.args, reversed(turned.args)):
                interleaved = _turns(other, x) if isinstance(x, fx.Node) else None
                if interleaved is None:
                    continue
                size = x.meta["val"].shape[-1]
                positions = context.positions.node if context.limit else None
                tables = [_table(t, x, size, interleaved, context) for t in (cos, sin)]
                if None not in tables:
                    args = (x, positions, *tables, interleaved)
                    return insert(node, ROPE, args, node.meta["val"])
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


def _turns(node, x: fx.Node) -> bool | None:
    """Whether pairs turn, where `node` is x turned; None where it is not."""
    if _turns_halves(node, x):
        return False
    return True if _turns_pairs(node, x) else None


def _turns_halves(node, x: fx.Node) -> bool:
    """cat(-x[..., n / 2:], x[..., : n / 2])"""
    if not only(node, aten.cat.default) or len(node.args[0]) != 2 or node.args[1:] not in ((-1,), (3,)):
        return False
    minus, low = node.args[0]
    if not only(minus, aten.neg.default):
        return False
    size = x.meta["val"].shape[-1]
    return _slice(minus.args[0], x, size // 2, size) and _slice(low, x, 0, size // 2)


def _turns_pairs(node, x: fx.Node) -> bool:
    """flatten(stack(-x[..., 1::2], x[..., ::2]))"""
    if not only(node, aten.view.default) or not only(node.args[0], aten.cat.default):
        return False
    parts, *dim = node.args[0].args
    if len(parts) != 2 or dim not in ([-1], [4]) or node.meta["val"].shape[-1] != x.meta["val"].shape[-1]:
        return False
    if not all(only(p, aten.unsqueeze.default) and p.args[1] in (-1, 4) for p in parts):
        return False
    minus, even = (p.args[0] for p in parts)
    return only(minus, aten.neg.default) and _every_other(minus.args[0], x, 1) and _every_other(even, x, 0)


def _every_other(node, x: fx.Node, first: int) -> bool:
    if not only(node, aten.slice.Tensor) or len(node.args) != 5:
        return False
    source, dim, begin, end, step = node.args
    size = x.meta["val"].shape[-1]
    return source is x and dim in (-1, 3) and (begin or 0) == first and end >= size and step == 2


def _slice(node, x: fx.Node, begin: int, end: int) -> bool:
    if not only(node, aten.slice.Tensor) or node.args[0] is not x or node.args[1] not in (-1, 3):
        return False
    first = node.args[2] if len(node.args) > 2 and node.args[2] is not None else 0
    last = node.args[3] if len(node.args) > 3 and node.args[3] is not None else end
    return first == begin and (last == end or last > x.meta["val"].shape[-1] == end) and len(node.args) < 5


def _table(node, x: fx.Node, size: int, interleaved: bool, context: Context) -> fx.Node | None:
    """Half of a table of rotations: what turns together has the same angle."""

    def make():
        table = _rows(node, x, context)
        if table is None or table.shape[1] != size:
            return None
        one, other = (table[:, ::2], table[:, 1::2]) if interleaved else table.chunk(2, 1)
        return one.contiguous() if torch.equal(one, other) else None

    return context.constant((node, interleaved), make, "rotation", node)


def _rows(node, x: fx.Node, context: Context) -> torch.Tensor | None:
    """float32 [positions, size]: a factor of x [B, H, S, size]."""
    if context.limit:
        return context.positions.table(node, context.limit)
    value = context.value(node)
    length = x.meta["val"].shape[2]
    if value is None or value.dtype != torch.float32 or not isinstance(length, int):
        return None
    if value.dim() < 2 or value.shape[-2] != length or value.numel() != length * value.shape[-1]:
        return None
    return value.reshape(length, -1)
