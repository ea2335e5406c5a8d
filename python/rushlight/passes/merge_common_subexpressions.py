# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Computes equal things once."""

from __future__ import annotations

import torch
from torch import fx
from torch.export import ExportedProgram

from rushlight.passes.base import Pass, constant_tensors, graph_modules


def _key(x):
    """A hashable form of an argument; 1, 1.0 and True differ."""
    if isinstance(x, fx.Node):
        return x
    if isinstance(x, (list, tuple)):
        return tuple(_key(i) for i in x)
    if isinstance(x, dict):
        return tuple(sorted((k, _key(v)) for k, v in x.items()))
    if isinstance(x, float):
        return (float, x.hex())
    if isinstance(x, slice):
        return (slice, _key(x.start), _key(x.stop), _key(x.step))
    return (type(x), x)


def _is_pure(node: fx.Node) -> bool:
    if node.op != "call_function":
        return False
    if isinstance(node.target, torch._ops.OpOverload):
        return (
            not node.target._schema.is_mutable and torch.Tag.nondeterministic_seeded not in node.target.tags
        )
    return not isinstance(node.target, torch._ops.HigherOrderOperator)


class MergeCommonSubexpressions(Pass):
    def call(self, program: ExportedProgram) -> bool:
        modified = self._merge_tied_constants(program)
        for module in graph_modules(program.graph_module):
            modified |= self._merge(module.graph)
        return modified

    @staticmethod
    def _merge(graph: fx.Graph) -> bool:
        seen: dict[object, fx.Node] = {}
        modified = False
        for node in list(graph.nodes):
            if not _is_pure(node):
                continue
            key = (node.target, _key(node.args), _key(node.kwargs))
            first = seen.setdefault(key, node)
            if first is not node:
                node.replace_all_uses_with(first)
                graph.erase_node(node)
                modified = True
        return modified

    @staticmethod
    def _merge_tied_constants(program: ExportedProgram) -> bool:
        """Parameters that are one tensor under several names (tied embeddings)."""
        seen: dict[object, fx.Node] = {}
        modified = False
        for node, tensor in constant_tensors(program).items():
            key = (
                tensor.untyped_storage().data_ptr(),
                tensor.storage_offset(),
                tensor.dtype,
                tuple(tensor.shape),
                tuple(tensor.stride()),
            )
            first = seen.setdefault(key, node) if tensor.numel() > 0 else node
            if first is not node and node.users:
                node.replace_all_uses_with(first)
                modified = True
        return modified
