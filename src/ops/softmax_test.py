# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""softmax and log_softmax against PyTorch."""

import math

import pytest
import torch
from op_testing import FLOATS, OperatorError, channels_last, check, random_tensor, run

SEED = 20261127
INT64_MAX = 2**63 - 1
INF, NAN = math.inf, math.nan
NAMES = ("aten::_softmax.out", "aten::_log_softmax.out")
SHAPES = [(), (1,), (7,), (3000,), (4, 33), (33, 4), (2, 5, 3, 6), (3, 0), (0, 3), (20000, 3)]


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


@pytest.mark.parametrize("name", NAMES)
def test_dims_and_layouts(name, rng):
    for shape in SHAPES:
        x = random_tensor(rng, shape, low=-20, high=20)
        for dim in range(-1, max(len(shape), 1)):
            check(name, x, dim, False)
            if len(shape) == 4:
                check(name, channels_last(x), dim, False)
                check(name, x.permute(3, 1, 0, 2), dim, False)


@pytest.mark.parametrize("name", NAMES)
def test_every_dtype(name, rng):
    function = torch.softmax if name == NAMES[0] else torch.log_softmax
    for t in FLOATS:
        for shape in ((5, 70), (2, 9, 4, 3)):
            x = random_tensor(rng, shape, t, low=-9, high=9)
            for dim in range(len(shape)):  # PyTorch's log_softmax subtracts in 16 bits
                check(name, x, dim, False, expected=function(x.double(), dim).to(t))
    y = random_tensor(rng, (3, 40), torch.float16)
    check(name, y, -1, False, expected=function(y.float(), -1), rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_output_in_another_layout(name, rng):
    x = random_tensor(rng, (2, 3, 4, 5))
    function = torch.softmax if name == NAMES[0] else torch.log_softmax
    for dim in range(4):
        check(name, x, dim, False, expected=channels_last(function(x, dim)))
        check(name, channels_last(x), dim, False, expected=function(x, dim))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extremes(name, dtype):
    rows = torch.tensor([
        [-INF, 0, 1, -INF], [-INF] * 4, [INF, 0, 0, 0], [INF, INF, -INF, 0], [NAN, 1, 2, 3],
        [1e30, 1e30, -1e30, 0], [3e38, -3e38, 0, 0], [-80, -90, -100, -103], [0, -86, -88, -104],
        [-1e-30, 1e-30, 0, -0.0], [88.7, 88.8, 89, 1000],
    ], dtype=dtype)  # fmt: skip
    check(name, rows, 1, False)
    long = rows.repeat(1, 600)
    check(name, long, 1, False)
    check(name, long.t().contiguous(), 0, False)


def test_exponential_is_accurate():
    """Each probability over that of the greatest element is e^x, to the last digits."""
    x = torch.linspace(-70, 0, 200_001).reshape(1, -1)
    out = torch.empty_like(x)
    run("aten::_softmax.out", [x, 1, False], [out])
    exact = torch.softmax(x.double(), 1)
    assert ((out - exact).abs() / exact).max() < 4e-7
    assert abs(out.double().sum() - 1) < 1e-6


def test_a_row_does_not_depend_on_its_company(rng):
    x = random_tensor(rng, (300, 129))
    together, alone = torch.empty(300, 129), torch.empty(1, 129)
    run("aten::_softmax.out", [x, 1, False], [together])
    for row in (0, 151, 299):
        run("aten::_softmax.out", [x[row : row + 1].clone(), 1, False], [alone])
        assert torch.equal(alone[0], together[row])


def test_refusals(rng):
    x = random_tensor(rng, (2, 3))
    for args, out in (
        ([x, 2, False], torch.empty(2, 3)),
        ([x, -3, False], torch.empty(2, 3)),
        ([x, INT64_MAX, False], torch.empty(2, 3)),
        ([x, -INT64_MAX - 1, False], torch.empty(2, 3)),
        ([x, 1, True], torch.empty(2, 3)),
        ([x, 1, False], torch.empty(2, 2)),
        ([x, 1, False], torch.empty(6)),
        ([x, 1, False], torch.empty(2, 3, dtype=torch.int32)),
        ([x.to(torch.int32), 1, False], torch.empty(2, 3)),
    ):
        for name in NAMES:
            with pytest.raises(OperatorError):
                run(name, args, [out])
