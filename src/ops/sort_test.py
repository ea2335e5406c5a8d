# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""sort and topk against PyTorch.  Both are stable here: of equal elements the first comes first."""

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

SEED = 20261130
INT64_MAX = 2**63 - 1
INT64_MIN = -INT64_MAX - 1
INF, NAN = math.inf, math.nan
SORT, STABLE, TOPK = "aten::sort.values", "aten::sort.values_stable", "aten::topk.values"
SHAPES = [(), (1,), (48,), (49,), (3000,), (4, 33), (70, 4), (2, 5, 3, 6), (3, 0), (0, 3)]


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


def check_sort(x, dim=-1, layout=lambda t: t):
    for descending in (False, True):
        expected = tuple(map(layout, torch.sort(x, dim=dim, descending=descending, stable=True)))
        check(SORT, x, dim, descending, expected=expected)
        check(STABLE, x, stable=None, dim=dim, descending=descending, expected=expected)


def check_topk(x, k, dim=-1, layout=lambda t: t):
    for largest in (False, True):
        values, indices = torch.sort(x, dim=dim, descending=largest, stable=True)
        expected = tuple(layout(t.narrow(dim, 0, k) if t.dim() else t) for t in (values, indices))
        check(TOPK, x, k, dim, largest, expected=expected)
        check(TOPK, x, k, dim, largest, False, expected=expected)
        if torch_has_topk(x):
            torch.testing.assert_close(
                torch.topk(x, k, dim, largest).values, layout(expected[0]), equal_nan=True
            )


def torch_has_topk(x):
    return x.dtype not in (torch.bool, torch.uint64)


def test_sort_dims_and_layouts(rng):
    for shape in SHAPES:
        x = random_tensor(rng, shape)
        for dim in range(-1, max(len(shape), 1)):
            check_sort(x, dim)
            if len(shape) == 4:
                check_sort(channels_last(x), dim)
                check_sort(x, dim, channels_last)
                check_sort(x.permute(3, 1, 0, 2), dim, torch.Tensor.contiguous)


def test_topk_dims_and_layouts(rng):
    for shape in SHAPES:
        x = random_tensor(rng, shape)
        for dim in range(-1, max(len(shape), 1)):
            n = shape[dim] if shape else 1
            for k in {1, 2, n // 2, n - 1, n} if shape else {1}:
                if 0 <= k <= n:
                    check_topk(x, k, dim)
                    if len(shape) == 4:
                        check_topk(channels_last(x), k, dim)
                        check_topk(x, k, dim, channels_last)
    check(TOPK, random_tensor(rng, (4, 5)), 0, 1)


def test_every_dtype(rng):
    for t in (*ALL_DTYPES, torch.uint64):
        for n in (9, 400):
            x = random_tensor(rng, (3, n), t)  # with many ties
            check_sort(x)
            check_topk(x, 7)
    for t in (torch.int32, torch.int64, torch.float32, torch.float64):
        x = random_tensor(rng, (5000,), t, -(2**30), 2**30)
        check_sort(x)
        check_topk(x, 100)


def test_special_numbers(rng):
    odd = [NAN, 0.0, -0.0, INF, -INF, 1.0, -1.0, -NAN, 1e-40, -1e-40, NAN]
    for t in FLOATS:
        check_sort(torch.tensor(odd, dtype=t))
        check_topk(torch.tensor(odd, dtype=t), 5)
        many = torch.tensor(odd * 30, dtype=t)[torch.randperm(330, generator=rng)]
        check_sort(many)
        check_topk(many, 200)
    ends = [INT64_MAX, INT64_MIN, 0, -1, 1, INT64_MIN, INT64_MAX]
    check_sort(torch.tensor(ends * 20))
    check_topk(torch.tensor(ends), 4)
    wide = torch.tensor([0, 2**63, 2**64 - 1, 1], dtype=torch.uint64)
    check_sort(wide)
    check_topk(wide, 2)


def test_orders_that_are_there_already():
    up = torch.arange(4000.0)
    for x in (up, up.flip(0), torch.zeros(4000), torch.cat([up, up])):
        check_sort(x)
        check_topk(x, 1500)


def outputs(shape, dtype=torch.float32):
    return [torch.empty(shape, dtype=dtype), torch.empty(shape, dtype=torch.int64)]


def test_refusals(rng):
    x = random_tensor(rng, (4, 5))
    for dim in (2, -3, INT64_MAX, INT64_MIN):
        with pytest.raises(OperatorError):
            run(SORT, [x, dim], outputs((4, 5)))
        with pytest.raises(OperatorError):
            run(TOPK, [x, 1, dim], outputs((4, 5)))
    for k in (6, -1, -6, INT64_MAX, INT64_MIN):
        with pytest.raises(OperatorError):
            run(TOPK, [x, k, 1], outputs((4, 6)))
    with pytest.raises(OperatorError):
        run(TOPK, [x[0, 0].clone(), 2], outputs(()))
    for wrong in (
        outputs((4, 4)),
        outputs((20,)),
        outputs((4, 5), torch.float64),
        [torch.empty(4, 5), torch.empty(4, 5)],
        [torch.empty(4, 5), torch.empty(4, 4, dtype=torch.int64)],
    ):
        with pytest.raises(OperatorError):
            run(SORT, [x], wrong)
        with pytest.raises(OperatorError):
            run(TOPK, [x, 5], wrong)
