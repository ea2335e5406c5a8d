# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Projections in one matrix, in whatever order: views, slices and permutations behind a linear pick some of
its outputs as heads.  What they pick is found by evaluating them on the outputs' numbers; each becomes a
linear of its own, whose weights lie in that order."""

from __future__ import annotations

import math
import operator

import torch
from torch import fx

from rushlight.delegates.cpu.patterns import Context, insert
from rushlight.dialect.symbolic import expr_of

aten = torch.ops.aten
_PLAIN = (aten.view.default, aten.permute.default)
_CHAIN = (
    *_PLAIN,
    aten.slice.Tensor,
    aten.select.int,
    aten.squeeze.dims,
    aten.unsqueeze.default,
    aten.clone.default,
    aten.index.Tensor,
    aten.split_with_sizes.default,
    operator.getitem,
)
_MOST = 1 << 24  # numbers that are worth looking at


def replace(node: fx.Node, context: Context) -> fx.Node | None:
    """Replaces what is picked of a linear; never the linear itself."""
    if node.target is not aten.linear.default or context.value(node.args[1]) is None:
        return None
    bias = node.args[2] if len(node.args) > 2 else None
    if bias is not None and context.value(bias) is None or node.meta["val"].dim() != 3:
        return None
    chain = _chain(node)
    if all(_is_plain(n) for n in chain):
        return None  # heads as they are
    ends = [n for n in chain if any(u not in chain for u in n.users)]
    values = _Evaluation(node, chain, context)
    picked = {end: values.outputs(end) for end in ends}
    if not picked or any(p is None for p in picked.values()) or any(u not in chain for u in node.users):
        return None
    if sum(p.numel() for p in picked.values()) > node.meta["val"].shape[-1]:
        return None  # heads that are repeated would be computed again
    for end, outputs in picked.items():
        end.replace_all_uses_with(_project(node, end, outputs, context))
    return None


def _chain(node: fx.Node) -> dict[fx.Node, None]:
    """What follows from a node alone, up to heads."""
    chain: dict[fx.Node, None] = {}
    todo = list(node.users)
    while todo:
        n = todo.pop(0)
        if n in chain or n.target not in _CHAIN or _cuts_heads(n):
            continue
        chain[n] = None
        todo.extend(n.users)
    return chain


def _is_plain(node: fx.Node) -> bool:
    dims = node.meta["val"].dim() if isinstance(node.meta["val"], torch.Tensor) else 0
    return node.target in _PLAIN and dims <= 4 or node.target is aten.slice.Tensor and dims == 3


def _cuts_heads(node: fx.Node) -> bool:
    """Whether a node takes a part of each head.  A third is a query, a key or a value; other parts are for
    RoPE, which wants whole heads."""
    if node.target is not aten.slice.Tensor or node.meta["val"].dim() != 4 or node.args[1] not in (-1, 3):
        return False
    return 3 * node.meta["val"].shape[-1] != node.args[0].meta["val"].shape[-1]


class _Evaluation:
    """The nodes of a chain, for numbers of its linear's outputs."""

    def __init__(self, linear: fx.Node, chain, context: Context):
        self.chain, self.context = chain, context
        sizes = [expr_of(s) for s in linear.meta["val"].shape]
        symbols = sorted({s for size in sizes for s in getattr(size, "free_symbols", ())}, key=str)
        self.sample = {s: i + 2 for i, s in enumerate(symbols)}
        self.sizes = [self._number(s) for s in sizes]
        self.width = self.sizes[-1]
        self.values: dict[fx.Node, object] = {}
        if math.prod(self.sizes) <= _MOST:
            self.values[linear] = torch.arange(math.prod(self.sizes)).reshape(self.sizes)

    def _number(self, size) -> int:
        return int(size.subs(self.sample)) if hasattr(size, "subs") else int(size)

    def of(self, node: fx.Node):
        if node not in self.values:
            value = node.meta.get("val")
            constant = self.context.value(node)
            if constant is not None:
                self.values[node] = constant
            elif node in self.chain:
                args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), self.of)
                self.values[node] = node.target(*args, **kwargs)
            else:
                self.values[node] = self._number(expr_of(value))
        return self.values[node]

    def outputs(self, end: fx.Node) -> torch.Tensor | None:
        """int64 [heads, size]: the linear's outputs that `end`, [B, S, heads, size] or [B, heads, S, size],
        has for each row."""
        value = end.meta["val"]
        if not self.values or not isinstance(value, torch.Tensor) or value.dim() != 4:
            return None
        try:
            numbers = self.of(end)
        except (RuntimeError, TypeError, ValueError):
            return None
        batch, length = self.sizes[:2]
        rows = torch.arange(batch * length).reshape(batch, length, 1, 1) * self.width
        for order in ([0, 1, 2, 3], [0, 2, 1, 3]):
            view = numbers.permute(order)
            if list(view.shape[:2]) == [batch, length]:
                outputs = view - rows
                if bool((outputs == outputs[:1, :1]).all()) and bool((outputs[0, 0] >= 0).all()):
                    return outputs[0, 0] if bool((outputs[0, 0] < self.width).all()) else None
        return None


def _project(linear: fx.Node, end: fx.Node, outputs: torch.Tensor, context: Context) -> fx.Node:
    x, *constants = linear.args
    heads, size = outputs.shape
    order = outputs.flatten()
    pick = lambda rows: rows[order].contiguous()  # noqa: E731
    picked = [context.derived(c, ("picked", tuple(order.tolist())), pick, pick) for c in constants]
    whole, value = linear.meta["val"], end.meta["val"]
    leading = list(whole.shape[:-1])
    product = insert(end, aten.linear.default, (x, *picked), whole.new_empty((*leading, heads * size)))
    sizes = [s if isinstance(s, int) else _size_node(s, end) for s in leading]
    split = insert(
        end, aten.view.default, (product, [*sizes, heads, size]),
        whole.new_empty((*leading, heads, size)),
    )  # fmt: skip
    if [expr_of(s) for s in value.shape[:2]] == [expr_of(s) for s in leading]:
        return split
    return insert(end, aten.permute.default, (split, [0, 2, 1, 3]), split.meta["val"].permute(0, 2, 1, 3))


def _size_node(size: torch.SymInt, end: fx.Node) -> fx.Node:
    """A size that a view before `end` was given: to ask a tensor for it would be to wait for the tensor."""
    for node in end.graph.nodes:
        value = node.meta.get("val")
        if isinstance(value, torch.SymInt) and expr_of(value) == expr_of(size):
            return node
        if node is end:
            break
    raise ValueError(f"{end} has a size that no view has")
