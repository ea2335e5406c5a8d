# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The memory planner from Python, and planners in its place."""

import pytest
from rushlight import _native


def test_plan():
    buffers = [
        (100, 16, 0, 1, 1, None),
        (100, 16, 1, 2, 1, None),  # in place of the first
        (64, 64, 2, 3, 1, None),
        (10, 16, None, None, 1, None),  # persistent
        (32, 16, 0, 3, 2, 32),  # fixed, elsewhere
    ]
    in_place = [(0, 1)]
    offsets, sizes = _native.plan_memory(buffers, in_place)
    assert offsets[0] == offsets[1] and offsets[4] == 32
    assert offsets[2] % 64 == 0
    bounds = _native.memory_lower_bounds(buffers, in_place)
    assert sizes[1] == bounds[1] == 64
    assert bounds[0] <= sizes[0] < 100 + 64 + 64 + 16
    _native.verify_plan(buffers, in_place, offsets, sizes)
    with pytest.raises(_native.Error):
        _native.verify_plan(buffers, [], offsets, sizes)


def test_nothing_to_plan():
    assert _native.plan_memory([]) == ([], [])
    assert _native.memory_lower_bounds([]) == []
    _native.verify_plan([], [], [], [])


def stack(buffers, in_place):
    """A planner in the same form: no reuse at all."""
    offsets, end = [], 0
    for size, alignment, *_ in buffers:
        offsets.append(-(-end // alignment) * alignment)
        end = offsets[-1] + size
    return offsets, [end]


def careless(buffers, in_place):
    return [0] * len(buffers), [max(b[0] for b in buffers)]


def test_planners_of_users():
    buffers = [(16 * n, 32, n, n + 2, 1, None) for n in range(1, 20)]
    for planner in (_native.plan_memory, stack):
        _native.verify_plan(buffers, [], *planner(buffers, []))
    with pytest.raises(_native.Error):
        _native.verify_plan(buffers, [], *careless(buffers, []))


@pytest.mark.parametrize("buffer", [
    (16, 24, 0, 1, 1, None), (16, 16, 1, 0, 1, None), (16, 16, 0, 1, 0, None),
    (16, 16, 0, 1, 1000, None), (2**64 - 1, 16, 0, 1, 1, None), (16, 16, 0, 1, 1, 8),
])  # fmt: skip
def test_refused(buffer):
    with pytest.raises(_native.Error):
        _native.plan_memory([buffer])


def test_wrong_types():
    with pytest.raises(TypeError):
        _native.plan_memory([(-1, 16, 0, 1, 1, None)])
    with pytest.raises(TypeError):
        _native.plan_memory([(16, 16)])
    with pytest.raises(_native.Error):
        _native.plan_memory([(16, 16, 0, 1, 1, None)], [(0, 7)])
