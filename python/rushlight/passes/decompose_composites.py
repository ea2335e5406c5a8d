# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Operators that the edge dialect keeps whole, taken apart for the portable kernels."""

from __future__ import annotations

import torch
from torch import fx
from torch.export import ExportedProgram

from rushlight.dialect.attention import attend, decompose_sdpa
from rushlight.dialect.decompose import Decomposer, core_aten_table
from rushlight.dialect.functionalize import functionalize
from rushlight.dialect.quantization import definitions
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


_TABLE = {
    aten.scaled_dot_product_attention.default: decompose_sdpa,
    torch.ops.rushlight.attention.default: attend,
}


def _keep(node: fx.Node) -> bool:
    return node.target in _PORTABLE


class DecomposeComposites(Pass):
    def call(self, program: ExportedProgram) -> bool:
        table = core_aten_table({**_TABLE, **definitions()}, without=_PORTABLE)
        decomposer = Decomposer(table, _keep)
        modified = False
        for module in graph_modules(program.graph_module):
            if decomposer.run(module.graph):
                functionalize(module.graph)  # PyTorch's own rms_norm works in place
                modified = True
        return modified
