# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What patterns make of a graph, as operators that PyTorch can run."""

from __future__ import annotations

import torch

from rushlight.dialect.attention import attend


def rope(
    x: torch.Tensor,
    positions: torch.Tensor | None,
    cos: torch.Tensor,
    sin: torch.Tensor,
    interleaved: bool,
) -> torch.Tensor:
    """x [B, H, S, D], positions int64 [S] (none: 0, 1, 2...), cos and sin [L, R / 2] with R <= D: elements i
    and i + R / 2 turn, or, interleaved, 2 i and 2 i + 1; those from R on stay."""
    half = cos.shape[1]
    if positions is None:
        c, s = cos[: x.shape[2]], sin[: x.shape[2]]
    else:
        c, s = cos[positions], sin[positions]
    if interleaved:
        a, b = x[..., 0 : 2 * half : 2], x[..., 1 : 2 * half : 2]
        turned = [torch.stack([a * c - b * s, b * c + a * s], -1).flatten(-2)]
    else:
        a, b = x[..., :half], x[..., half : 2 * half]
        turned = [a * c - b * s, b * c + a * s]
    return torch.cat([*turned, x[..., 2 * half :]], -1)


rope_op = torch.library.custom_op("rushlight::rope", rope, mutates_args=())


@rope_op.register_fake
def _(x, positions, cos, sin, interleaved):
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def cached_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    key_cache: torch.Tensor,
    value_cache: torch.Tensor,
    positions: torch.Tensor,
    scale: float,
    window: int,
    softcap: float,
    sinks: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """query [1, Hq, S, D], key [1, Hk, S, D], value [1, Hk, S, Dv], caches [1, Hk, L, D and Dv], positions
    int64 [S], consecutive -> [1, Hq, S, Dv] and the new caches.

    A row sees the positions up to its own, of these the last `window` (0: all).  softcap 0: none."""
    keys, values = key_cache.clone(), value_cache.clone()
    keys[:, :, positions], values[:, :, positions] = key, value
    at = torch.arange(keys.shape[2])
    mask = at <= positions[:, None]
    if window:
        mask = mask & (at > positions[:, None] - window)
    out = attend(query, keys, values, mask, False, scale, softcap or None, sinks)
    return out.contiguous(), keys, values


cached_attention_op = torch.library.custom_op(
    "rushlight::cached_attention", cached_attention, mutates_args=()
)


@cached_attention_op.register_fake
def _(query, key, value, key_cache, value_cache, positions, scale, window, softcap, sinks):
    out = query.new_empty((*query.shape[:-1], value.shape[-1]))
    return out, torch.empty_like(key_cache), torch.empty_like(value_cache)


@torch.library.custom_op("rushlight::quick_gelu", mutates_args=())
def quick_gelu_op(x: torch.Tensor) -> torch.Tensor:
    return quick_gelu(x)


@quick_gelu_op.register_fake
def _(x):
    return torch.empty_like(x)


def quick_gelu(x: torch.Tensor) -> torch.Tensor:
    return x * torch.sigmoid(1.702 * x)


QUICK_GELU = torch.ops.rushlight.quick_gelu.default
ROPE = torch.ops.rushlight.rope.default
CACHED_ATTENTION = torch.ops.rushlight.cached_attention.default
