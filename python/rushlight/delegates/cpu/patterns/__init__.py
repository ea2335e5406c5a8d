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
from rushlight.dialect.decompose import inherit
from rushlight.passes.base import add_constant


@dataclass
class Context:
    """What patterns may ask for."""

    program: ExportedProgram
    positions: Positions | None
    limit: int  # positions there are, 0 where nothing is cached
    tables: dict = field(default_factory=dict)
    windows: dict = field(default_factory=dict)

    def constant(self, key, make: Callable[[], torch.Tensor | None], name: str, like: fx.Node):
        """A constant input of the program, made once for each key; None where make() gives none."""
        if key not in self.tables:
            tensor = make()
            self.tables[key] = None if tensor is None else add_constant(self.program, tensor, name, like)
        return self.tables[key]


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
    from rushlight.delegates.cpu.patterns import attention, rms_norm, rope

    for replace in (rms_norm.replace, rope.replace, rope.extend, attention.replace):
        for node in list(program.graph.nodes):
            if node.op != "call_function":
                continue
            new = replace(node, context)
            if new is not None:
                node.replace_all_uses_with(new)
                program.graph.erase_node(node)
        program.graph.eliminate_dead_code()
