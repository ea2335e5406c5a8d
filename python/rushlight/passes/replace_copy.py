# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""copy(self, source), what is left of `self.copy_(source)`, as what it does: source, stretched to self's
sizes and in its dtype."""

from __future__ import annotations

import torch
from torch import fx

from rushlight.dialect.decompose import inherit
from rushlight.dialect.symbolic import SizeBuilder, expr_of
from rushlight.passes.base import GraphPass

aten = torch.ops.aten


class ReplaceCopy(GraphPass):
    def call_graph(self, graph: fx.Graph) -> bool:
        copies = [n for n in graph.nodes if n.target is aten.copy.default]
        sizes = SizeBuilder(graph) if copies else None
        for node in copies:
            target, source = node.meta["val"], node.args[1]
            value = source.meta["val"]
            new = source
            with graph.inserting_before(node):
                if value.dtype != target.dtype:
                    new = graph.call_function(aten._to_copy.default, (new,), {"dtype": target.dtype})
                    new.meta["val"] = value.to(target.dtype)
                    inherit(new, node)
                if [expr_of(s) for s in value.shape] != [expr_of(s) for s in target.shape]:
                    shape = [sizes.build(s) for s in target.shape]
                    new = graph.call_function(aten.expand.default, (new, shape))
                    new.meta["val"] = target
                    inherit(new, node)
            node.replace_all_uses_with(new)
            graph.erase_node(node)
        return bool(copies)
