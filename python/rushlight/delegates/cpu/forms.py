# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Which nodes are rows of floats, and so can be steps of a plan.

All rows of a call are as many (the tokens), but for what comes behind "the last row".  A row may be seen
as heads: [1, S, H * D] as [1, S, H, D], or permuted to [1, H, S, D]; in memory it is the same row.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass

import torch
from torch import fx

from rushlight.delegates.cpu.ops import CACHED_ATTENTION, QUICK_GELU, ROPE
from rushlight.dialect.symbolic import expr_of

aten = torch.ops.aten
ATTENTION = torch.ops.rushlight.attention.default

# The same memory, seen otherwise.
VIEWS = (aten.view.default, aten.unflatten.int, aten.flatten.using_ints)
ALIASES = (*VIEWS, aten.permute.default, aten.clone.default)

ROWS, HEADS, PERMUTED = "rows", "heads", "permuted"
ACTIVATIONS = {  # fb.cpu.Activation; gelu by tanh: 3
    aten.silu.default: 1,
    aten.gelu.default: 2,
    aten.relu.default: 4,
    aten.tanh.default: 5,
    QUICK_GELU: 6,
}


@dataclass(frozen=True)
class Form:
    """What a node's value is: `width` floats a row, seen as `kind`."""

    kind: str
    rows: object  # sympy expression
    width: int


def activation_of(node: fx.Node) -> int:
    if node.target is aten.gelu.default and node.kwargs.get("approximate", "none") == "tanh":
        return 3
    return ACTIVATIONS[node.target]


def rows_of(value) -> Form | None:
    """A tensor [..., W] as rows."""
    if not isinstance(value, torch.Tensor) or value.dtype != torch.float32 or value.dim() < 2:
        return None
    if not isinstance(value.shape[-1], int) or value.shape[-1] == 0:
        return None
    rows = math.prod(expr_of(s) for s in value.shape[:-1])
    return None if rows == 0 else Form(ROWS, rows, value.shape[-1])


class Forms:
    """The forms of a graph's nodes.  `constants`: the inputs that do not change."""

    def __init__(self, graph: fx.Graph, constants):
        self.constants = constants
        self.form: dict[fx.Node, Form] = {}
        for node in graph.nodes:
            if node.op != "call_function":
                continue
            rule = _RULES.get(node.target)
            form = rule(self, node) if rule is not None else None
            if form is not None:
                self.form[node] = form
        self._drop_what_leaks()

    def of(self, node) -> Form | None:
        """A node's form; rows, where it comes from elsewhere."""
        if not isinstance(node, fx.Node) or node in self.constants:
            return None
        return self.form.get(node) or rows_of(node.meta.get("val"))

    def weight(self, node, *shape) -> bool:
        """Whether a node is a constant float32 of this shape (-1: any size)."""
        if node not in self.constants:
            return False
        value = node.meta["val"]
        return (
            value.dtype == torch.float32
            and value.dim() == len(shape)
            and all(want in (-1, have) for have, want in zip(value.shape, shape, strict=True))
        )

    def drop(self, nodes) -> None:
        """Takes forms from nodes, and from those that have none without them."""
        for n in nodes:
            self.form.pop(n, None)
        self._drop_what_leaks()

    def inside(self, node: fx.Node) -> list[fx.Node]:
        """The inputs that a node has to have in its own piece: heads, what it works on in place, and what
        activations are fused with."""
        if node.target is ROPE:
            return [i for i in (node.args[0], source_of(node.args[0])) if i in self.form]
        inputs = [i for i in node.all_input_nodes if i in self.form]
        if node.target in ACTIVATIONS:
            return inputs
        return [i for i in inputs if self.form[i].kind != ROWS or self._needs_gate(i)]

    def _needs_gate(self, node: fx.Node) -> bool:
        """Whether an activation is nothing by itself."""
        return node.target in ACTIVATIONS and not fused_linear(node, self)

    def cannot_leave(self, node: fx.Node) -> bool:
        """Whether a node is other rows seen otherwise, which nobody outside of its piece can read.  Of heads that
        are seen as rows there is a copy."""
        alias = node.target in ALIASES or is_columns(node)
        return alias and not (self.form[node].kind == ROWS and self._are_heads(node.args[0]))

    def _are_heads(self, node: fx.Node) -> bool:
        return node in self.form and self.form[node].kind == HEADS

    def _drop_what_leaks(self) -> None:
        """What is seen as heads exists inside of plans only, and a fused pair together or not at all."""
        while True:
            bad = [n for n in self.form if not self._whole(n)]
            if not bad:
                return
            for n in bad:
                del self.form[n]

    def _whole(self, node: fx.Node) -> bool:
        if self.cannot_leave(node) and any(u not in self.form for u in node.users):
            return False
        if self.form[node].kind != ROWS and any(u not in self.form for u in node.users):
            return False
        if node.target in ACTIVATIONS and not (fused_linear(node, self) or fused_gate(node, self)):
            return False
        if node.target is operator.getitem:
            return node.args[0] in self.form
        if node.target is ATTENTION and not self._is_argument(node.args[3]):
            return False
        if node.target is ATTENTION:
            rows = node.args[:3]
        else:
            rows = node.args[:1] if node.target in VIEWS else node.all_input_nodes
        for i in rows:  # heads are made inside, and merged again
            if i not in self.form and i not in self.constants and i.op == "call_function":
                if self.form[node].kind != ROWS:
                    return node.target in VIEWS
                if node.target in VIEWS and i.meta["val"].shape[-1] != self.form[node].width:
                    return False
        return True

    def _is_argument(self, mask: fx.Node | None) -> bool:
        """Whether a mask comes from outside, and is nothing else to steps."""
        return mask is None or (
            mask not in self.form and all(u.target is ATTENTION or u not in self.form for u in mask.users)
        )


