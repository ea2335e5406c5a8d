# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""How a partitioner says which nodes a delegate takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import fx
from torch.export import ExportedProgram

from rushlight.delegates.backend import CompileSpec


@dataclass(frozen=True)
class DelegationSpec:
    """Which delegate compiles a partition, and with what options."""

    backend_id: str
    compile_specs: list[CompileSpec] = field(default_factory=list)


@dataclass
class PartitionResult:
    """The program, its nodes marked with meta["delegation_tag"], and what each tag means."""

    tagged_exported_program: ExportedProgram
    partition_tags: dict[str, DelegationSpec]


class Partitioner:
    """Marks the nodes of a program that a delegate is to take.  Nodes of one tag become one delegate
    call; they must not be separated by nodes outside.  Constants that are marked too travel with the
    delegate."""

    def partition(self, exported_program: ExportedProgram) -> PartitionResult:
        raise NotImplementedError

    def ops_to_not_decompose(
        self, exported_program: ExportedProgram
    ) -> tuple[list[torch._ops.OpOverload], Callable[[fx.Node], bool] | None]:
        """Operators that to_edge shall leave whole, and a condition on the nodes (none: all)."""
        return [], None


def tag_constant_data(program: ExportedProgram) -> None:
    """Gives constants the tag of their users, where all users have the same one."""
    from rushlight.passes.base import constant_tensors

    for node in constant_tensors(program):
        tags = {u.meta.get("delegation_tag") for u in node.users}
        if len(tags) == 1 and None not in tags:
            node.meta["delegation_tag"] = tags.pop()
