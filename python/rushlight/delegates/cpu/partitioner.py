# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Which nodes the CPU delegate takes: all that it knows, in as few pieces as their order allows."""

from __future__ import annotations

import json
from dataclasses import asdict

import torch
from torch import fx
from torch.export import ExportedProgram

from rushlight.delegates.backend import CompileSpec
from rushlight.delegates.cpu.forms import ATTENTION, HEADS, Forms, has_groups, is_last
from rushlight.delegates.cpu.ops import CACHED_ATTENTION, QUICK_GELU, ROPE, cached_attention, quick_gelu, rope
from rushlight.delegates.cpu.patterns import Context, fuse
from rushlight.delegates.cpu.positions import Positions, find_positions
from rushlight.delegates.cpu.steps import RushlightCpu
from rushlight.delegates.cpu.weights import Quantization
from rushlight.delegates.partitioner import DelegationSpec, Partitioner, PartitionResult, tag_constant_data
from rushlight.dialect.decompose import Decomposer, core_aten_table
from rushlight.dialect.functionalize import functionalize
from rushlight.passes.base import add_constant, constant_tensors, input_specs

aten = torch.ops.aten


class CpuPartitioner(Partitioner):
    """`quantization`: how weights are stored."""

    def __init__(self, quantization: Quantization | None = None):
        self.quantization = quantization or Quantization()

    def partition(self, exported_program: ExportedProgram) -> PartitionResult:
        program = exported_program
        _fuse(program)
        forms = _open_what_is_left(program)
        spec = DelegationSpec(
            RushlightCpu.__name__,
            [CompileSpec("quantization", json.dumps(asdict(self.quantization)).encode())],
        )
        tags = {}
        for i, nodes in enumerate(_pieces(program.graph, forms)):
            tag = f"cpu{i}"
            tags[tag] = spec
            for node in nodes:
                node.meta["delegation_tag"] = tag
                if node.target is aten.view.default:
                    _infer_rows(node, forms)
                if node.target is CACHED_ATTENTION:
                    for cache in node.args[3:5]:
                        cache.meta["delegation_tag"] = tag
        _share_constants(program, tags)
        tag_constant_data(program)
        for constant in constant_tensors(program):
            if any(u.target is ATTENTION and u.args[3] is constant for u in constant.users):
                constant.meta.pop("delegation_tag", None)  # masks are arguments
        return PartitionResult(program, tags)


def _open_what_is_left(program: ExportedProgram) -> Forms:
    """The forms of a graph, in which patterns that belong to none are written out again."""
    table = {ROPE: rope, CACHED_ATTENTION: cached_attention, QUICK_GELU: quick_gelu}
    while True:
        forms = Forms(program.graph, constant_tensors(program))
        left = {n for n in program.graph.nodes if n.target in table and n not in forms.form}
        if not left:
            return forms
        Decomposer(core_aten_table(table), lambda n: n not in left).run(program.graph)  # noqa: B023
        functionalize(program.graph)
        program.graph.eliminate_dead_code()


def _infer_rows(view: fx.Node, forms: Forms) -> None:
    """Sizes of a view as numbers, the one that is not known as -1, so that no size is an input."""
    sizes = [s if isinstance(s, int) else -1 for s in view.meta["val"].shape]
    if sizes.count(-1) <= 1:
        view.args = (view.args[0], sizes)
    elif forms.form[view].kind == HEADS:
        view.target, view.args = aten.unflatten.int, (view.args[0], -1, sizes[-2:])
    else:
        view.target, view.args = aten.flatten.using_ints, (view.args[0], -2, -1)


def _share_constants(program: ExportedProgram, tags) -> None:
    """A constant that pieces share, or that others use too, becomes an input for each piece; what is
    packed from it is equal, and stored once."""
    for constant, tensor in constant_tensors(program).items():
        by_tag: dict[str, list[fx.Node]] = {}
        for user in constant.users:
            by_tag.setdefault(user.meta.get("delegation_tag"), []).append(user)
        if len(by_tag) < 2:
            continue
        for tag in by_tag.keys() & tags.keys():
            target = input_specs(program)[constant].target
            own = add_constant(program, tensor, target, constant)
            for user in by_tag[tag]:
                user.replace_input_with(constant, own)


def _fuse(program: ExportedProgram) -> None:
    for node in find_positions(program):
        positions = Positions(program, node)
        limit = _cache_positions(program, positions)
        if limit:
            return fuse(program, Context(program, positions, limit))
    fuse(program, Context(program, None, 0))


def _cache_positions(program: ExportedProgram, positions: Positions) -> int:
    """Positions of the caches that are written at the positions; 0 where there are none."""
    for node in program.graph.nodes:
        if node.target is aten.index_put.default and node.args[0].meta["val"].dim() == 4:
            limit = node.args[0].meta["val"].shape[2]
            index = node.args[1][2] if len(node.args[1]) == 3 else None
            if isinstance(limit, int) and positions.are(index, limit):
                return limit
    return 0


def _pieces(graph: fx.Graph, forms: Forms) -> list[list[fx.Node]]:
    """The nodes with forms, cut where what the delegate does not know stands between them, and where
    rows are of another number.  Nodes that no piece can hold lose their forms."""
    while True:
        pieces = _cut(graph, forms)
        left = [n for nodes in pieces if not _worthwhile(nodes) for n in nodes]
        left += [n for nodes in pieces for n in nodes if not has_groups(n, nodes, forms)]
        left += [n for nodes in pieces for n in nodes if forms.cannot_leave(n) and not {*n.users} <= {*nodes}]
        if not left:
            return pieces
        forms.drop(left)


def _cut(graph: fx.Graph, forms: Forms) -> list[list[fx.Node]]:
    least: dict[fx.Node, int] = {}  # levels of what must be where its users are
    highest = None
    while True:
        level: dict[fx.Node, int] = {}
        rows: dict[fx.Node, object] = {}  # of the piece: a single row belongs to what it is the last row of
        for node in graph.nodes:
            known = [i for i in node.all_input_nodes if i in level]
            if node in forms.form:
                rows[node] = _rows_of_piece(node, forms, rows)
                behind = (level[i] + (rows.get(i) != rows[node]) for i in known)
                level[node] = max(least.get(node, 0), *behind, 0)
            elif known:
                level[node] = max(level[i] for i in known)
        late = {
            i: level[node]
            for node in graph.nodes
            if node in forms.form
            for i in forms.inside(node)
            if level[i] < level[node]
        }
        if not late:
            break
        # What goes up with every round waits for itself: its user cannot be in the same piece.
        highest = highest or 2 * max(level.values()) + 2
        stuck = [i for i in late if late[i] > highest]
        if stuck:
            forms.drop(u for i in stuck for u in list(i.users))
            least.clear()
        else:
            least.update(late)
    pieces: dict[object, list[fx.Node]] = {}
    for node in graph.nodes:
        if node in forms.form:
            pieces.setdefault((level[node], rows[node]), []).append(node)
    return list(pieces.values())


def _rows_of_piece(node: fx.Node, forms: Forms, rows: dict):
    own = forms.form[node].rows
    if own == 1 or own is None:
        if is_last(node):
            own = forms.of(node.args[0]).rows
        return next((rows[i] for i in node.all_input_nodes if i in rows), own)
    return own


def _worthwhile(nodes: list[fx.Node]) -> bool:
    return any(n.target in (aten.linear.default, ATTENTION, CACHED_ATTENTION, ROPE) for n in nodes)
