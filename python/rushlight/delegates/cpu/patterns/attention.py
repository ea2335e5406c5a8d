# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""New keys and values written to caches at the positions, then attention on the caches under a mask that
leaves what came before: cached_attention."""

from __future__ import annotations

import math
import operator

import torch
from torch import fx
from torch.export.graph_signature import OutputKind

from rushlight.delegates.cpu.ops import CACHED_ATTENTION
from rushlight.delegates.cpu.patterns import Context, insert
from rushlight.passes.base import input_specs

aten = torch.ops.aten
_SDPA = aten.scaled_dot_product_attention.default
_OWN = torch.ops.rushlight.attention.default


def replace(node: fx.Node, context: Context) -> fx.Node | None:
    if node.target not in (_SDPA, _OWN) or context.positions is None:
        return None
    query, keys, values = node.args[:3]
    options = options_of(node)
    if options is None or query.meta["val"].dim() != 4 or query.meta["val"].shape[0] != 1:
        return None
    mask, causal, scale, softcap, sinks = options
    caches = [_cache(n, context) for n in (keys, values)]
    if None in caches or mask is None or causal:
        return None
    (key_cache, key), (value_cache, value) = caches
    limit = key_cache.meta["val"].shape[2]
    if value_cache.meta["val"].shape[2] != limit or query.meta["val"].dtype != torch.float32:
        return None
    if query.meta["val"].shape[1] % key.meta["val"].shape[1] != 0:
        return None
    window = _window(mask, limit, context)
    if window is None:
        return None
    args = (query, key, value, key_cache, value_cache, context.positions.node, scale, window, softcap, sinks)
    out = (node.meta["val"], keys.meta["val"], values.meta["val"])
    call = insert(node, CACHED_ATTENTION, args, out)
    for old, i in ((keys, 1), (values, 2)):
        old.replace_all_uses_with(insert(node, operator.getitem, (call, i), out[i]))
    return insert(node, operator.getitem, (call, 0), out[0])


def _window(mask: fx.Node, limit: int, context: Context) -> int | None:
    key = (mask, limit)
    if key not in context.windows:
        context.windows[key] = context.positions.window(mask, limit)
    return context.windows[key]


def options_of(node: fx.Node):
    """(mask, causal, scale, softcap, sinks), or None where there is something else."""
    if node.target is _OWN:
        mask, causal, scale, softcap, sinks = node.args[3:8]
        return mask, causal, float(scale), float(softcap or 0), sinks
    names = ("attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa")
    given = {**dict(zip(names, node.args[3:], strict=False)), **node.kwargs}
    if given.get("dropout_p"):
        return None
    scale = given.get("scale")
    if scale is None:
        scale = 1 / math.sqrt(node.args[0].meta["val"].shape[-1])
    return given.get("attn_mask"), bool(given.get("is_causal")), float(scale), 0.0, None


def _cache(node, context: Context) -> tuple[fx.Node, fx.Node] | None:
    """(cache, what is written) of index_put(cache, [None, None, positions], new), the cache's next value
    and nothing else's."""
    if not isinstance(node, fx.Node) or node.target is not aten.index_put.default or len(node.args) != 3:
        return None
    cache, indices, new = node.args
    if cache.op != "placeholder" or len(cache.users) != 1 or len(indices) != 3 or indices[:2] != [None, None]:
        return None
    value = cache.meta["val"]
    if value.dim() != 4 or value.dtype != torch.float32 or value.shape[0] != 1 or len(node.users) != 2:
        return None
    if not context.positions.are(indices[2], value.shape[2]):
        return None
    program = context.program
    target = input_specs(program)[cache].target
    outputs = program.graph.output_node().args[0]
    for spec, out in zip(program.graph_signature.output_specs, outputs, strict=True):
        if spec.kind == OutputKind.BUFFER_MUTATION and spec.target == target and out is node:
            return cache, new
    return None