def fused_linear(node: fx.Node, forms: Forms) -> bool:
    """Whether an activation follows a product that nobody else reads."""
    source = node.args[0]
    return source.target is aten.linear.default and source in forms.form and len(source.users) == 1


def fused_gate(node: fx.Node, forms: Forms) -> bool:
    """Whether an activation is multiplied by something, and nobody else reads it.  Of two activations it is the
    first."""
    user = next(iter(node.users), None)
    if len(node.users) != 1 or user.target is not aten.mul.Tensor or user not in forms.form:
        return False
    first = user.args[0]
    if first is node:
        return user.args[1] is not node
    return not (first in forms.form and first.target in ACTIVATIONS and fused_gate(first, forms))


def _linear(forms: Forms, node: fx.Node) -> Form | None:
    x, weight, bias = (*node.args, None)[:3]
    form = forms.of(x)
    if form is None or form.kind != ROWS or not forms.weight(weight, -1, form.width):
        return None
    outputs = weight.meta["val"].shape[0]
    if bias is not None and not forms.weight(bias, outputs):
        return None
    return Form(ROWS, form.rows, outputs)


def _embedding(forms: Forms, node: fx.Node) -> Form | None:
    weight, ids = node.args[:2]
    if not forms.weight(weight, -1, -1) or ids in forms.constants or ids.meta["val"].dtype != torch.int64:
        return None
    return rows_of(node.meta["val"])


def _norm(forms: Forms, node: fx.Node) -> Form | None:
    x, shape, weight, bias, *_ = (*node.args, None, None, None)
    form = forms.of(x)
    if form is None or len(shape) != 1 or form.width % shape[0] != 0:
        return None
    if x.meta["val"].shape[-1] != shape[0]:
        return None
    if node.target is aten.rms_norm.default:
        # rms_norm's own default is another number for each dtype.
        return form if bias is not None and forms.weight(weight, shape[0]) else None
    for vector in (weight, bias):
        if vector is not None and not forms.weight(vector, shape[0]):
            return None
    return form


def _view(forms: Forms, node: fx.Node) -> Form | None:
    form = forms.of(node.args[0])
    if form is None:
        return None
    before = [expr_of(s) for s in node.args[0].meta["val"].shape]
    after = [expr_of(s) for s in node.meta["val"].shape]
    if form.kind == ROWS and len(after) == len(before) + 1 and after[:-2] == before[:-1] and len(after) == 4:
        return Form(HEADS, form.rows, form.width)
    if form.kind == HEADS and after[:-1] == before[:-2]:
        return Form(ROWS, form.rows, form.width)
    if form.kind == ROWS and after[-1] == before[-1] and math.prod(after) == math.prod(before):
        return form
    return None


def _permute(forms: Forms, node: fx.Node) -> Form | None:
    form = forms.of(node.args[0])
    if form is None or list(node.args[1]) != [0, 2, 1, 3]:
        return None
    other = {HEADS: PERMUTED, PERMUTED: HEADS}.get(form.kind)
    return other and Form(other, form.rows, form.width)


