# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""softmax(q k^T * scale + masks) v, written in matrix products, as rushlight::attention."""

from __future__ import annotations

import torch
from torch import fx

from rushlight.delegates.cpu.patterns import Context, insert, only
from rushlight.dialect.symbolic import expr_of

aten = torch.ops.aten
ATTENTION = torch.ops.rushlight.attention.default
_SEEN_OTHERWISE = (aten.view.default, aten.clone.default, aten.expand.default)


def replace(node: fx.Node, context: Context) -> fx.Node | None:
    """A view [B, H, S, D] of the second product."""
    if node.target is not aten.view.default or node.meta["val"].dim() != 4:
        return None
    if not only(node.args[0], aten.bmm.default) or node.meta["val"].dtype != torch.float32:
        return None
    weights, value = (_heads(n) for n in node.args[0].args)
    if value is None or weights is None or not only(weights, aten._softmax.default):
        return None
    scores, dim, _ = weights.args
    if dim not in (-1, 3) or scores.meta["val"].dim() != 4:
        return None
    found = _terms(scores)
    if found is None:
        return None
    product, scale, masks = found
    query, key = _heads(product.args[0]), _turned_key(product.args[1])
    if query is None or key is None:
        return None
    sizes = [[expr_of(s) for s in n.meta["val"].shape] for n in (query, key, value, node)]
    q, k, v, out = sizes
    if q[:2] != k[:2] or k[:3] != v[:3] or q[3] != k[3] or out != [*q[:3], v[3]]:
        return None
    mask = _sum(masks, node, context)
    args = (query, key, value, mask, False, scale, None, None)
    return insert(node, ATTENTION, args, node.meta["val"])


def _heads(node: fx.Node) -> fx.Node | None:
    """[B, H, ...], of which `node` is [B * H, ...]."""
    wanted = [expr_of(s) for s in node.meta["val"].shape[1:]]
    while node.target in _SEEN_OTHERWISE:
        node = node.args[0]
        value = node.meta["val"]
        sizes = [expr_of(s) for s in value.shape]
        if value.dim() == 4 and sizes[2:] == wanted and node.target not in _SEEN_OTHERWISE:
            return node
    return None


def _turned_key(node: fx.Node) -> fx.Node | None:
    """[B, H, S, D], of which `node` is [B * H, D, S]."""
    turned = node
    if turned.target is aten.permute.default and list(turned.args[1]) == [0, 2, 1]:
        return _heads(turned.args[0])
    turned = _heads(node)
    if turned is None or turned.target is not aten.permute.default:
        return None
    source, order = turned.args[0], list(turned.args[1])
    if order == [0, 1, 3, 2]:
        return source
    if order != [0, 2, 3, 1]:  # of [B, S, H, D]
        return None
    return insert(
        turned, aten.permute.default, (source, [0, 2, 1, 3]), source.meta["val"].permute(0, 2, 1, 3)
    )


def _terms(scores: fx.Node) -> tuple[fx.Node, float, list[fx.Node]] | None:
    """(product, scale, masks) of product * scale + masks."""
    masks: list[fx.Node] = []
    while only(scores, aten.add.Tensor) and not scores.kwargs:
        a, b = scores.args
        if not isinstance(b, fx.Node):
            return None
        inner, mask = (a, b) if _is_scores(a) else (b, a)
        masks.append(mask)
        scores = inner
    scale = 1.0
    while only(scores, aten.mul.Tensor, aten.div.Tensor) and isinstance(scores.args[1], (int, float)):
        factor = scores.args[1]
        scale *= factor if scores.target is aten.mul.Tensor else 1 / factor
        scores = scores.args[0]
    if not only(scores, aten.view.default) or not only(scores.args[0], aten.bmm.default):
        return None
    return scores.args[0], scale, masks


def _is_scores(node: fx.Node) -> bool:
    """Whether a product lies behind sums and factors."""
    while only(node, aten.add.Tensor, aten.mul.Tensor, aten.div.Tensor, aten.view.default):
        node = node.args[0]
    return only(node, aten.bmm.default)


def _sum(masks: list[fx.Node], node: fx.Node, context: Context) -> fx.Node | None:
    """What masks add up to, but for those that are zero; made once for all layers."""
    masks = [m for m in masks if (value := context.value(m)) is None or bool(value.any())]
    if not masks:
        return None
    total = masks[0]
    for mask in masks[1:]:
        key = (total, mask)
        if key not in context.mask_sums:
            value = total.meta["val"] + mask.meta["val"]
            context.mask_sums[key] = insert(node, aten.add.Tensor, (total, mask), value)
        total = context.mask_sums[key]
    return total
