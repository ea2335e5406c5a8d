# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Symbolic sizes: their bounds, and the graph nodes that compute them.

A size in a graph is an int, a torch.SymInt (as `meta["val"]`), or the sympy expression of one.
"""

from __future__ import annotations

import contextlib
import functools
import operator
from collections.abc import Callable, Iterable

import sympy
import torch
from torch import fx
from torch.fx.experimental.symbolic_shapes import _ShapeEnvGuardError as GuardError  # noqa: F401
from torch.utils._sympy.interp import sympy_interp
from torch.utils._sympy.numbers import int_oo
from torch.utils._sympy.reference import PythonReferenceAnalysis
from torch.utils._sympy.value_ranges import ValueRanges

Size = int | torch.SymInt


class UnboundedError(ValueError):
    """A size has no upper bound: memory for it cannot be planned."""

    def __init__(self, expr: sympy.Expr, symbols: Iterable[sympy.Symbol]):
        self.expr = expr
        self.symbols = sorted(str(s) for s in symbols)
        super().__init__(f"size {expr} has no upper bound (unbounded: {', '.join(self.symbols)})")


def expr_of(size: Size | torch.SymBool | torch.SymFloat) -> sympy.Expr:
    """The sympy expression of a size."""
    node = getattr(size, "node", None)
    return node.expr if node is not None else sympy.sympify(size)


def is_symbolic(size) -> bool:
    return isinstance(size, (torch.SymInt, torch.SymBool, torch.SymFloat))


def has_symbols(tensor: torch.Tensor) -> bool:
    """Whether a tensor's sizes are known at run time only."""
    return any(is_symbolic(s) for s in tensor.shape)


def no_new_guards(fake_mode):
    """A context in which code that would look at a symbolic size, and so be right for the example's size
    only, raises GuardError."""
    environment = fake_mode.shape_env
    return contextlib.nullcontext() if environment is None else environment.error_on_new_guards()


class Bounds:
    """Upper bounds of sizes, given the range of each symbol (inclusive)."""

    def __init__(self, ranges: dict[sympy.Symbol, ValueRanges]):
        self.ranges = ranges
        self._cache: dict[sympy.Expr, int] = {}

    def upper(self, size: Size) -> int:
        """The greatest value of a size.  Raises UnboundedError."""
        if isinstance(size, int):
            return size
        expr = expr_of(size)
        if expr not in self._cache:
            self._cache[expr] = self._upper(expr)
        return self._cache[expr]

    def _upper(self, expr: sympy.Expr) -> int:
        unbounded = {
            s for s in expr.free_symbols if s not in self.ranges or self.ranges[s].upper in (int_oo, sympy.oo)
        }
        known = {s: r for s, r in self.ranges.items() if s in expr.free_symbols}
        for s in unbounded:
            known[s] = ValueRanges(known[s].lower if s in known else 0, int_oo)
        upper = torch.utils._sympy.value_ranges.bound_sympy(expr, known).upper
        if not upper.is_Integer or upper >= int(1e18):
            raise UnboundedError(expr, unbounded or expr.free_symbols)
        return int(upper)


class _Arithmetic(PythonReferenceAnalysis):
    """Python's arithmetic, in the operators that programs have."""

    @staticmethod
    def pow_by_natural(a, b):
        return functools.reduce(operator.mul, [a] * int(b)) if b else 1


class SizeBuilder:
    """Makes nodes for size expressions in a graph.

    A symbol's node is the size of the tensor that introduces it, made once, right behind that
    tensor.  The arithmetic of an expression goes where the caller inserts it.
    """

    def __init__(self, graph: fx.Graph):
        self.graph = graph
        self._symbols: dict[sympy.Symbol, fx.Node] = {}
        self._sources: dict[sympy.Symbol, tuple[fx.Node, int]] = {}
        for node in graph.nodes:
            self._add_source(node)

    def _add_source(self, node: fx.Node) -> None:
        value = node.meta.get("val")
        if isinstance(value, torch.Tensor):
            for dim, size in enumerate(value.shape):
                if is_symbolic(size) and expr_of(size).is_Symbol:
                    self._sources.setdefault(expr_of(size), (node, dim))
        elif isinstance(value, torch.SymInt) and expr_of(value).is_Symbol:
            self._symbols.setdefault(expr_of(value), node)

    def _symbol(self, symbol: sympy.Symbol) -> fx.Node:
        if symbol not in self._symbols:
            source, dim = self._sources[symbol]
            after = source
            while after.next.op == "placeholder":
                after = after.next
            with self.graph.inserting_after(after):
                node = self.graph.call_function(torch.ops.aten.sym_size.int, (source, dim))
            node.meta["val"] = source.meta["val"].shape[dim]
            self._symbols[symbol] = node
        return self._symbols[symbol]

    def build(self, size: Size | sympy.Expr) -> int | fx.Node:
        """The node (or int) of a size, at the graph's insertion point."""
        expr = size if isinstance(size, sympy.Expr) else expr_of(size)
        if expr.is_Integer:
            return int(expr)
        if expr.is_Symbol:
            return self._symbol(expr)
        tracer = fx.proxy.GraphAppendingTracer(self.graph)
        env = {s: fx.Proxy(self._symbol(s), tracer) for s in expr.free_symbols}
        before = set(self.graph.nodes)
        result = sympy_interp(_Arithmetic, env, expr).node
        for node in self.graph.nodes:
            if node not in before:
                node.meta["val"] = _evaluate(node)
        return result


def _evaluate(node: fx.Node):
    args = fx.map_arg(node.args, lambda n: n.meta["val"])
    return node.target(*args)


# Python functions on sizes that graphs may hold, with the operators of the program that compute them.
SIZE_OPERATORS: dict[Callable, str] = {
    operator.add: "executorch_prim::add.Scalar",
    operator.sub: "executorch_prim::sub.Scalar",
    operator.mul: "executorch_prim::mul.Scalar",
    operator.floordiv: "executorch_prim::floordiv.Scalar",
    operator.truediv: "executorch_prim::truediv.Scalar",
    operator.mod: "executorch_prim::mod.Scalar",
    operator.neg: "executorch_prim::neg.Scalar",
    operator.eq: "executorch_prim::eq.Scalar",
    operator.gt: "executorch_prim::gt.Scalar",
    operator.lt: "executorch_prim::lt.Scalar",
    operator.ge: "executorch_prim::ge.Scalar",
    operator.le: "executorch_prim::le.Scalar",
    torch.sym_max: "executorch_prim::sym_max.Scalar",
    torch.sym_min: "executorch_prim::sym_min.Scalar",
    torch.sym_not: "executorch_prim::sym_not.Scalar",
    torch.sym_float: "executorch_prim::sym_float.Scalar",
    torch.sym_int: "executorch_prim::trunc.Scalar",
    torch.sym_ite: "executorch_prim::sym_ite.Scalar",
}
