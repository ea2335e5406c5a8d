# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Lifetimes of a method's storages, and the request to the memory planner.

The planner itself is C++ (src/compiler/memory_planner.h).  A user's own is a function from a PlanRequest
to a MemoryPlan; what it answers is checked before it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from rushlight import _native
from rushlight.emit.values import MethodIR, Storage, TensorValue

ALIGNMENT = 16


@dataclass
class Buffer:
    """One storage: bytes, the first and last instruction that use it (-1: before the first), and the
    memory it lies in.  `persistent`: it keeps its contents for ever.  `fixed_offset`: where it must lie."""

    nbytes: int
    first_use: int
    last_use: int
    memory_id: int = 1
    persistent: bool = False
    alignment: int = ALIGNMENT
    fixed_offset: int | None = None


@dataclass
class PlanRequest:
    """`in_place`: (input, output), positions in `buffers`: the instruction that reads the input last
    writes the output first, element by element; they may be one memory."""

    buffers: list[Buffer] = field(default_factory=list)
    in_place: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class MemoryPlan:
    """The offset of each buffer, and the bytes of memory ids 1, 2, ..."""

    offsets: list[int]
    sizes: list[int]


MemoryPlanner = Callable[[PlanRequest], MemoryPlan]


def plan_memory(request: PlanRequest) -> MemoryPlan:
    """The planner of the library."""
    offsets, sizes = _native.plan_memory(*_columns(request))
    return MemoryPlan(offsets, sizes)


def lower_bounds(request: PlanRequest) -> list[int]:
    """Bytes that no plan can go below, for each memory id: the largest sum of live bytes."""
    return _native.memory_lower_bounds(*_columns(request))


def verify_plan(request: PlanRequest, plan: MemoryPlan) -> None:
    """Raises ValueError where two buffers that live at once overlap, or one is misplaced."""
    _native.verify_plan(*_columns(request), plan.offsets, plan.sizes)


def _columns(request: PlanRequest):
    buffers = [
        (
            b.nbytes,
            b.alignment,
            None if b.persistent else b.first_use,
            None if b.persistent else b.last_use,
            b.memory_id,
            b.fixed_offset,
        )
        for b in request.buffers
    ]
    return buffers, request.in_place


class _Lifetimes:
    def __init__(self, method: MethodIR):
        self.first: dict[Storage, int] = {}
        self.last: dict[Storage, int] = {}
        end = len(method.instructions)
        for v in method.inputs:
            self._use(v, -1)
        for position, instruction in enumerate(method.instructions):
            for v in (*instruction.reads, *instruction.writes):
                self._use(v, position)
        for v in method.outputs:
            self._use(v, end)
        # What is alive when a loop begins, or carried by it, must not be overwritten in any round.
        for begin, last in sorted(method.loops, key=lambda loop: loop[1] - loop[0]):
            for storage in self.first:
                if self.first[storage] > last or self.last[storage] < begin:
                    continue
                outside = self.first[storage] < begin or self.last[storage] > last
                if outside:
                    self.first[storage] = min(self.first[storage], begin)
                    self.last[storage] = max(self.last[storage], last)

    def _use(self, value, position: int) -> None:
        if not isinstance(value, TensorValue) or value.storage is None:
            return
        self.first[value.storage] = min(self.first.get(value.storage, position), position)
        self.last[value.storage] = max(self.last.get(value.storage, position), position)


def make_request(method: MethodIR) -> tuple[PlanRequest, list[Storage]]:
    """The request for a method's planned storages, and the storages in its order."""
    lifetimes = _Lifetimes(method)
    storages = [s for s in lifetimes.first if s.planned]
    # State that is never touched still has its place.
    known = set(storages)
    for v in method.values:
        if isinstance(v, TensorValue) and v.storage is not None and v.storage.planned:
            if v.storage not in known:
                known.add(v.storage)
                storages.append(v.storage)
                lifetimes.first.setdefault(v.storage, -1)
                lifetimes.last.setdefault(v.storage, -1)
    position = {s: i for i, s in enumerate(storages)}
    request = PlanRequest()
    for s in storages:
        request.buffers.append(
            Buffer(s.nbytes, lifetimes.first[s], lifetimes.last[s], s.memory_id, s.persistent,
                   fixed_offset=s.offset)
        )  # fmt: skip
        for taken in s.reuses:
            if taken in position and lifetimes.last[taken] == lifetimes.first[s]:
                request.in_place.append((position[taken], position[s]))
    return request, storages


def apply_plan(storages: list[Storage], plan: MemoryPlan) -> None:
    for storage, offset in zip(storages, plan.offsets, strict=True):
        storage.offset = offset
