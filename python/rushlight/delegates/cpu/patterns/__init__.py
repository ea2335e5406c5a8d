# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What models spell out, as one operator.  A pattern looks at a node that may be the last of one:

    def replace(node: fx.Node, context: Context) -> fx.Node | None

It returns the new node, put before the old one, or None where the pattern is not there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import fx
from torch.export import ExportedProgram

from rushlight.delegates.cpu.positions import Positions
from rushlight.delegates.cpu.weights import integers_of, keep_integers
from rushlight.dialect.decompose import inherit
from rushlight.passes.base import add_constant, constant_tensors, input_specs


@dataclass
class Context:
    """What patterns may ask for."""

    program: ExportedProgram
    positions: Positions | None
    limit: int  # positions there are, 0 where nothing is cached
    tables: dict = field(default_factory=dict)
    windows: dict = field(default_factory=dict)
    float_masks: dict = field(default_factory=dict)
    mask_sums: dict = field(default_factory=dict)

    def value(self, node) -> torch.Tensor | None:
        """A constant's value; None where a node is none."""
        value = constant_tensors(self.program).get(node)
        return None if value is None else value.detach()

    def evaluate(self, node) -> torch.Tensor | None:
        """The value of a node that depends on constants alone; None for others."""
        value = self.value(node)
        if value is not None or not isinstance(node, fx.Node) or not node.all_input_nodes:
            return value
        if not isinstance(node.target, torch._ops.OpOverload):
            return None
        values = {i: self.evaluate(i) for i in node.all_input_nodes}
        if any(v is None for v in values.values()):
            return None
        args, kwargs = fx.map_arg((node.args, node.kwargs), values.__getitem__)
        return node.target(*args, **kwargs)

    def constant(self, key, make: Callable[[], torch.Tensor | None], name: str, like: fx.Node):
        """A constant input of the program, made once for each key; None where make() gives none."""
        if key not in self.tables:
            tensor = make()
            self.tables[key] = None if tensor is None else add_constant(self.program, tensor, name, like)
        return self.tables[key]

    def derived(self, source: fx.Node, key: tuple, make, rows=None) -> fx.Node:
        """A constant that is made of another: make(its value).  It goes by the other's name, with what
        follows a colon.  `rows`: the same for what has as many rows, if rows are all that moves; the
        integers of a checkpoint move with them."""
        name = f"{input_specs(self.program)[source].target}:{key[0]}"
        node = self.constant((source, *key), lambda: make(self.value(source)), name, source)
        tensors = constant_tensors(self.program)
        stored = integers_of(tensors[source])
        if rows is not None and stored is not None:
            read = lambda: stored.read().rearranged(rows)  # noqa: E731
            keep_integers(tensors[node], stored.form, read, stored.activations)
        return node


def insert(node: fx.Node, target, args: tuple, value) -> fx.Node:
    """A call before `node`, in its place in the model."""
    with node.graph.inserting_before(node):
        new = node.graph.call_function(target, args)
    new.meta["val"] = value
    inherit(new, node)
    return new


def only(node, *targets) -> bool:
    """Whether a node calls one of these, for a single user."""
    return isinstance(node, fx.Node) and node.target in targets and len(node.users) == 1


def fuse(program: ExportedProgram, context: Context) -> None:
    """All patterns over a program, in place."""
    from rushlight.delegates.cpu.patterns import (
        activations,
        attention,
        eager_attention,
        linear,
        patches,
        projections,
        quantized,
        rms_norm,
        rope,
        self_attention,
    )

    for replace in (
        quantized.replace,
        patches.replace,
        linear.replace,
        linear.merge,
        linear.biased,
        linear.columns,
        projections.replace,
        activations.replace,
        rms_norm.replace,
        rope.replace,
        rope.extend,
        eager_attention.replace,
        attention.replace,
        self_attention.replace,
    ):
        for node in list(program.graph.nodes):
            if node.op != "call_function":
                continue
            new = replace(node, context)
            if new is not None:
                node.replace_all_uses_with(new)
                program.graph.erase_node(node)
        program.graph.eliminate_dead_code()
