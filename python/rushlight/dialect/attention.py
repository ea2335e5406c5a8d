# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Attention as the compiler sees it: PyTorch's scaled_dot_product_attention, and an operator of our own
for what that one lacks (soft caps, sinks).  Both mean `attend`, in matrix products.
"""

from __future__ import annotations

import math

import torch


def attend(query, key, value, mask=None, is_causal=False, scale=None, softcap=None, sinks=None):
    """query [..., Hq, S, D]; key [..., Hk, L, D]; value [..., Hk, L, Dv]; mask bool or float, broadcast to
    [..., Hq, S, L]; sinks [Hq] -> [..., Hq, S, Dv].

    Query heads that share a key head are stacked to one product, so that keys and values are never
    repeated.  Where queries may be few (decoding), scores are computed transposed: it is they that
    are turned around then, not the cache.  Rows in which the mask leaves nothing give zero.
    """
    *batch, heads, length, width = query.shape
    key_heads, keys = key.shape[-3], key.shape[-2]
    group = heads // key_heads
    n = math.prod(batch) * key_heads
    scale = 1.0 / math.sqrt(width) if scale is None else scale
    q = (query * scale).reshape(n, group * length, width)
    k = key.reshape(n, keys, width)
    v = value.reshape(n, keys, value.shape[-1])
    fixed = isinstance(length, int)
    few = not fixed and isinstance(keys, int)
    if few or (fixed and isinstance(keys, int) and group * length < width):
        scores = torch.bmm(k, q.permute(0, 2, 1)).permute(0, 2, 1)
    else:
        scores = torch.bmm(q, k.permute(0, 2, 1))
    if softcap is not None:
        scores = torch.tanh(scores * (1.0 / softcap)) * softcap
    if is_causal:
        rows = torch.arange(length, device=query.device).unsqueeze(1)
        mask = torch.arange(keys, device=query.device).unsqueeze(0) <= rows
    nothing = None
    if mask is not None:
        if not is_causal:
            allowed = mask if mask.dtype == torch.bool else mask > -math.inf
            nothing = allowed.any(-1, keepdim=True)
        if mask.dtype == torch.bool:
            mask = torch.where(mask, 0.0, -math.inf).to(query.dtype)
        scores = scores.reshape(*batch, key_heads, group, length, keys) + _grouped(mask, key_heads, group)
    scores = scores.reshape(*batch, key_heads, group, length, keys)
    if sinks is None:
        weights = torch.softmax(scores, -1)
    else:  # a logit that takes part in the softmax and carries no value
        column = sinks.to(scores.dtype).reshape(key_heads, group, 1, 1).expand(*batch, -1, -1, length, 1)
        weights = torch.softmax(torch.cat([scores, column], -1), -1).narrow(-1, 0, keys)
    out = torch.bmm(weights.reshape(n, group * length, keys), v)
    out = out.reshape(*batch, heads, length, value.shape[-1])
    return out if nothing is None or sinks is not None else torch.where(nothing, out, 0.0)


def _grouped(mask, key_heads, group):
    """A mask [..., S, L] against scores [..., Hk, G, S, L]."""
    if mask.dim() < 3:
        return mask
    if mask.shape[-3] == 1:
        return mask.unsqueeze(-3)
    return mask.reshape(*mask.shape[:-3], key_heads, group, *mask.shape[-2:])


def decompose_sdpa(
    query,
    key,
    value,
    attn_mask=None,
    dropout_p=0.0,
    is_causal=False,
    *,
    scale=None,
    enable_gqa=False,
):
    """scaled_dot_product_attention by `attend`, where that covers it."""
    if query.dim() < 3 or dropout_p != 0.0 or not query.dtype.is_floating_point:
        return NotImplemented
    if query.shape[-3] != key.shape[-3] and not enable_gqa and key.shape[-3] != 1:
        return NotImplemented
    return attend(query, key, value, attn_mask, is_causal, scale)


@torch.library.custom_op("rushlight::attention", mutates_args=())
def attention_op(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    is_causal: bool,
    scale: float,
    softcap: float | None,
    sinks: torch.Tensor | None,
) -> torch.Tensor:
    """`attend` as one operator, so that tracing leaves it whole."""
    return attend(query, key, value, mask, is_causal, scale, softcap, sinks).contiguous()


@attention_op.register_fake
def _(query, key, value, mask, is_causal, scale, softcap, sinks):
    return query.new_empty((*query.shape[:-1], value.shape[-1]))
