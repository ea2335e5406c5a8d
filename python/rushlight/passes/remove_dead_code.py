# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Removes what nobody uses."""

from __future__ import annotations

import torch
from torch import fx

from rushlight.passes.base import GraphPass


def _has_effect(node: fx.Node) -> bool:
    if node.op in ("placeholder", "output"):
        return True
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


class RemoveDeadCode(GraphPass):
    def call_graph(self, graph: fx.Graph) -> bool:
        return graph.eliminate_dead_code(is_impure_node=_has_effect)
