# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Values that depend on positions alone: rotations, masks, indices.

They are not recognised by their shape but evaluated, so that any way to write them will do: for all
positions at once, and again for pieces, since a value that is looked up later must not depend on its
neighbours.
"""

from __future__ import annotations

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from rushlight.dialect.symbolic import SIZE_OPERATORS
from rushlight.passes.base import constant_tensors, input_specs

_NOTHING = -1e30  # scores below it are as good as minus infinity


def seen(mask: torch.Tensor) -> torch.Tensor | None:
    """bool: what a mask leaves, which is of bool, or of floats that are 0 or next to minus infinity; None for
    other floats."""
    if mask.dtype == torch.bool:
        return mask
    left = mask == 0
    return left if bool((left | (mask < _NOTHING)).all()) else None


class Positions:
    """The method's input of positions, int64 [S], and what follows from it."""

    def __init__(self, program: ExportedProgram, node: fx.Node):
        self.node = node
        self._constants = constant_tensors(program)
        self._depends: dict[fx.Node, bool] = {}
        for n in program.graph.nodes:
            if n.op == "call_function" and (
                isinstance(n.target, torch._ops.OpOverload) or n.target in SIZE_OPERATORS
            ):
                self._depends[n] = all(self._known(i) for i in n.all_input_nodes)

    def _known(self, node: fx.Node) -> bool:
        return node is self.node or node in self._constants or self._depends.get(node, False)

    def follows(self, node) -> bool:
        """Whether a node's value depends on positions and constants alone."""
        return isinstance(node, fx.Node) and self._known(node)

    def value(self, node: fx.Node, positions: torch.Tensor) -> torch.Tensor:
        """A node's value for positions int64 [S].  Requires: follows(node)."""
        values: dict[fx.Node, object] = {self.node: positions}

        def of(n):
            if n not in values:
                if n in self._constants:
                    values[n] = self._constants[n]
                else:
                    for i in n.all_input_nodes:
                        of(i)
                    args = fx.map_arg(n.args, lambda i: values[i])
                    kwargs = fx.map_arg(n.kwargs, lambda i: values[i])
                    values[n] = n.target(*args, **kwargs)
            return values[n]

        with torch.no_grad():
            return of(node)

    def are(self, node, limit: int) -> bool:
        """Whether a node's value is the positions themselves, for positions below `limit`."""
        if not self.follows(node):
            return False
        for first, last in ((0, 1), (0, min(3, limit)), (limit // 2, limit), (limit - 1, limit)):
            at = torch.arange(first, last)
            value = self.value(node, at)
            if value.dtype != torch.int64 or value.numel() != len(at) or not torch.equal(value.flatten(), at):
                return False
        return True

    def table(self, node, limit: int) -> torch.Tensor | None:
        """float32 [limit, D]: a node's value [1, ..., S, D] for each position; None where it is no
        such table."""
        if not self.follows(node):
            return None
        everything = self.value(node, torch.arange(limit))
        if everything.dtype != torch.float32 or everything.numel() != limit * everything.shape[-1]:
            return None
        table = everything.reshape(limit, -1)
        for first, last in ((0, 1), (limit // 2, limit // 2 + 3), (limit - 1, limit)):
            last = min(last, limit)
            piece = self.value(node, torch.arange(first, last)).reshape(last - first, -1)
            if not torch.equal(piece, table[first:last]):
                return None
        return table.contiguous()

    def window(self, mask, limit: int) -> int | None:
        """What a mask [1, 1, S, limit] leaves: 0, everything up to the row's own position; n, the
        last n of these; None, something else."""
        if not self.follows(mask):
            return None
        last = seen(self.value(mask, torch.arange(limit - 1, limit)))
        if last is None or last.numel() != limit:
            return None
        count = int(last.sum())
        window = 0 if count == limit else count
        columns = torch.arange(limit)
        pieces = range(0, limit, 256)
        if len(pieces) > 64:  # rows that say as much as all of them
            pieces = sorted({0, 256 * (len(pieces) - 1), *(256 * (len(pieces) * i // 64) for i in range(64))})
        for first in pieces:
            rows = torch.arange(first, min(first + 256, limit))
            expected = columns <= rows[:, None]
            if window:
                expected &= columns > rows[:, None] - window
            value = seen(self.value(mask, rows))
            if value is None or value.numel() != expected.numel():
                return None
            if not torch.equal(value.reshape(expected.shape), expected):
                return None
        return window


def find_positions(program: ExportedProgram) -> list[fx.Node]:
    """Inputs int64 [S] that may be positions."""
    return [
        node
        for node, spec in input_specs(program).items()
        if spec.kind == InputKind.USER_INPUT
        and isinstance(node.meta.get("val"), torch.Tensor)
        and node.meta["val"].dtype == torch.int64
        and node.meta["val"].dim() == 1
    ]
