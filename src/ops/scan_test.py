# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""cumsum and cumprod against PyTorch."""

import math

import pytest
import torch
from op_testing import (
    ALL_DTYPES,
    FLOATS,
    OperatorError,
    channels_last,
    check,
    random_tensor,
    run,
)  # fmt: skip

SEED = 20261128
INT64_MAX = 2**63 - 1
NAMES = ("aten::cumsum.out", "aten::cumprod.out")
SHAPES = [(), (1,), (7,), (3000,), (4, 33), (33, 4), (2, 5, 3, 6), (3, 0), (0, 3), (9000, 2)]


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


@pytest.mark.parametrize("name", NAMES)
def test_dims_and_layouts(name, rng):
    for shape in SHAPES:
        x = random_tensor(rng, shape, low=0.5, high=1.5)
        for dim in range(-1, max(len(shape), 1)):
            check(name, x, dim, rtol=2e-5)
            if len(shape) == 4:
                check(name, channels_last(x), dim)
                check(name, x.permute(3, 1, 0, 2), dim)


@pytest.mark.parametrize("name", NAMES)
def test_every_dtype(name, rng):
    for t in ALL_DTYPES:
        x = random_tensor(rng, (6, 9), t, low=-1, high=2)
        for dim in (0, 1):
            check(name, x, dim, rtol=3e-2 if t.itemsize == 2 else None)
            check(name, x, dim, dtype=torch.float32)
            check(name, x, dim, dtype=torch.int16)
    check(name, torch.full((5,), 2**62), 0)  # wraps around
    for t in FLOATS:
        check(name, torch.tensor([1, math.inf, 2, -math.inf, 1, math.nan, 0], dtype=t), 0)


def test_long_sums_are_accurate(rng):
    x = random_tensor(rng, (1_000_000,), low=0, high=1)
    check("aten::cumsum.out", x, 0, expected=x.double().cumsum(0).float(), rtol=1e-7)


def test_refusals(rng):
    x = random_tensor(rng, (2, 3))
    for name in NAMES:
        for dim in (2, -3, INT64_MAX, -INT64_MAX - 1):
            with pytest.raises(OperatorError):
                run(name, [x, dim], [torch.empty(2, 3)])
        for out in (torch.empty(2, 2), torch.empty(6), torch.empty(2, 3, 1)):
            with pytest.raises(OperatorError):
                run(name, [x, 0], [out])
        with pytest.raises(OperatorError):
            run(name, [x, 0], [torch.empty(2, 3)], {"dtype": torch.float64})