def _clone(forms: Forms, node: fx.Node) -> Form | None:
    return forms.form.get(node.args[0])


def _rope(forms: Forms, node: fx.Node) -> Form | None:
    """Works in place, so nobody else may read what is turned."""
    form, x = forms.of(node.args[0]), node.args[0]
    if form is None or form.kind != PERMUTED or (node.args[1] is not None and x.meta["val"].shape[0] != 1):
        return None
    source = source_of(x)
    while x is not source:
        if len(x.users) != 1:
            return None
        x = x.args[0]
    if x not in forms.form or x.target in (ROPE, operator.getitem):
        return None
    return form if len(x.users) == 1 or all(is_columns(u) for u in x.users) else None


def source_of(x: fx.Node) -> fx.Node:
    """What has the memory that x is seen in."""
    while x.target in ALIASES or is_columns(x):
        x = x.args[0]
    return x


def _attention(forms: Forms, node: fx.Node) -> Form | None:
    parts = [forms.of(a) for a in node.args[:3]]
    if any(p is None or p.kind != PERMUTED for p in parts):
        return None
    sinks = node.args[9]
    if sinks is not None and not forms.weight(sinks, node.args[0].meta["val"].shape[1]):
        return None
    heads, size = node.args[0].meta["val"].shape[1], node.args[2].meta["val"].shape[-1]
    return Form(PERMUTED, parts[0].rows, heads * size)


def _self_attention(forms: Forms, node: fx.Node) -> Form | None:
    query, key, value, mask, causal, _, _, sinks = node.args
    parts = [forms.of(a) for a in (query, key, value)]
    if any(p is None or p.kind != PERMUTED for p in parts):
        return None
    q, k, v = ([expr_of(s) for s in n.meta["val"].shape] for n in (query, key, value))
    batch, heads, length, size = q
    if k[:1] + k[2:] != [batch, length, size] or v[:3] != k[:3] or heads % k[1] != 0:
        return None
    if mask is not None:
        allowed = (batch, heads, length, length)
        sizes = [expr_of(s) for s in mask.meta["val"].shape]
        if mask.meta["val"].dtype != torch.float32 or len(sizes) not in (1, 2, 3, 4) or sizes[-1] != length:
            return None
        if any(a not in (1, b) for a, b in zip(sizes[::-1], allowed[::-1], strict=False)):
            return None
    if sinks is not None and not forms.weight(sinks, heads):
        return None
    return Form(PERMUTED, parts[0].rows, int(heads * v[3]))


def _getitem(forms: Forms, node: fx.Node) -> Form | None:
    whole = node.args[0]
    if whole.target is not CACHED_ATTENTION:
        return None
    form = forms.form.get(whole)
    # The caches' next values are state: nobody reads them as tensors.
    return form and (form if node.args[1] == 0 else Form(ROWS, None, 0))


def _pair(forms: Forms, node: fx.Node) -> Form | None:
    if node.target is aten.mul.Tensor and scale_of(node, forms) is not None:
        return forms.form[node.args[0]]
    if len(node.args) != 2 or node.kwargs:
        return None
    affine = affine_of(node, forms)
    if affine is not None:
        return forms.of(affine[0])
    a, b = (forms.of(x) if isinstance(x, fx.Node) else None for x in node.args)
    if a is None or b is None or a.kind != ROWS or a != b:
        return None
    same = [expr_of(s) for s in node.args[0].meta["val"].shape] == [
        expr_of(s) for s in node.args[1].meta["val"].shape
    ]
    return a if same else None


def _activation(forms: Forms, node: fx.Node) -> Form | None:
    form = forms.form.get(node.args[0])
    return form if form is not None and form.kind == ROWS else None


def is_columns(node: fx.Node) -> bool:
    """Whether a node is x[..., a:b]."""
    if node.target is not aten.slice.Tensor or len(node.args) > 4:
        return False
    return node.args[1] in (-1, node.args[0].meta["val"].dim() - 1)


def is_last(node: fx.Node) -> bool:
    """Whether a node with a form is x[:, -1:]."""
    return node.target is aten.slice.Tensor and not is_columns(node)


def _slice(forms: Forms, node: fx.Node) -> Form | None:
    form = forms.of(node.args[0])
    if not is_columns(node):
        return _last(forms, node)
    width = node.meta["val"].shape[-1]
    first = node.args[2] if len(node.args) > 2 else 0
    inside = node.args[0] in forms.form and form.kind == ROWS
    if not inside or not isinstance(first, int) or first < 0 or not width or first + width > form.width:
        return None
    return Form(ROWS, form.rows, width)


