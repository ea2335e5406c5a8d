# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Activations that models spell out: GELU by tanh, x * sigmoid(c * x)."""

from __future__ import annotations

import math

import torch
from torch import fx

from rushlight.delegates.cpu.ops import QUICK_GELU
from rushlight.delegates.cpu.patterns import Context, insert

aten = torch.ops.aten


def replace(node: fx.Node, context: Context) -> fx.Node | None:
    if node.target is not aten.mul.Tensor or node.meta["val"].dtype != torch.float32:
        return None
    for a, b in (node.args, node.args[::-1]):
        x = _half(a)
        if x is not None and _one_more_than_tanh(b, x):
            new = insert(node, aten.gelu.default, (x,), node.meta["val"])
            new.kwargs = {"approximate": "tanh"}
            return new
        if isinstance(b, fx.Node) and b.target is aten.sigmoid.default:
            if b.args[0] is a:
                return insert(node, aten.silu.default, (a,), node.meta["val"])
            x, factor = _times(b.args[0])
            if x is a and factor is not None and math.isclose(factor, 1.702):
                return insert(node, QUICK_GELU, (a,), node.meta["val"])
    return None


def _times(node) -> tuple[fx.Node | None, float | None]:
    """(x, number) of x * number."""
    if isinstance(node, fx.Node) and node.target is aten.mul.Tensor:
        for x, number in (node.args, node.args[::-1]):
            if isinstance(number, (int, float)):
                return x, number
    return None, None


def _half(node) -> fx.Node | None:
    x, factor = _times(node)
    return x if factor == 0.5 else None


def _plus(node) -> list:
    """What a node adds up."""
    plain = isinstance(node, fx.Node) and node.target in (aten.add.Tensor, aten.add.Scalar)
    return list(node.args) if plain and not node.kwargs and len(node.args) == 2 else []


def _one_more_than_tanh(node, x: fx.Node) -> bool:
    """1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))"""
    parts = _plus(node)
    tanh = next((p for p in parts if isinstance(p, fx.Node) and p.target is aten.tanh.default), None)
    if tanh is None or 1 not in [p for p in parts if not isinstance(p, fx.Node)]:
        return False
    inner, factor = _times(tanh.args[0])
    if factor is None or not math.isclose(factor, math.sqrt(2 / math.pi), rel_tol=1e-6):
        return False
    terms = _plus(inner)
    cubes = [_times(t) for t in terms if t is not x]
    if x not in terms or len(cubes) != 1 or cubes[0][1] is None or not math.isclose(cubes[0][1], 0.044715):
        return False
    return cubes[0][0].target is aten.pow.Tensor_Scalar and cubes[0][0].args == (x, 3)
