# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Removes expands whose users broadcast anyway."""

from __future__ import annotations

import torch
from torch import fx

from rushlight.dialect.symbolic import expr_of
from rushlight.passes.base import GraphPass

aten = torch.ops.aten


def _broadcast(shapes) -> list | None:
    """The shape that these shapes broadcast to, in expressions; None where that is not certain."""
    rank = max((len(s) for s in shapes), default=0)
    result = []
    for d in range(1, rank + 1):
        sizes = [expr_of(s[-d]) for s in shapes if len(s) >= d]
        wide = {s for s in sizes if s != 1}
        if len(wide) > 1:
            return None
        result.append(next(iter(wide), sizes[0]))
    return result[::-1]


class RemoveRedundantExpands(GraphPass):
    def call_graph(self, graph: fx.Graph) -> bool:
        modified = False
        for node in list(graph.nodes):
            if node.target is not aten.expand.default:
                continue
            for user in list(node.users):
                if self._broadcasts(user, node):
                    user.replace_input_with(node, node.args[0])
                    modified = True
            if not node.users:
                graph.erase_node(node)
        return modified

    @staticmethod
    def _broadcasts(user: fx.Node, expand: fx.Node) -> bool:
        """Whether an elementwise user gives the same result on what was expanded."""
        if not isinstance(user.target, torch._ops.OpOverload):
            return False
        if torch.Tag.pointwise not in user.target.tags or not isinstance(user.meta["val"], torch.Tensor):
            return False
        shapes = [
            (n.args[0] if n is expand else n).meta["val"].shape
            for n in user.all_input_nodes
            if isinstance(n.meta["val"], torch.Tensor)
        ]
        got = _broadcast(shapes)
        wanted = [expr_of(s) for s in user.meta["val"].shape]
        # Promotion looks at which operands have dimensions.
        same_kind = len(expand.args[0].meta["val"].shape) > 0 or len(shapes) == 1
        return got == wanted and same_kind