def scale_of(node: fx.Node, forms: Forms):
    """The number, or the constant of one number, that a node multiplies rows by."""
    if len(node.args) != 2 or node.kwargs:
        return None
    x, factor = node.args
    form = forms.form.get(x) if isinstance(x, fx.Node) else None
    if form is None or form.kind != ROWS:
        return None
    if isinstance(factor, (int, float)):
        return float(factor)
    one = factor in forms.constants and factor.meta["val"].numel() == 1
    return factor if one and factor.meta["val"].dim() < 2 else None


def affine_of(node: fx.Node, forms: Forms):
    """(rows, constant, size) of rows that a constant is added to, or multiplies: one vector for all (size
    1), one for each of a group's rows, or one for each row."""
    if len(node.args) != 2 or node.kwargs:
        return None
    for x, constant in (node.args, node.args[::-1]):
        if constant not in forms.constants or x in forms.constants or not isinstance(x, fx.Node):
            continue
        form, value = forms.of(x), constant.meta["val"]
        shape = [expr_of(s) for s in x.meta["val"].shape]
        if form is None or form.kind != ROWS or value.dtype != torch.float32 or value.dim() > len(shape):
            continue
        own = [1] * (len(shape) - value.dim()) + list(value.shape)
        if own[-1] != form.width or len(shape) < 2 or [expr_of(s) for s in node.meta["val"].shape] != shape:
            continue
        if all(s == 1 for s in own[:-1]):
            return x, constant, 1
        if own[-2] == shape[-2] and all(s == 1 for s in own[:-2]):
            return x, constant, own[-2]
        if own == shape:
            return x, constant, math.prod(own[:-1])
    return None


def group_size(node: fx.Node):
    """The rows of a group, where a node's step looks at groups: a number or an expression."""
    grouped = node.target is ATTENTION or (node.target is ROPE and node.args[1] is None)
    return expr_of(node.args[0].meta["val"].shape[2]) if grouped else None


def length_of(value: torch.Tensor, is_rows: bool):
    """The rows of a group that an argument tells of: the last of its leading sizes."""
    behind = int(is_rows)
    return expr_of(value.shape[-1 - behind]) if value.dim() > behind else None


def has_groups(node: fx.Node, piece: list[fx.Node], forms: Forms) -> bool:
    """Whether a piece, of a node that looks at groups, has them: many rows, and an argument that tells how
    many rows a group has, where that is not known."""
    size = group_size(node)
    if size is None:
        return True
    if forms.form[node].rows == 1 and any(forms.form[n].rows not in (1, None) for n in piece):
        return False
    inside = set(piece)
    outside = {i: n for n in piece for i in n.all_input_nodes if i not in inside}
    return size.is_number or any(
        isinstance(i.meta.get("val"), torch.Tensor)
        and length_of(i.meta["val"], i.meta["val"].dtype == torch.float32 and user.target is not ATTENTION)
        == size
        for i, user in outside.items()
    )


def _last(forms: Forms, node: fx.Node) -> Form | None:
    """x[:, -1:]"""
    form = forms.of(node.args[0])
    shape = node.args[0].meta["val"].shape
    if form is None or form.kind != ROWS or len(shape) != 3 or shape[0] != 1 or len(node.args) < 3:
        return None
    end = node.args[3] if len(node.args) > 3 else None
    if node.args[1] not in (1, -2) or node.args[2] != -1 or len(node.args) > 4:
        return None
    if end is not None and not (isinstance(end, int) and end >= 2**31):
        return None
    return rows_of(node.meta["val"])


_RULES = {
    aten.linear.default: _linear,
    aten.embedding.default: _embedding,
    aten.rms_norm.default: _norm,
    aten.layer_norm.default: _norm,
    aten.view.default: _view,
    aten.unflatten.int: _view,
    aten.flatten.using_ints: _view,
    aten.permute.default: _permute,
    aten.add.Tensor: _pair,
    aten.mul.Tensor: _pair,
    aten.silu.default: _activation,
    aten.gelu.default: _activation,
    aten.relu.default: _activation,
    aten.tanh.default: _activation,
    QUICK_GELU: _activation,
    aten.slice.Tensor: _slice,
    aten.clone.default: _clone,
    ROPE: _rope,
    CACHED_ATTENTION: _attention,
    ATTENTION: _self_attention,
    operator.getitem: _getitem,
}
