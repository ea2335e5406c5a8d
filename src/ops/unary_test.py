# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Mathematical functions of one operand against PyTorch."""

import pytest
import torch
from op_testing import (
    ALL_DTYPES,
    FLOATS,
    INTEGERS,
    OperatorError,
    channels_last,
    check,
    check_as_torch,
    random_tensor,
    run,
)  # fmt: skip

SEED = 20261125
FLOAT_FUNCTIONS = ["acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "erf", "erfc",
                   "exp", "exp2", "expm1", "log", "log10", "log1p", "log2", "logit", "reciprocal",
                   "rsqrt", "sigmoid", "sin", "sinh", "sqrt", "tan", "tanh"]  # fmt: skip
OTHERS = ["_conj_physical", "abs", "ceil", "floor", "neg", "round", "sign", "trunc"]
SPECIAL = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1.5, 2.5, -2.5, 1e-8, 1e-40, 60.0, -60.0, 2.0**23,
           float("inf"), float("-inf"), float("nan")]  # fmt: skip


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


@pytest.mark.parametrize("name", FLOAT_FUNCTIONS + OTHERS)
def test_every_dtype(name, rng):
    for shape in ((), (0, 3), (1,), (3, 70), (2, 3, 4, 5)):
        for t in ALL_DTYPES:
            # PyTorch rounds between the steps of logit.
            atol = 1e-2 if name == "logit" and t in FLOATS[2:] else None
            for low, high in ((-4, 5), (0, 1)):
                check_as_torch(f"aten::{name}.out", random_tensor(rng, shape, t, low, high), atol=atol)


@pytest.mark.parametrize("name", FLOAT_FUNCTIONS + OTHERS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_special_values(name, dtype):
    check(f"aten::{name}.out", torch.tensor(SPECIAL).to(dtype))


@pytest.mark.parametrize("name", OTHERS)
def test_integers_at_their_bounds(name):
    for t in INTEGERS:
        info = torch.iinfo(t)
        check(f"aten::{name}.out", torch.tensor([info.min, info.min + 1, 0, info.max], dtype=t))


def test_signed_zeros():
    result = torch.empty(2)
    for name in ("ceil", "floor", "trunc", "round", "sqrt", "sin"):
        run(f"aten::{name}.out", [torch.tensor([0.0, -0.0])], [result])
        assert torch.signbit(result).tolist() == [False, True], name


def test_layouts(rng):
    a = channels_last(random_tensor(rng, (2, 3, 4, 5)))
    for t in (torch.float32, torch.float16):
        check("aten::exp.out", a.to(t))
        check("aten::abs.out", a.to(t).permute(1, 0, 3, 2))
    result = torch.empty(2, 3, 4, 5)
    run("aten::neg.out", [a], [result])
    assert torch.equal(result, -a)


def test_long_ranges_are_cut(rng):
    a = random_tensor(rng, (41, 1009))
    check("aten::sqrt.out", a)
    check("aten::floor.out", a.bfloat16())


def test_logit_eps():
    a = torch.tensor([0, 1, 2, -1, 0.5, 0.95, float("nan")])
    for eps in (None, 0.0, 0.1, 0.7, -0.1, float("nan")):
        for t in FLOATS:
            check("aten::logit.out", a.to(t), eps)
    check("aten::logit.out", a, 1e-6)
    check("aten::logit.out", torch.tensor([0, 1, 2]), 0.25)


@pytest.mark.parametrize("decimals", [0, 1, 2, 3, -1, -2, 400, -400])
def test_round_decimals(decimals, rng):
    a = random_tensor(rng, (3, 70), low=-300, high=300)
    for t in (torch.float32, torch.float64):
        check("aten::round.decimals_out", a.to(t), decimals=decimals)
    for decimals in (2**63 - 1, -(2**63)):
        run("aten::round.decimals_out", [a], [torch.empty_like(a)], {"decimals": decimals})


def test_refusals():
    a = torch.ones(3)
    for name in FLOAT_FUNCTIONS:
        with pytest.raises(OperatorError):  # float results do not go into integers
            run(f"aten::{name}.out", [a.int()], [torch.empty(3, dtype=torch.int32)])
    with pytest.raises(OperatorError):
        run("aten::abs.out", [a], [torch.empty(2)])
    with pytest.raises(OperatorError):
        run("aten::round.decimals_out", [a.int()], [torch.empty(3)], {"decimals": 1})
