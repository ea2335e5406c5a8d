# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Attention and mask functions that models call while they are exported.

Transformers lets a model's attention be replaced by name (AttentionInterface, AttentionMaskInterface).
Ours leave the graph with one scaled_dot_product_attention on the cache as it is, key heads not repeated;
they keep what other implementations drop (soft caps, sinks), and evaluate the mask rule that the model
asks for, whatever it is, as comparisons of positions.
"""

from __future__ import annotations

import torch
from torch import nn

from rushlight.dialect.attention import attention_op

NAME = "rushlight"


def attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    is_causal: bool | None = None,
    **_,
) -> tuple[torch.Tensor, None]:
    """query [B, Hq, S, D], key and value [B, Hk, L, D], mask bool or float [B, 1, S, L] or None ->
    [B, S, Hq, Dv].  s_aux: one sink logit a head."""
    if attention_mask is not None and attention_mask.shape[-1] > key.shape[-2]:
        attention_mask = attention_mask[..., : key.shape[-2]]
    if is_causal is None:
        is_causal = getattr(module, "is_causal", True)
    causal = bool(is_causal) and attention_mask is None and query.shape[2] > 1
    if softcap is None and s_aux is None:
        out = nn.functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=attention_mask,
            is_causal=causal,
            scale=scaling,
            enable_gqa=key.shape[1] != query.shape[1],
        )
    else:
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        out = attention_op(query, key, value, attention_mask, causal, scale, softcap, s_aux)
    return out.transpose(1, 2).contiguous(), None


def mask(
    batch_size: int,
    *args,
    mask_function=None,
    attention_mask: torch.Tensor | None = None,
    **kwargs,
) -> torch.Tensor:
    """bool [B, 1, Q, KV], true where a query may look.  Transformers 4 gives `cache_position`, kv_length
    and kv_offset; 5 gives lengths and offsets of queries and keys."""
    names = ("cache_position", "kv_length", "kv_offset")
    if "q_length" in kwargs or (args and not isinstance(args[0], torch.Tensor)):
        names = ("q_length", "kv_length", "q_offset", "kv_offset")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    device = given.get("device")
    if "cache_position" in given:
        rows = given["cache_position"]
        device = rows.device
    else:
        offset = given.get("q_offset", 0)
        device = offset.device if isinstance(offset, torch.Tensor) else device
        rows = torch.arange(given["q_length"], device=device) + offset
    columns = torch.arange(given["kv_length"], device=device) + given.get("kv_offset", 0)
    batch = torch.arange(batch_size, device=device)[:, None, None, None]
    head = torch.zeros(1, dtype=torch.int64, device=device)[None, :, None, None]
    rows, columns = rows[None, None, :, None], columns[None, None, None, :]
    allowed = mask_function(batch, head, rows, columns)
    if attention_mask is not None and attention_mask.dim() == 2:
        padding = attention_mask[:, None, None, :].to(torch.bool)
        if padding.shape[-1] >= given["kv_length"]:
            padding = padding[..., : given["kv_length"]]
            allowed = allowed & padding
    shape = (batch_size, 1, rows.shape[2], columns.shape[3])
    return allowed.expand(shape) if isinstance(allowed, torch.Tensor) else torch.ones(shape, dtype=torch.bool)


def register() -> str:
    """Makes the functions known to Transformers; returns their name."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, mask)
    return NAME
