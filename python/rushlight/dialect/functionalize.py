# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Removes mutation from a graph: afterwards no operator writes to its arguments.

Works on a decomposed graph.  A tensor and its views share a `_Family`; a write to one of them makes
a new version of the family's base (through the inverse of each view), and a member that is used
afterwards is taken from that version again.  Inputs that were written to are returned, so that the
program can write them back (or update them in place) at its end.
"""

from __future__ import annotations

import torch
from torch import fx

from rushlight.dialect.decompose import fake_mode_of, inherit
from rushlight.dialect.symbolic import SizeBuilder, has_symbols
from rushlight.obstacles import cannot

aten = torch.ops.aten


def functionalize(graph: fx.Graph) -> dict[fx.Node, fx.Node]:
    """Rewrites the graph in place.  Returns, for each placeholder that was written to, the node that
    holds its final value."""
    if not any(_written_arguments(n) for n in graph.nodes):
        return {}
    _split_into_slices(graph)
    return _Functionalizer(graph).run()


def _split_into_slices(graph: fx.Graph) -> None:
    """Replaces operators that return lists of views by one view for each part."""
    for node in list(graph.nodes):
        if node.target is not aten.split_with_sizes.default:
            continue
        dim = node.args[2] if len(node.args) > 2 else node.kwargs.get("dim", 0)
        start = 0
        starts = []
        for size in node.args[1]:
            starts.append(start)
            start = size + start if isinstance(start, int) and isinstance(size, int) else None
            if start is None:
                raise cannot(node, "writing to tensors beside parts of symbolic sizes")
        for part in list(node.users):
            i = part.args[1]
            with graph.inserting_before(part):
                view = graph.call_function(
                    aten.slice.Tensor, (node.args[0], dim, starts[i], starts[i] + node.args[1][i])
                )
            view.meta.update(part.meta)
            part.replace_all_uses_with(view)
            graph.erase_node(part)
        graph.erase_node(node)


def _written_arguments(node: fx.Node) -> list[fx.Node]:
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return []
    written = []
    for i, a in enumerate(node.target._schema.arguments):
        if a.alias_info is None or not a.alias_info.is_write:
            continue
        value = node.args[i] if i < len(node.args) else node.kwargs.get(a.name)
        written.extend(v for v in (value if isinstance(value, (list, tuple)) else [value]) if v is not None)
    return written


def _is_view(node: fx.Node) -> bool:
    if not isinstance(node.target, torch._ops.OpOverload):
        return False
    return any(r.alias_info is not None and not r.alias_info.is_write for r in node.target._schema.returns)


class _Family:
    """A base tensor and its views."""

    def __init__(self, base: fx.Node):
        self.base = base
        self.current = base  # the newest version of the base
        self.version = 0


class _Member:
    """A tensor of a family: the view of it that `node` is, made from `parent` (None: the base)."""

    def __init__(self, family: _Family, node: fx.Node, parent: _Member | None):
        self.family = family
        self.node = node
        self.parent = parent
        self.current = node
        self.version = family.version


class _Functionalizer:
    def __init__(self, graph: fx.Graph):
        self.graph = graph
        self.sizes = SizeBuilder(graph)
        self.members: dict[fx.Node, _Member] = {}

    def run(self) -> dict[fx.Node, fx.Node]:
        for node in list(self.graph.nodes):
            if node.op == "placeholder":
                self.members[node] = _Member(_Family(node), node, None)
            elif node.op == "output":
                node.args = fx.map_arg(node.args, lambda n, user=node: self._refreshed(n, user))
            elif node.op == "call_function":
                self._visit(node)
        return {
            m.node: m.family.current
            for m in self.members.values()
            if m.parent is None and m.node.op == "placeholder" and m.family.version > 0
        }

    def _visit(self, node: fx.Node) -> None:
        written = _written_arguments(node)
        if written:
            self._write(node, written)
            return
        source = node.args[0] if node.args else None
        node.args = fx.map_arg(node.args, lambda n: self._refreshed(n, node))
        node.kwargs = fx.map_arg(node.kwargs, lambda n: self._refreshed(n, node))
        if _is_view(node) and source in self.members:
            parent = self.members[source]
            self.members[node] = _Member(parent.family, node, parent)
        elif isinstance(node.meta.get("val"), torch.Tensor):
            self.members[node] = _Member(_Family(node), node, None)

    def _refreshed(self, node: fx.Node, user: fx.Node) -> fx.Node:
        """The node's tensor as it is now, where it is used by `user`."""
        member = self.members.get(node)
        if member is None or member.node is not node:
            return node
        return self._current(member, user)

    def _current(self, member: _Member, before: fx.Node) -> fx.Node:
        if member.version < member.family.version:
            if member.parent is None:
                member.current = member.family.current
            else:
                source = self._current(member.parent, before)
                with self.graph.inserting_before(before):
                    args = (source, *member.node.args[1:])
                    member.current = self._call(
                        member.node.target,
                        args,
                        member.node.kwargs,
                        member.node.meta["val"],
                        member.node,
                    )
            member.version = member.family.version
        return member.current

    def _call(self, target, args, kwargs, value, like: fx.Node) -> fx.Node:
        node = self.graph.call_function(target, args, kwargs)
        node.meta["val"] = value
        inherit(node, like)
        return node

    def _write(self, node: fx.Node, written: list[fx.Node]) -> None:
        if len(written) != 1:
            raise cannot(node, f"{node.target} writes to several tensors")
        member = self.members.get(written[0])
        if member is None:
            raise cannot(node, f"{node.target} writes to a tensor of unknown origin")
        functional = _functional_variant(node)
        new_args = fx.map_arg(node.args, lambda n: self._refreshed(n, node))
        new_kwargs = fx.map_arg(node.kwargs, lambda n: self._refreshed(n, node))
        with self.graph.inserting_before(node):
            value = self._call(functional, new_args, new_kwargs, member.node.meta["val"], node)
            family = member.family
            family.current = self._base_with(member, value, node)
        family.version += 1
        member.current = value
        member.version = family.version
        if member.parent is None:
            family.current = value
        # Who used the operator's result used the tensor that was written to.
        node.replace_all_uses_with(member.node)
        self.graph.erase_node(node)

    def _base_with(self, member: _Member, value: fx.Node, before: fx.Node) -> fx.Node:
        """The family's base with the member's part replaced by `value`."""
        while member.parent is not None:
            base = self._current(member.parent, before)
            value = self._inverse(member.node, base, value)
            member = member.parent
        return value

    def _inverse(self, view: fx.Node, base: fx.Node, value: fx.Node) -> fx.Node:
        """`base`, with what `view` shows of it replaced by `value`."""
        rest = view.args[1:]
        target = view.target
        if target in (aten.alias.default, aten.detach.default):
            return value
        if target in (aten.slice.Tensor, aten.select.int, aten.diagonal.default):
            scatter = {
                aten.slice.Tensor: aten.slice_scatter.default,
                aten.select.int: aten.select_scatter.default,
                aten.diagonal.default: aten.diagonal_scatter.default,
            }[target]
            return self._call(scatter, (base, value, *rest), view.kwargs, base.meta["val"], view)
        if target is aten.permute.default:
            rank = len(rest[0])
            inverse = [0] * rank
            for i, d in enumerate(rest[0]):
                inverse[d % rank] = i
            return self._call(aten.permute.default, (value, inverse), {}, base.meta["val"], view)
        whole = (
            target is aten.expand.default
            and not has_symbols(view.meta["val"])
            and (view.meta["val"].numel() == base.meta["val"].numel())
        )
        if whole or target in (
            aten.view.default,
            aten.unsqueeze.default,
            aten.squeeze.dims,
            aten.squeeze.dim,
            aten.squeeze.default,
            aten._unsafe_view.default,
        ):
            shape = [self.sizes.build(s) for s in base.meta["val"].shape]
            return self._call(aten.view.default, (value, shape), {}, base.meta["val"], view)
        if target is aten.as_strided.default and not has_symbols(base.meta["val"]):
            return self._strided_inverse(view, base, value)
        raise cannot(view, f"a write through this view ({target}) cannot be expressed without mutation")

    def _strided_inverse(self, view: fx.Node, base: fx.Node, value: fx.Node) -> fx.Node:
        """The elements that a strided view shows are found by taking the same view of their positions."""
        like, shown = base.meta["val"], view.meta["val"]

        def call(target, args, size, dtype=like.dtype):
            with fake_mode_of(self.graph):
                return self._call(target, args, {}, torch.empty(size, dtype=dtype), view)

        index = torch.int64
        positions = call(aten.arange.default, (like.numel(),), like.numel(), index)
        positions = call(aten.as_strided.default, (positions, *view.args[1:]), shown.shape, index)
        positions = call(aten.view.default, (positions, [-1]), shown.numel(), index)
        part = call(aten.view.default, (value, [-1]), shown.numel())
        flat = call(aten.view.default, (base, [-1]), like.numel())
        flat = call(aten.index_put.default, (flat, [positions], part), like.numel())
        return self._call(aten.view.default, (flat, list(like.shape)), {}, like, view)


def _functional_variant(node: fx.Node) -> torch._ops.OpOverload:
    """The overload that returns what an in-place operator writes: the one with the same arguments."""
    name = node.target._schema.name.split("::")[1]
    packet = getattr(getattr(torch.ops, node.target.namespace), name.removesuffix("_"), None)
    wanted = [(a.name, str(a.type)) for a in node.target._schema.arguments]
    if name.endswith("_") and packet is not None:
        for overload in packet.overloads():
            op = getattr(packet, overload)
            if [(a.name, str(a.type)) for a in op._schema.arguments] == wanted:
                return op
    raise cannot(node, f"{node.target} has no functional form")
