# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""A convolution whose windows lie side by side (a vision transformer's patches), flattened to rows, as
linear of the patches."""

from __future__ import annotations

import torch
from torch import fx

from rushlight.delegates.cpu.patterns import Context, insert, only

aten = torch.ops.aten


def replace(node: fx.Node, context: Context) -> fx.Node | None:
    """permute(view(convolution(x))): [B, outputs, h, w] as [B, h * w, outputs]"""
    if node.target is not aten.permute.default or list(node.args[1]) != [0, 2, 1]:
        return None
    flat = node.args[0]
    if not only(flat, aten.view.default) or not only(flat.args[0], aten.convolution.default):
        return None
    x, weight, bias, stride, padding, dilation, transposed, _, groups = flat.args[0].args
    value = context.value(weight)
    if value is None or value.dim() != 4 or value.dtype != torch.float32 or groups != 1 or transposed:
        return None
    if list(stride) != list(value.shape[2:]) or {*padding} != {0} or {*dilation} != {1}:
        return None
    outputs, channels, high, wide = value.shape
    sizes, (_, places, columns) = x.meta["val"].shape[2:], node.meta["val"].shape
    if not all(isinstance(s, int) for s in sizes) or sizes[0] % high or sizes[1] % wide:
        return None
    rows, across = sizes[0] // high, sizes[1] // wide
    if (places, columns) != (rows * across, outputs):
        return None
    cut = x.meta["val"].reshape(-1, channels, rows, high, across, wide)
    turned = cut.permute(0, 2, 4, 1, 3, 5).contiguous()
    patches = turned.reshape(-1, places, channels * high * wide)
    n = insert(node, aten.view.default, (x, [-1, *cut.shape[1:]]), cut)
    n = insert(node, aten.permute.default, (n, [0, 2, 4, 1, 3, 5]), cut.permute(0, 2, 4, 1, 3, 5))
    n = insert(node, aten.clone.default, (n,), turned)
    n.kwargs = {"memory_format": torch.contiguous_format}
    n = insert(node, aten.view.default, (n, [-1, *patches.shape[1:]]), patches)
    flattened = context.derived(weight, ("patches",), lambda w: w.reshape(outputs, -1))
    biases = [] if bias is None else [bias]
    return insert(node, aten.linear.default, (n, flattened, *biases), node.meta["val"])
