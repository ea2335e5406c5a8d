# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""x * rsqrt(mean(x^2) + eps) * weight, with the weight on either side, as rms_norm; of x - mean(x), as
layer_norm."""

from __future__ import annotations

import torch
from torch import fx

from rushlight.delegates.cpu.patterns import Context, insert, only

aten = torch.ops.aten


def replace(node: fx.Node, context: Context) -> fx.Node | None:
    if node.target is not aten.mul.Tensor:
        return None
    for weight, normal in (node.args, reversed(node.args)):
        x = _normalised(normal)
        if x is None or not isinstance(weight, fx.Node) or weight.op != "placeholder":
            continue
        source, eps = x
        size = source.meta["val"].shape[-1]
        if list(weight.meta["val"].shape) != [size] or node.meta["val"].dtype != torch.float32:
            continue
        centred = _centred(source)
        if centred is not None:
            args = (centred, [size], weight, None, eps)
            return insert(node, aten.layer_norm.default, args, node.meta["val"])
        args = (source, [size], weight, eps)
        return insert(node, aten.rms_norm.default, args, node.meta["val"])
    return None


def _centred(node: fx.Node) -> fx.Node | None:
    """x of x - mean(x)"""
    if node.target is not aten.sub.Tensor or len(node.args) != 2 or node.kwargs:
        return None
    x, mean = node.args
    last = x.meta["val"].dim() - 1
    ok = isinstance(mean, fx.Node) and mean.target is aten.mean.dim and mean.args[0] is x
    return x if ok and mean.args[1] in ([-1], [last]) and mean.args[2:] == (True,) else None


def _normalised(node) -> tuple[fx.Node, float] | None:
    """(x, eps) of x * rsqrt(mean(x^2) + eps)."""
    if not only(node, aten.mul.Tensor):
        return None
    for x, root in (node.args, reversed(node.args)):
        if not only(root, aten.rsqrt.default) or not only(root.args[0], aten.add.Tensor):
            continue
        mean, eps = root.args[0].args
        if not only(mean, aten.mean.dim) or not isinstance(eps, (int, float)) or root.args[0].kwargs:
            continue
        square, dims, *keep = mean.args
        last = x.meta["val"].dim() - 1 if isinstance(x, fx.Node) else None
        if keep != [True] or len(dims) != 1 or dims[0] not in (-1, last):
            continue
        if only(square, aten.pow.Tensor_Scalar) and square.args == (x, 2):
            return x, float(eps)
        if only(square, aten.mul.Tensor) and square.args == (x, x):
            return x, float(eps)
    return None
