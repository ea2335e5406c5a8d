# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""argmax, argmin, max and min over a dimension against PyTorch."""

import math

import pytest
import torch
from op_testing import (
    FLOATS,
    INTEGERS,
    OperatorError,
    channels_last,
    check,
    random_tensor,
    run,
)  # fmt: skip

SEED = 20261125
INT64_MAX = 2**63 - 1
ARG = ("aten::argmax.out", "aten::argmin.out")
EXTREME = ("aten::max.dim_max", "aten::min.dim_min")
SHAPES = [(1,), (9,), (3000,), (5, 1, 3), (40, 70), (70, 40), (6, 5, 3, 66), (9000, 3)]


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


def check_all(x, dim, keepdim=False):
    for name in ARG:
        check(name, x, dim, keepdim)
    for name in EXTREME:
        check_extreme(name, x, dim, keepdim)


def check_extreme(name, x, dim, keepdim=False):
    function = torch.max if name == "aten::max.dim_max" else torch.min
    check(name, x, dim, keepdim, expected=tuple(function(x, dim, keepdim)))


def test_dims_and_layouts(rng):
    for shape in SHAPES:
        x = random_tensor(rng, shape)
        for dim in range(-1, len(shape)):
            check_all(x, dim)
            check_all(x, dim, True)
            if len(shape) == 4:
                for y in (channels_last(x), x.permute(3, 1, 0, 2)):
                    # Outputs in the default layout: PyTorch's follow the input.
                    for name in ARG:
                        check(name, y, dim)


def test_everything(rng):
    for shape in ((), *SHAPES):
        x = random_tensor(rng, shape)
        for name in ARG:
            check(name, x)
            check(name, x, None, True)
            if len(shape) == 4:  # positions are those of the order 0, 1, 2, ...
                check(name, channels_last(x), None)


def test_every_dtype(rng):
    for t in FLOATS + INTEGERS:
        for shape in ((50,), (7, 130), (130, 7)):
            x = random_tensor(rng, shape, t)  # with many ties
            for dim in range(len(shape)):
                check_all(x, dim)
    for name in EXTREME:
        check_extreme(name, torch.tensor([[True, False], [True, True]]), 1)


def test_the_first_of_equals():
    for x in (torch.zeros(5000), torch.full((5000,), -math.inf), torch.full((20, 300), math.inf)):
        for dim in range(x.dim()):
            check_all(x, dim)
    x = torch.zeros(3, 9000)
    x[0, [4097, 8000]] = 1
    x[1, [17, 4096]] = 1
    x[2, 8999] = 1
    check_all(x, 1)
    check_all(x.t().contiguous(), 0)
    check_all(torch.tensor([-(2**63), 2**63 - 1, 2**63 - 1, -(2**63)]), 0)


def test_not_a_number():
    x = torch.arange(10000.0).reshape(2, 5000)
    x[0, [3, 4500]] = math.nan
    x[1, [4444, 4999]] = math.nan
    for t in FLOATS[:2]:
        check_all(x.to(t), 1)
        check_all(x.to(t).t().contiguous(), 0)


def test_no_elements():
    check_all(torch.empty(0, 3), 1)
    for name in ARG:
        for args, out in (
            ([torch.empty(0)], torch.empty((), dtype=torch.int64)),
            ([torch.empty(0, 3), 0], torch.empty(3, dtype=torch.int64)),
        ):
            with pytest.raises(OperatorError):
                run(name, args, [out])


def test_refusals(rng):
    x = random_tensor(rng, (2, 3))
    for dim in (2, -3, INT64_MAX, -INT64_MAX - 1):
        with pytest.raises(OperatorError):
            run("aten::argmax.out", [x, dim], [torch.empty(6, dtype=torch.int64)])
        with pytest.raises(OperatorError):
            run("aten::max.dim_max", [x, dim], [torch.empty(6), torch.empty(6, dtype=torch.int64)])
    for values, indices in (
        (torch.empty(2), torch.empty(2)),
        (torch.empty(2, dtype=torch.float64), torch.empty(2, dtype=torch.int64)),
        (torch.empty(1), torch.empty(2, dtype=torch.int64)),
        (torch.empty(2), torch.empty(1, dtype=torch.int64)),
    ):
        with pytest.raises(OperatorError):
            run("aten::max.dim_max", [x, 1], [values, indices])
    with pytest.raises(OperatorError):
        run("aten::argmax.out", [x.to(torch.uint64)], [torch.empty((), dtype=torch.int64)])
    cube = random_tensor(rng, (2, 2, 3, 4, 5))
    with pytest.raises(OperatorError):  # outputs in two layouts
        indices = channels_last(torch.empty(2, 3, 4, 5, dtype=torch.int64))
        run("aten::min.dim_min", [cube, 0], [torch.empty(2, 3, 4, 5), indices])
