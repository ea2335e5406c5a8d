# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Operators that the edge dialect keeps whole, taken apart for the portable kernels."""

from __future__ import annotations

import math

import torch
from torch import fx
from torch.export import ExportedProgram

from rushlight.dialect.decompose import Decomposer, core_aten_table
from rushlight.passes.base import Pass, graph_modules

aten = torch.ops.aten

# Whole in the edge dialect, so that delegates need not recognise them.
COMPOSITES = frozenset(
    {
        aten.linear.default,
        aten.scaled_dot_product_attention.default,
        aten.silu.default,
        aten.gelu.default,
        aten.rms_norm.default,
        aten.layer_norm.default,
    }
)
# Of those, what has a portable kernel.
_PORTABLE = frozenset({aten.linear.default, aten.gelu.default})


def attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, *, scale=None, enable_gqa=False):  # fmt: skip
    """scaled_dot_product_attention in matrix products.

    query [..., Hq, S, D], key and value [..., Hk, L, D].  Query heads that share a key head are
    stacked to one product, so that keys and values are never repeated.  Where the queries may be
    few (decoding), scores are computed transposed: it is they that are turned around then, not the
    cache.  Rows in which the mask leaves nothing give zero, as in PyTorch.
    """
    *batch, heads, length, width = query.shape
    key_heads, keys = key.shape[-3], key.shape[-2]
    if len(batch) > 1 or dropout_p != 0.0 or not query.dtype.is_floating_point:
        return NotImplemented
    if query.dim() < 3 or (heads != key_heads and not enable_gqa):
        return NotImplemented
    group = heads // key_heads
    n = (batch[0] if batch else 1) * key_heads
    scale = 1.0 / math.sqrt(width) if scale is None else scale
    q = (query * scale).reshape(n, group * length, width)
    k = key.reshape(n, keys, width)
    v = value.reshape(n, keys, value.shape[-1])
    few_queries = not isinstance(length, int) and isinstance(keys, int)
    if few_queries or (
        isinstance(length, int) and isinstance(keys, int) and group * length < width
    ):
        scores = torch.bmm(k, q.permute(0, 2, 1)).permute(0, 2, 1)
    else:
        scores = torch.bmm(q, k.permute(0, 2, 1))
    grouped = (*batch, key_heads, group, length, keys)
    mask = attn_mask
    if is_causal:
        rows = torch.arange(length, device=query.device).unsqueeze(1)
        mask = torch.arange(keys, device=query.device).unsqueeze(0) <= rows
    keep = None
    if mask is not None:
        if attn_mask is not None:
            rule = mask if mask.dtype == torch.bool else mask > -math.inf
            keep = rule.any(-1, keepdim=True)
        if mask.dtype == torch.bool:
            mask = torch.where(mask, 0.0, -math.inf).to(query.dtype)
        scores = scores.reshape(grouped) + _over_groups(mask, heads, key_heads)
    weights = torch.softmax(scores, -1).reshape(n, group * length, keys)
    out = torch.bmm(weights, v).reshape(*batch, heads, length, value.shape[-1])
    return out if keep is None else torch.where(keep, out, 0.0)


def _over_groups(mask, heads, key_heads):
    """A mask [..., S, L] against scores [..., Hk, G, S, L]."""
    if mask.dim() < 3:
        return mask
    if mask.shape[-3] == 1:
        return mask.unsqueeze(-3)
    return mask.reshape(*mask.shape[:-3], key_heads, heads // key_heads, *mask.shape[-2:])


_TABLE = {aten.scaled_dot_product_attention.default: attention}


def _keep(node: fx.Node) -> bool:
    return node.target in _PORTABLE


class DecomposeComposites(Pass):
    def call(self, program: ExportedProgram) -> bool:
        decomposer = Decomposer(core_aten_table(_TABLE, without=_PORTABLE), _keep)
        modified = False
        for module in graph_modules(program.graph_module):
            modified |= decomposer.run(module.graph)
        return modified
