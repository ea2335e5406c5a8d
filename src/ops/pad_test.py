# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Padding and rolling, against PyTorch."""

import itertools

import pytest
import torch
from op_testing import (
    ALL_DTYPES,
    STORAGE_DTYPES,
    OperatorError,
    channels_last,
    check,
    in_order,
    random_tensor,
    run,
)  # fmt: skip

SEED = 20261127
INT_MAX = 2**63 - 1
INT_MIN = -(2**63)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


def check_exact(*args, **kwargs):
    check(*args, rtol=0, atol=0, **kwargs)


def test_constant_pad(rng):
    x = random_tensor(rng, (2, 3, 4))
    for pad in ([], [1, 2], [0, 0, 3, 1], [1, 0, 0, 2, 1, 1], [-1, 2], [-1, -1, -2, 3],
                [-3, 0, 4, -2], [-4, 5]):  # fmt: skip
        check_exact("aten::constant_pad_nd.out", x, pad)
        check_exact("aten::constant_pad_nd.out", x, pad, 2.5)
    check_exact("aten::constant_pad_nd.out", x, [1, 1], float("-inf"))
    check_exact("aten::constant_pad_nd.out", torch.empty(0, 3), [1, 1, 2, 2], 7)
    check_exact("aten::constant_pad_nd.out", torch.tensor(2.0), [])
    check_exact("aten::constant_pad_nd.out", random_tensor(rng, (3, 150, 200)), [7, 9, 3, 5], 1)
    for dtype in ALL_DTYPES:
        check_exact("aten::constant_pad_nd.out", random_tensor(rng, (3, 5), dtype), [1, 2, 1, 0], 1)
    y = random_tensor(rng, (2, 3, 4, 5))
    check_exact("aten::constant_pad_nd.out", channels_last(y), [1, 2, 0, 1], 3)
    check_exact("aten::constant_pad_nd.out", channels_last(y), [1, 2, 0, 1], 3,
                expected=torch.constant_pad_nd(y, [1, 2, 0, 1], 3))  # fmt: skip


PADS = {1: [[0, 0], [1, 2], [3, 0], [-1, 2], [2, -2], [-2, 3], [-1, -1]],
        2: [[1, 2, 3, 1], [0, 1, 2, 0], [-1, 2, 1, -1], [2, -3, 0, 3], [-3, 3, -2, 2]],
        3: [[1, 1, 1, 1, 1, 1], [2, 0, 0, 1, -1, 2], [0, 3, 2, 2, -1, -1]]}  # fmt: skip


@pytest.mark.parametrize("dims", (1, 2, 3))
@pytest.mark.parametrize("mode", ("reflection", "replication"))
def test_edge_pads(mode, dims, rng):
    name = f"aten::{mode}_pad{dims}d.out"
    for shape in ((2, 3) + (4, 5, 6)[3 - dims :], (3,) + (6, 4, 5)[:dims]):
        for pad in PADS[dims]:
            check_exact(name, random_tensor(rng, shape), pad)
    for pad in PADS[dims]:
        check_exact(name, torch.empty((0, 2) + (5,) * dims), pad)
    if mode == "replication":  # further than the input reaches
        check_exact(name, random_tensor(rng, (2,) + (3,) * dims), [7, 9] * dims)


def test_edge_pad_layouts(rng):
    x = random_tensor(rng, (2, 3, 6, 7))
    for mode in ("reflection", "replication"):
        name = f"aten::{mode}_pad2d.out"
        want = getattr(torch.ops.aten, f"{mode}_pad2d")(x, [2, 1, 3, 0])
        check_exact(name, channels_last(x), [2, 1, 3, 0], expected=channels_last(want))
        check_exact(name, x, [2, 1, 3, 0], expected=in_order(want, (3, 1, 0, 2)))


@pytest.mark.parametrize("dtype", STORAGE_DTYPES)
def test_every_dtype(dtype, rng):
    x = random_tensor(rng, (3, 7), dtype)
    index = torch.tensor([2, 1, 0, 1, 2, 3, 4, 5, 6, 5])
    check_exact("aten::reflection_pad1d.out", x, [2, 1], expected=x[:, index])
    check_exact("aten::roll.out", x, [3], [1])


def test_roll(rng):
    x = random_tensor(rng, (3, 4, 5))
    for shifts, dims in (([1], [0]), ([-2], [2]), ([7, -9], [1, 2]), ([1, 1, 1], [0, 1, 2]),
                         ([0], [1]), ([2, 3], [1, 1]), ([INT_MAX], [2]), ([4], []), ([-61], []),
                         ([60], [])):  # fmt: skip
        check_exact("aten::roll.out", x, shifts, dims)
    check_exact("aten::roll.out", x, [INT_MIN], [-1], expected=x.roll(INT_MIN % 5, -1))
    check_exact("aten::roll.out", torch.empty(0, 3), [1], [0])
    check_exact("aten::roll.out", torch.empty(0, 3), [1], [])
    check_exact("aten::roll.out", torch.tensor(3.0), [5], [])
    for order in itertools.permutations(range(3)):
        for shifts, dims in (([1, 2], [0, 2]), ([7], [])):
            check_exact("aten::roll.out", in_order(x, order), shifts, dims,
                        expected=in_order(x.roll(shifts, dims), (1, 2, 0)))  # fmt: skip


def refused(name, args, shape):
    with pytest.raises(OperatorError):
        run(name, args, [torch.zeros(shape)])


def test_refusals():
    x = torch.zeros(3, 4)
    refused("aten::constant_pad_nd.out", [x, [1]], (3, 4))
    refused("aten::constant_pad_nd.out", [x, [0] * 6], (3, 4))
    refused("aten::constant_pad_nd.out", [x, [-2, -3]], (3, 4))
    refused("aten::constant_pad_nd.out", [x, [-5, 9]], (3, 8))
    refused("aten::constant_pad_nd.out", [x, [INT_MAX, INT_MIN]], (3, 4))
    refused("aten::constant_pad_nd.out", [x, [2**31 - 1, 2**31 - 1]], (3, 4))
    for mode in ("reflection", "replication"):
        refused(f"aten::{mode}_pad1d.out", [x, [1, 1, 1, 1]], (3, 6))
        refused(f"aten::{mode}_pad1d.out", [x, [-2, -2]], (3, 0))
        refused(f"aten::{mode}_pad1d.out", [torch.zeros(3, 0), [1, 1]], (3, 2))
        refused(f"aten::{mode}_pad1d.out", [x, [INT_MAX, INT_MAX]], (3, 6))
        refused(f"aten::{mode}_pad2d.out", [x, [1, 1, 1, 1]], (3, 6))
        refused(f"aten::{mode}_pad1d.out", [torch.zeros(4), [1, 1]], (6,))
    refused("aten::reflection_pad1d.out", [x, [4, 0]], (3, 8))
    refused("aten::reflection_pad1d.out", [x, [0, 4]], (3, 8))
    refused("aten::roll.out", [x, [1, 2], []], (3, 4))
    refused("aten::roll.out", [x, [1], [0, 1]], (3, 4))
    refused("aten::roll.out", [x, [], []], (3, 4))
    refused("aten::roll.out", [x, [1], [2]], (3, 4))
