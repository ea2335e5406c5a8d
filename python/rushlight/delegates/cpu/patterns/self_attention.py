# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Attention of rows to each other, of both kinds, as rushlight::attention with the least mask that says the
same: none, causal, or floats that are not repeated."""

from __future__ import annotations

import torch
from torch import fx

from rushlight.delegates.cpu.patterns import Context, insert
from rushlight.delegates.cpu.patterns.attention import options_of
from rushlight.delegates.cpu.positions import seen
from rushlight.dialect.symbolic import expr_of

aten = torch.ops.aten
_SDPA = aten.scaled_dot_product_attention.default
ATTENTION = torch.ops.rushlight.attention.default


def replace(node: fx.Node, context: Context) -> fx.Node | None:
    if node.target not in (_SDPA, ATTENTION):
        return None
    options = options_of(node)
    query, key, value = node.args[:3]
    if options is None or query.meta["val"].dim() != 4:
        return None
    mask, causal, scale, softcap, sinks = options
    length, keys = (expr_of(n.meta["val"].shape[2]) for n in (query, key))
    if length != keys or query.meta["val"].dtype != torch.float32:
        return None
    if mask is not None:
        mask = _without_repetition(mask, context)
        said = _said_by_constant(mask, context) or _said_by_positions(mask, context)
        if said is not None:
            mask, causal = None, said == "causal"
        elif mask.meta["val"].dtype == torch.bool:
            mask = _as_floats(mask, context, node)
    args = (query, key, value, mask, causal, scale, softcap or None, sinks)
    return None if args == node.args else insert(node, ATTENTION, args, node.meta["val"])


def _without_repetition(mask: fx.Node, context: Context) -> fx.Node:
    """What a mask repeats: `mask & everything`, and what is expanded."""
    while True:
        if mask.target is aten.expand.default:
            mask = mask.args[0]
        elif mask.target in (aten.bitwise_and.Tensor, aten.logical_and.default):
            one, other = mask.args
            if one.meta["val"].dtype != torch.bool or other.meta["val"].dtype != torch.bool:
                return mask
            if _is_everything(one, context):
                mask = other
            elif _is_everything(other, context):
                mask = one
            else:
                return mask
        else:
            return mask


def _is_everything(node: fx.Node, context: Context) -> bool:
    """Whether a mask hides nothing: a constant, or what says that numbers counted from 0 are at least 0."""
    value = context.value(node)
    if value is not None:
        return value.dtype == torch.bool and bool(value.all())
    if node.target in (aten.bitwise_and.Tensor, aten.logical_and.default):
        return all(_is_everything(n, context) for n in node.args)
    if node.target is not aten.ge.Scalar or node.args[1] > 0:
        return False
    return _counts(node.args[0]) is not None


def _counts(node: fx.Node) -> int | None:
    """The dimension, from the end, along which a node's values are 0, 1, 2..."""
    value = node.meta["val"]
    while node.target is aten.unsqueeze.default:
        node = node.args[0]
    if node.target is not aten.arange.start_step or node.args[0] != 0 or len(node.args) > 2:
        return None
    length = expr_of(node.meta["val"].shape[0])
    places = [i - value.dim() for i, s in enumerate(value.shape) if expr_of(s) != 1]
    return places[0] if len(places) == 1 and expr_of(value.shape[places[0]]) == length else None


def _said_by_positions(mask: fx.Node, context: Context) -> str | None:
    """column <= row, both counted from 0"""
    if _is_everything(mask, context):
        return "everything"
    if mask.target in (aten.le.Tensor, aten.ge.Tensor):
        column, row = mask.args if mask.target is aten.le.Tensor else mask.args[::-1]
        return "causal" if (_counts(column), _counts(row)) == (-1, -2) else None
    return None


def _said_by_constant(mask: fx.Node, context: Context) -> str | None:
    value = context.value(mask)
    if value is None:
        return None
    left = seen(value)
    if left is None:
        return None
    if bool(left.all()):
        return "everything"
    rows, columns = value.shape[-2:] if value.dim() > 1 else (1, value.shape[-1])
    triangle = torch.ones(rows, columns, dtype=torch.bool).tril()
    return "causal" if rows == columns and bool((left == triangle).all()) else None


def _as_floats(mask: fx.Node, context: Context, node: fx.Node) -> fx.Node:
    """0 and minus infinity, made once for all layers: before `node`, the first of them."""
    value = context.value(mask)
    if value is not None:
        return context.constant(("floats", mask), lambda: torch.where(value, 0.0, -torch.inf), "mask", mask)
    if mask not in context.float_masks:
        zero, lowest = (
            context.constant(number, lambda x=number: torch.tensor(x), "score", mask)
            for number in (0.0, -torch.inf)
        )
        floats = mask.meta["val"].to(torch.float32)
        context.float_masks[mask] = insert(node, aten.where.self, (mask, zero, lowest), floats)
    return context.float_masks[mask]
