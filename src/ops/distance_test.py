# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Distances between rows against PyTorch."""

import math

import pytest
import torch
from op_testing import OperatorError, check, random_tensor, run

SEED = 20261201
INF, NAN = math.inf, math.nan
CDIST, PDIST = "aten::_cdist_forward.out", "aten::_pdist_forward.out"
ORDERS = [0.0, 1.0, 2.0, 0.5, 3.0, INF]


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


def cdist(a, b, p):
    """In float64, and by differences; PyTorch's own multiplies matrices for many rows."""
    return torch.ops.aten._cdist_forward(a.double(), b.double(), p, 2).to(a.dtype)


def test_cdist(rng):
    for left, right in (
        ((1, 1), (1, 1)), ((3, 5), (4, 5)), ((2, 700), (3, 700)), ((2, 3, 5), (2, 4, 5)),
        ((4, 1, 2, 3), (5, 7, 3)), ((2, 3), (6, 1, 4, 3)), ((3, 0), (2, 0)), ((0, 3), (2, 3)),
        ((30, 4), (40, 4)),
    ):  # fmt: skip
        a, b = random_tensor(rng, left), random_tensor(rng, right)
        for p in ORDERS:
            check(CDIST, a, b, p, None, expected=cdist(a, b, p))
        check(CDIST, a, b, 2.0, 1, expected=cdist(a, b, 2.0))
        check(CDIST, a.double(), b.double(), 2.0, 2)


def test_cdist_layouts_and_dtypes(rng):
    a, b = random_tensor(rng, (6, 4)), random_tensor(rng, (5, 4))
    b[2] = a[1]
    for t in (torch.float16, torch.bfloat16):
        check(CDIST, a.to(t), b.to(t), 2.0, None, expected=cdist(a.to(t), b.to(t), 2.0))
    turned = a.t().contiguous().t()
    check(CDIST, turned, b, 2.0, None, expected=cdist(a, b, 2.0))
    check(CDIST, b, turned, 1.0, None, expected=cdist(b, a, 1.0).t().contiguous().t())
    odd = torch.tensor([[NAN, 2.0], [INF, 3.0], [0.0, INF]])
    expected = torch.tensor([[NAN, INF, NAN]])
    check(CDIST, torch.tensor([[1.0, INF]]), odd, 2.0, None, expected=expected)


def test_pdist(rng):
    for shape in ((2, 1), (5, 3), (40, 7), (3, 500), (1, 3), (0, 3), (3, 0)):
        x = random_tensor(rng, shape)
        for p in ORDERS:
            check(PDIST, x, p)
        check(PDIST, x.double(), 2.0)
    x = random_tensor(rng, (6, 4))
    check(PDIST, x.t().contiguous().t(), 2.0, expected=torch.pdist(x))


def test_refusals(rng):
    a, b = random_tensor(rng, (3, 4)), random_tensor(rng, (2, 4))
    for args, out in (
        ([a, b, -1.0, None], torch.empty(3, 2)),
        ([a, b, NAN, None], torch.empty(3, 2)),
        ([a, b, 2.0, 3], torch.empty(3, 2)),
        ([a, b, 2.0, None], torch.empty(3, 1)),
        ([a, b, 2.0, None], torch.empty(6)),
        ([a, b[:, :3].clone(), 2.0, None], torch.empty(3, 2)),
        ([a, b.double(), 2.0, None], torch.empty(3, 2)),
        ([a, b[0].clone(), 2.0, None], torch.empty(3, 2)),
        ([a.repeat(2, 1, 1), b.repeat(3, 1, 1), 2.0, None], torch.empty(6, 3, 2)),
        ([a.to(torch.int32), b.to(torch.int32), 2.0, None], torch.empty(3, 2)),
    ):
        with pytest.raises(OperatorError):
            run(CDIST, args, [out])
    for args, out in (
        ([a, -1.0], torch.empty(3)),
        ([a, 2.0], torch.empty(2)),
        ([a[0].clone(), 2.0], torch.empty(3)),
        ([torch.empty(100_000, 0), 2.0], torch.empty(3)),
    ):
        with pytest.raises(OperatorError):
            run(PDIST, args, [out])
