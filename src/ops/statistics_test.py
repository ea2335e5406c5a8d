# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Variance, norms and logsumexp against PyTorch."""

import math

import pytest
import torch
from op_testing import FLOATS, OperatorError, channels_last, check, random_tensor, run

SEED = 20261126
INT64_MAX = 2**63 - 1
NAN, INF = math.nan, math.inf
SHAPES = [(), (1,), (9,), (5000,), (40, 70), (70, 40), (2, 19, 3, 66)]
DIMS = [None, [], [0], [-1], [0, -1]]
ORDERS = [0, 1, 2, 3, 0.5, -1, -2.5, INF, -INF]


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


def inputs(rng, dtype=torch.float32):
    for shape in SHAPES:
        x = random_tensor(rng, shape, dtype)
        for dims in DIMS:
            if dims != [0, -1] or len(shape) > 1:
                yield x, dims
                if len(shape) == 4:
                    yield channels_last(x), dims


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
def test_var(rng):
    for x, dims in inputs(rng):
        check("aten::var.out", x, dims)
        check("aten::var.out", x, dims, False, True)
        for correction in (None, 0, 2.5, -1, 10**9):
            check("aten::var.correction_out", x, dims, correction=correction)
            check("aten::var_mean.correction_out", x, dims, correction=correction, keepdim=True,
                  atol=1e-5)  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
def test_var_special(rng):
    for t in FLOATS:
        x = random_tensor(rng, (6, 77), t)
        for dim in (0, 1):
            check("aten::var.out", x, [dim])
            check("aten::var_mean.correction_out", x, [dim], atol=1e-3)
    far = torch.linspace(0, 1, 100_000) + 1000  # a mean far from zero
    check("aten::var.out", far, None, expected=far.double().var().float(), rtol=1e-5)
    check("aten::var.out", far.view(-1, 2), [0], expected=far.double().view(-1, 2).var(0).float(),
          rtol=1e-5)  # fmt: skip
    for value in (0.1, -1e7 / 3, 1e-30):  # never below zero
        out = torch.empty(())
        run("aten::var.out", [torch.full((9999,), value), None], [out])
        assert 0 <= out <= 1e-12 * value**2
    check("aten::var.out", torch.tensor([1.0, NAN]), None)
    check("aten::var.out", torch.tensor([1.0, INF]), None)
    for shape in ((0,), (3, 0), (0, 3)):
        check("aten::var_mean.correction_out", torch.empty(shape), [-1])


def test_norm(rng):
    for x, dims in inputs(rng):
        for order in ORDERS:
            check("aten::linalg_vector_norm.out", x, order, dims, rtol=2e-5)
            check("aten::linalg_vector_norm.out", x, order, dims, True, rtol=2e-5)


def test_norm_special(rng):
    for t in FLOATS:
        x = random_tensor(rng, (6, 77), t)
        for order in ORDERS:
            for dim in (0, 1):
                check("aten::linalg_vector_norm.out", x, order, [dim], rtol=1e-2)
        check("aten::linalg_vector_norm.out", x, 2, dtype=torch.float64,
              expected=x.double().norm(), rtol=1e-6)  # fmt: skip
    check("aten::linalg_vector_norm.out", torch.tensor([3e30, 4e30]), 2,
          expected=torch.tensor(5e30))  # fmt: skip
    for order in ORDERS:
        check("aten::linalg_vector_norm.out", torch.tensor([[1, NAN], [NAN, 0]]), order, [1])
        check("aten::linalg_vector_norm.out", torch.tensor([[1, -INF], [0, 0]]), order, [1])
        check("aten::linalg_vector_norm.out", torch.empty(0, 3), order, [1])
        args = ("aten::linalg_vector_norm.out", torch.empty(3, 0), order, [1])
        if order < 0 or order == INF:
            with pytest.raises(OperatorError):
                run(args[0], args[1:], [torch.empty(3)])
        else:
            check(*args)


def test_logsumexp(rng):
    for x, dims in inputs(rng):
        if dims:
            check("aten::logsumexp.out", x * 40, dims)
            check("aten::logsumexp.out", x, dims, True)
    for t in FLOATS:
        check("aten::logsumexp.out", random_tensor(rng, (9, 8), t), [0])
    x = torch.tensor([[1, INF], [-INF, -INF], [-INF, 2], [NAN, INF], [-1e30, 1e30], [-800, -900]])
    check("aten::logsumexp.out", x, [0])
    check("aten::logsumexp.out", x, [1])
    for first in (-INF, -2000.0, 0.0, INF):  # what comes later is far away
        check("aten::logsumexp.out", torch.cat([torch.full((5000,), first), x[5]]), [0])
    check("aten::logsumexp.out", torch.empty(2, 0), [1])


def test_refusals(rng):
    x = random_tensor(rng, (2, 3))
    whole = torch.ones(2, 3, dtype=torch.int32)
    for name, args, out in (
        ("aten::var.out", [whole, [0]], torch.empty(3)),
        ("aten::var.out", [x, [0]], torch.empty(3, dtype=torch.int32)),
        ("aten::var.correction_out", [x, [0, 0]], torch.empty(3)),
        ("aten::linalg_vector_norm.out", [whole], torch.empty(())),
        ("aten::linalg_vector_norm.out", [x, 2, [2]], torch.empty(())),
        ("aten::linalg_vector_norm.out", [x, 2, [INT64_MAX]], torch.empty(())),
        ("aten::logsumexp.out", [x, [-3]], torch.empty(3)),
        ("aten::logsumexp.out", [x, [0]], torch.empty(3, dtype=torch.int64)),
    ):
        with pytest.raises(OperatorError):
            run(name, args, [out])
    with pytest.raises(OperatorError):
        run("aten::linalg_vector_norm.out", [x], [torch.empty(())], {"dtype": torch.float64})
