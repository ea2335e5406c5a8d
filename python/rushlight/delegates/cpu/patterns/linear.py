# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Products with constants, written in other ways (GPT-2's Conv1D), as linear; what only flattens rows
before one and splits them again behind it goes."""

from __future__ import annotations

import torch
from torch import fx

from rushlight.delegates.cpu.patterns import Context, insert, only
from rushlight.dialect.symbolic import expr_of

aten = torch.ops.aten


def replace(node: fx.Node, context: Context) -> fx.Node | None:
    """addmm(bias, x, w) and mm(x, w)"""
    if node.target is aten.addmm.default and not node.kwargs:
        bias, x, weight = node.args
        if bias.meta["val"].dim() != 1 or bias.meta["val"].shape[0] != node.meta["val"].shape[-1]:
            return None
    elif node.target is aten.mm.default:
        bias, (x, weight) = None, node.args
    else:
        return None
    value = context.value(weight)
    if value is None or value.dtype != torch.float32:
        return None
    turned = context.derived(weight, ("turned",), lambda w: w.t().contiguous())
    return insert(node, aten.linear.default, (x, turned, *([bias] if bias else [])), node.meta["val"])


def merge(node: fx.Node, context: Context) -> fx.Node | None:
    """view(linear(view(x)))"""
    if node.target is not aten.view.default or not only(node.args[0], aten.linear.default):
        return None
    flat, *rest = node.args[0].args
    if flat.target is not aten.view.default:
        return None
    x = flat.args[0]
    before, after = ([expr_of(s) for s in n.meta["val"].shape] for n in (x, node))
    if before[:-1] != after[:-1] or before[-1] != flat.meta["val"].shape[-1]:
        return None
    if after[-1] != node.args[0].meta["val"].shape[-1]:
        return None
    return insert(node, aten.linear.default, (x, *rest), node.meta["val"])


def biased(node: fx.Node, context: Context) -> fx.Node | None:
    """linear(x) + vector"""
    if node.target is not aten.add.Tensor or node.kwargs or not only(node.args[0], aten.linear.default):
        return None
    linear, bias = node.args
    value = context.value(bias)
    if len(linear.args) > 2 or value is None or value.dtype != torch.float32:
        return None
    if value.shape != linear.meta["val"].shape[-1:]:
        return None
    return insert(node, aten.linear.default, (*linear.args, bias), node.meta["val"])


def columns(node: fx.Node, context: Context) -> fx.Node | None:
    """A piece of split(x, sizes, -1), as a slice: each of them is read by itself."""
    if getattr(node.args[0] if node.args else None, "target", None) is not aten.split_with_sizes.default:
        return None
    x, sizes, *dim = node.args[0].args
    last = x.meta["val"].dim() - 1
    if (dim or [0])[0] not in (-1, last) or not all(isinstance(s, int) for s in sizes):
        return None
    first = sum(sizes[: node.args[1]])
    args = (x, last, first, first + sizes[node.args[1]])
    return insert(node, aten.slice.Tensor, args, node.meta["val"])
