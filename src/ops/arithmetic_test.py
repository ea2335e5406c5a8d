# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Binary arithmetic and comparison against PyTorch."""

import pytest
import torch

from op_testing import (
    ALL_DTYPES, FLOATS, OperatorError, broadcast_pairs, channels_last, check, random_tensor, run,
)  # fmt: skip

SEED = 20261123


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


@pytest.mark.parametrize("name", ["aten::add.out", "aten::sub.out", "aten::mul.out",
                                  "aten::div.out", "aten::eq.Tensor_out"])  # fmt: skip
def test_shapes(name, rng):
    for a, b in broadcast_pairs(rng):
        check(name, random_tensor(rng, a), random_tensor(rng, b, low=1, high=5))


@pytest.mark.parametrize("name", ["aten::add.out", "aten::mul.out", "aten::eq.Tensor_out"])
def test_every_pair_of_dtypes(name, rng):
    for s in ALL_DTYPES:
        for t in ALL_DTYPES:
            check(name, random_tensor(rng, (3, 70), s), random_tensor(rng, (70,), t))
            check(name, random_tensor(rng, (3, 2), s), random_tensor(rng, (), t))


def test_alpha(rng):
    a, b = random_tensor(rng, (10,)), random_tensor(rng, (1,))
    check("aten::add.out", a[:1], b, alpha=2)
    check("aten::add.out", torch.tensor([10]), torch.tensor([1, 2, 3]), alpha=2)
    check("aten::sub.out", a, b, alpha=-1.5)
    check("aten::rsub.Scalar_out", a, 3, 2)
    check("aten::add.Scalar_out", a, 2.5, 3)


def test_layouts(rng):
    a = random_tensor(rng, (2, 3, 4, 5))
    check("aten::add.out", channels_last(a), a)
    check("aten::add.out", channels_last(a), channels_last(a))
    check("aten::mul.out", channels_last(a), random_tensor(rng, (3, 1, 1)))


def test_numbers(rng):
    for t in FLOATS:
        check("aten::mul.Scalar_out", random_tensor(rng, (4, 40), t), 3)
        check("aten::div.Scalar_out", random_tensor(rng, (4, 40), t), 0.3)
    check("aten::eq.Scalar_out", torch.tensor([1, 2, 3]), 2.5)
    check("aten::eq.Scalar_out", torch.tensor([1.0, float("-inf")]), float("-inf"))


def test_refusals(rng):
    a = random_tensor(rng, (2, 3))
    with pytest.raises(OperatorError):
        run("aten::add.out", [a, random_tensor(rng, (4,))], [torch.empty(2, 3)])
    with pytest.raises(OperatorError):  # float results do not go into integers
        run("aten::div.out", [a, a], [torch.empty(2, 3, dtype=torch.int32)])
