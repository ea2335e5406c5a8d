# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Attention on repeated key heads becomes attention on the heads themselves (enable_gqa).

Models repeat keys and values so that every query head has its own: unsqueeze, expand, reshape.  Found by
what it does to sizes: [B, Hk, L, D] -> [B, Hk, G, L, D] -> [B, Hk * G, L, D].
"""

from __future__ import annotations

import torch
from torch import fx

from rushlight.dialect.symbolic import expr_of
from rushlight.passes.base import GraphPass

aten = torch.ops.aten
_SDPA = aten.scaled_dot_product_attention.default


def _repeated(node: fx.Node) -> fx.Node | None:
    """What `node` repeats head by head, or None."""
    if node.target is not aten.view.default or node.meta["val"].dim() != 4:
        return None
    source = node.args[0]
    while source.target in (aten.clone.default, aten._to_copy.default) and len(source.users) == 1:
        if source.meta["val"].dtype != source.args[0].meta["val"].dtype:
            return None
        source = source.args[0]
    if source.target is not aten.expand.default:
        return None
    unsqueezed = source.args[0]
    if unsqueezed.target is not aten.unsqueeze.default or unsqueezed.args[1] not in (2, -3):
        return None
    heads = unsqueezed.args[0]
    small = [expr_of(s) for s in heads.meta["val"].shape]
    wide = [expr_of(s) for s in source.meta["val"].shape]
    flat = [expr_of(s) for s in node.meta["val"].shape]
    if len(small) != 4 or wide != [*small[:2], wide[2], *small[2:]]:
        return None
    return heads if flat == [small[0], small[1] * wide[2], *small[2:]] else None


class FoldRepeatedHeads(GraphPass):
    def call_graph(self, graph: fx.Graph) -> bool:
        modified = False
        for node in graph.nodes:
            if node.target is not _SDPA or len(node.args) < 3:
                continue
            key, value = _repeated(node.args[1]), _repeated(node.args[2])
            if key is None or value is None:
                continue
            node.args = (node.args[0], key, value, *node.args[3:])
            node.kwargs = {**node.kwargs, "enable_gqa": True}
            modified = True
        if modified:
            graph.eliminate_dead_code()
        return modified
