# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Control flow as jumps.

Results of branches and loops have values of their own; the bodies' results are copied into them, since the
same instruction list must leave them in one place whichever way it took.
"""

from __future__ import annotations

import torch
from torch import fx

from rushlight.dialect.symbolic import is_symbolic
from rushlight.emit.values import Label, ScalarValue, TensorValue

hop = torch.ops.higher_order


def _body(node: fx.Node, argument: fx.Node) -> fx.GraphModule:
    return getattr(node.graph.owning_module, argument.target)


def _run_body(e, body: fx.GraphModule, arguments) -> list:
    """Emits a body with these values for its placeholders; returns the values of its results."""
    placeholders = [n for n in body.graph.nodes if n.op == "placeholder"]
    env = dict(zip(placeholders, arguments, strict=True))
    with e.scope(env):
        e.emit_graph(body.graph, env)
    results = body.graph.output_node().args[0]
    results = results if isinstance(results, (tuple, list)) else [results]
    return [env[r] if isinstance(r, fx.Node) else e.constant(r) for r in results]


def _values(e, env, arguments) -> list:
    return [env[a] if isinstance(a, fx.Node) else e.constant(a) for a in arguments]


def _result(e, value):
    if isinstance(value, torch.Tensor):
        return e.tensor(value)
    return e.scalar(value) if value is not None else e.constant(None)


def _assign(e, source, to, node) -> None:
    """Leaves a value in another one."""
    if isinstance(to, TensorValue):
        e.clone(e.contiguous(source, node), node, into=to)
    elif isinstance(to, ScalarValue):
        e.move(source, to, node)


def _assign_all(e, sources, to, node) -> None:
    """Leaves several values in others at once: no source is overwritten before it was read."""
    targets = {id(t) for t in to}
    storages = {id(t.storage) for t in to if isinstance(t, TensorValue)}

    def safe(source, target):
        if source is target:
            return source
        if isinstance(source, TensorValue) and id(source.storage) in storages:
            return e.clone(source, node)
        if isinstance(source, ScalarValue) and id(source) in targets:
            copy = e.scalar(source.initial)
            e.move(source, copy, node)
            return copy
        return source

    safe_sources = [safe(s, t) for s, t in zip(sources, to, strict=True)]
    for source, target in zip(safe_sources, to, strict=True):
        if source is not target:
            _assign(e, source, target, node)


def emit_cond(e, node: fx.Node, env):
    predicate, true_graph, false_graph, operands = node.args
    if not isinstance(predicate, fx.Node):  # known when the model was exported
        chosen = true_graph if predicate else false_graph
        return tuple(_run_body(e, _body(node, chosen), _values(e, env, operands)))
    results = [_result(e, v) for v in node.meta["val"]]
    otherwise, end = Label(), Label()
    arguments = _values(e, env, operands)
    e.jump_false(env[predicate], otherwise, node)
    _assign_all(e, _run_body(e, _body(node, true_graph), arguments), results, node)
    e.jump_false(e.constant(False), end, node)
    e.place(otherwise)
    _assign_all(e, _run_body(e, _body(node, false_graph), arguments), results, node)
    e.place(end)
    return tuple(results)


def _select(e, source: TensorValue, index: ScalarValue, like: torch.Tensor, node) -> TensorValue:
    """source[index], in a tensor of its own."""
    out = e.tensor(like)
    e.kernel(
        "aten::select_copy.int_out",
        [e.contiguous(source, node), e.constant(0), index, out, out],
        reads=[source],
        writes=[out],
        node=node,
    )
    return out


def _stack_into(e, to: TensorValue, value: TensorValue, index: ScalarValue, node) -> None:
    """to[index] = value, where `to` grows with the index."""
    value = e.contiguous(value, node)
    e.kernel(
        "executorch_prim::et_copy_index.tensor",
        [to, value, index],
        reads=[value, to],
        writes=[to],
        node=node,
    )


class _CountedLoop:
    """for index in range(source.shape[0]), as instructions; zero times too."""

    def __init__(self, e, source: TensorValue, length, node: fx.Node):
        self.e, self.source, self.length, self.node = e, source, length, node
        self.index = e.scalar(0)
        self.start, self.end = Label(), Label()

    def __enter__(self):
        e = self.e
        e.move(e.constant(0), self.index, self.node)
        if is_symbolic(self.length):
            self.count = e.scalar(0)
            e.kernel(
                "aten::sym_size.int",
                [self.source, e.constant(0), self.count],
                reads=[self.source],
                node=self.node,
            )
        else:
            self.count = e.constant(int(self.length))
        self.first = len(e.method.instructions)
        e.place(self.start)
        more = e.scalar(False)
        e.kernel("executorch_prim::lt.Scalar", [self.index, self.count, more], node=self.node)
        e.jump_false(more, self.end, self.node)
        return self.index

    def __exit__(self, *_):
        e = self.e
        e.kernel("executorch_prim::add.Scalar", [self.index, e.constant(1), self.index], node=self.node)
        e.jump_false(e.constant(False), self.start, self.node)
        e.method.loops.append((self.first, len(e.method.instructions) - 1))
        e.place(self.end)


def _stacked_results(e, values, node) -> list[TensorValue]:
    results = [e.tensor(v) for v in values]
    for r in results:
        r.dynamic = True  # grown one slice at a time
    return results


def emit_map(e, node: fx.Node, env):
    body_graph, mapped, others = node.args
    body = _body(node, body_graph)
    xs, rest = _values(e, env, mapped), _values(e, env, others)
    results = _stacked_results(e, node.meta["val"], node)
    placeholders = [n for n in body.graph.nodes if n.op == "placeholder"]
    with _CountedLoop(e, xs[0], mapped[0].meta["val"].shape[0], node) as index:
        slices = [_select(e, x, index, p.meta["val"], node) for x, p in zip(xs, placeholders, strict=False)]
        for to, value in zip(results, _run_body(e, body, [*slices, *rest]), strict=True):
            _stack_into(e, to, value, index, node)
    return tuple(results)


def emit_scan(e, node: fx.Node, env):
    body_graph, initial, scanned, additional = node.args
    body = _body(node, body_graph)
    values = list(node.meta["val"])
    carried = [_result(e, v) for v in values[: len(initial)]]
    stacked = _stacked_results(e, values[len(initial) :], node)
    xs, rest = _values(e, env, scanned), _values(e, env, additional)
    _assign_all(e, _values(e, env, initial), carried, node)
    placeholders = [n for n in body.graph.nodes if n.op == "placeholder"][len(initial) :]
    with _CountedLoop(e, xs[0], scanned[0].meta["val"].shape[0], node) as index:
        slices = [_select(e, x, index, p.meta["val"], node) for x, p in zip(xs, placeholders, strict=False)]
        out = _run_body(e, body, [*carried, *slices, *rest])
        for to, value in zip(stacked, out[len(initial) :], strict=True):
            _stack_into(e, to, value, index, node)
        _assign_all(e, out[: len(initial)], carried, node)
    return (*carried, *stacked)


def emit_while(e, node: fx.Node, env):
    condition_graph, body_graph, initial, additional = node.args
    condition, body = _body(node, condition_graph), _body(node, body_graph)
    carried = [_result(e, v) for v in node.meta["val"]]
    rest = _values(e, env, additional)
    _assign_all(e, _values(e, env, initial), carried, node)
    start, end = Label(), Label()
    first = len(e.method.instructions)
    e.place(start)
    (more,) = _run_body(e, condition, [*carried, *rest])
    e.jump_false(more, end, node)
    _assign_all(e, _run_body(e, body, [*carried, *rest]), carried, node)
    e.jump_false(e.constant(False), start, node)
    e.method.loops.append((first, len(e.method.instructions) - 1))
    e.place(end)
    return tuple(carried)


EMITTERS = {
    hop.cond: emit_cond,
    hop.map_impl: emit_map,
    hop.scan: emit_scan,
    hop.while_loop: emit_while,
}
