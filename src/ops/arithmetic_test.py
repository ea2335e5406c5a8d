# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Arithmetic of two operands and more against PyTorch."""

import pytest
import torch
from op_testing import (
    ALL_DTYPES,
    FLOATS,
    INTEGERS,
    OperatorError,
    broadcast_pairs,
    channels_last,
    check,
    check_as_torch,
    random_tensor,
    run,
)  # fmt: skip

SEED = 20261123
BINARY = ["add.out", "sub.out", "mul.out", "div.out", "floor_divide.out", "fmod.Tensor_out",
          "remainder.Tensor_out", "pow.Tensor_Tensor_out", "maximum.out", "minimum.out",
          "atan2.out", "copysign.out", "hypot.out", "clamp_min.Tensor_out",
          "clamp_max.Tensor_out"]  # fmt: skip
BINARY_NUMBER = ["add.Scalar_out", "sub.Scalar_out", "rsub.Scalar_out", "mul.Scalar_out",
                 "div.Scalar_out", "floor_divide.Scalar_out", "fmod.Scalar_out",
                 "remainder.Scalar_out", "pow.Tensor_Scalar_out", "copysign.Scalar_out",
                 "clamp_min.out", "clamp_max.out"]  # fmt: skip
DIVISIONS = ["floor_divide.out", "fmod.Tensor_out", "remainder.Tensor_out"]
DIVISIONS_BY_NUMBER = ["floor_divide.Scalar_out", "fmod.Scalar_out", "remainder.Scalar_out"]
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 1e-30, 6e4, float("inf"), float("-inf"), float("nan")]


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


def bf16(*values):
    return torch.tensor(values, dtype=torch.bfloat16)


@pytest.mark.parametrize("name", BINARY)
def test_shapes(name, rng):
    for a, b in broadcast_pairs(rng):
        check(f"aten::{name}", random_tensor(rng, a, low=0), random_tensor(rng, b, low=1))


@pytest.mark.parametrize("name", BINARY)
def test_every_pair_of_dtypes(name, rng):
    for s in ALL_DTYPES:
        for t in ALL_DTYPES:
            if name == "sub.out" and (s == torch.bool) != (t == torch.bool):
                continue  # refused by PyTorch, subtracted as 0 and 1 here
            for shape in ((70,), ()):
                a, b = random_tensor(rng, (3, 70), s), random_tensor(rng, shape, t, low=1)
                check_as_torch(f"aten::{name}", a, b)


@pytest.mark.parametrize("name", BINARY_NUMBER)
def test_every_dtype_with_numbers(name, rng):
    for t in ALL_DTYPES:
        for number in (3, 2.5, 0.1, -2, True):
            if name.startswith(("sub", "rsub")) and (number is True) != (t == torch.bool):
                continue  # refused by PyTorch, subtracted as 0 and 1 here
            if number is True and t == torch.bool and not name.startswith(("sub", "rsub")):
                continue
            if number == -2 and name.startswith("clamp") and t == torch.uint8:
                continue  # test_clamp_bounds_beyond_the_dtype
            check_as_torch(f"aten::{name}", random_tensor(rng, (3, 70), t), number)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("dtype", FLOATS)
def test_special_values(name, dtype):
    values = torch.tensor(SPECIAL).to(dtype)
    a, b = torch.meshgrid(values, values, indexing="ij")
    check(f"aten::{name}", a.contiguous(), b.contiguous())


def test_long_ranges_are_cut(rng):
    a, b = random_tensor(rng, (41, 1009)), random_tensor(rng, (41, 1009), torch.float16)
    check("aten::add.out", a, a)
    check("aten::add.out", a, b)
    check("aten::add.out", a, b[:, :1].clone())
    check("aten::floor_divide.out", a.int(), a.int() * 2 + 1)


def test_layouts(rng):
    a = random_tensor(rng, (2, 3, 4, 5))
    check("aten::add.out", channels_last(a), a)
    check("aten::add.out", channels_last(a), channels_last(a))
    check("aten::mul.out", channels_last(a), random_tensor(rng, (3, 1, 1)))
    check("aten::addcmul.out", channels_last(a), a, random_tensor(rng, (3, 1, 1)), value=2)
    check("aten::clamp.out", channels_last(a).half(), -1, 1.5)
    check("aten::div.out_mode", a.permute(3, 0, 2, 1), a.permute(3, 0, 2, 1), rounding_mode="floor")


def test_alpha(rng):
    a, b = random_tensor(rng, (10,)), random_tensor(rng, (1,))
    check("aten::add.out", a[:1], b, alpha=2)
    check("aten::add.out", torch.tensor([10]), torch.tensor([1, 2, 3]), alpha=2)
    check("aten::add.out", bf16(1), bf16(1), alpha=0.3)
    check("aten::add.out", torch.tensor([True]), torch.tensor([True]), alpha=2)
    check("aten::sub.out", a, b, alpha=-1.5)
    check("aten::rsub.Scalar_out", a, 3, 2)
    check("aten::add.Scalar_out", a, 2.5, 3)
    for refused in (1.5, -2.0):
        check_as_torch("aten::add.out", torch.tensor([1]), torch.tensor([2]), alpha=refused)


def test_integers_wrap():
    for t in (torch.int8, torch.int16, torch.int32, torch.int64):
        low, high = torch.iinfo(t).min, torch.iinfo(t).max
        a = torch.tensor([low, high, low, -1, high], dtype=t)
        b = torch.tensor([low, high, -1, low, 2], dtype=t)
        for name in ("add", "sub", "mul"):
            check(f"aten::{name}.out", a, b)
        check("aten::pow.Tensor_Tensor_out", a, b)
        check("aten::addcmul.out", a, b, b, value=3)


def test_quotient_that_does_not_fit():  # PyTorch itself dies of some of these
    for t in (torch.int8, torch.int32, torch.int64):
        low = torch.tensor([torch.iinfo(t).min], dtype=t)
        minus_one = torch.tensor([-1], dtype=t)
        for mode in ("trunc", "floor"):
            check("aten::div.out_mode", low, minus_one, rounding_mode=mode, expected=low)
        for name in ("fmod.Tensor_out", "remainder.Tensor_out"):
            check(f"aten::{name}", low, minus_one, expected=torch.zeros_like(low))


def test_operands_are_rounded_where_pytorch_rounds_them():
    third = torch.tensor(0.3)
    check("aten::add.out", bf16(-0.3), third)
    check("aten::sub.Scalar_out", bf16(0.3), 0.3)
    check("aten::remainder.Scalar_out", bf16(0.3), 0.3)
    check("aten::fmod.Tensor_out", bf16(3), third)
    check("aten::pow.Tensor_Scalar_out", bf16(1000), 0.3, rtol=0)
    check("aten::div.Scalar_out", bf16(7, 33), 0.3, rtol=0)
    check("aten::floor_divide.Scalar_out", torch.tensor([1, 3], dtype=torch.float16), 0.1)
    narrow = torch.tensor([100, 5, -3], dtype=torch.int8)
    for name in ("maximum.out", "minimum.out", "floor_divide.out", "remainder.Tensor_out"):
        check(f"aten::{name}", narrow, torch.tensor(300))
    check("aten::floor_divide.Scalar_out", narrow, 260)


@pytest.mark.parametrize("mode", [None, "trunc", "floor"])
def test_rounding_modes(mode, rng):
    values = torch.tensor(SPECIAL)
    a, b = torch.meshgrid(values, values, indexing="ij")
    check("aten::div.out_mode", a.contiguous(), b.contiguous(), rounding_mode=mode)
    for s in ALL_DTYPES:
        for t in ALL_DTYPES:
            a, b = random_tensor(rng, (3, 40), s, -99, 99), random_tensor(rng, (40,), t, low=1)
            # PyTorch rounds 16-bit quotients before it truncates them.
            atol = 1 if {s, t} & {torch.float16, torch.bfloat16} else None
            check_as_torch("aten::div.out_mode", a, b, atol=atol, rounding_mode=mode)
        for number in (3, -2.5, -4):
            check_as_torch("aten::div.Scalar_mode_out", a, number, rounding_mode=mode)


def test_unknown_rounding_modes_are_refused():
    a, out = torch.ones(2), [torch.empty(2)]
    for mode in ("", "round", "truncate", "floor\0"):
        with pytest.raises(OperatorError):
            run("aten::div.out_mode", [a, a], out, {"rounding_mode": mode})
        with pytest.raises(OperatorError):
            run("aten::div.Scalar_mode_out", [a, 2], out, {"rounding_mode": mode})


def test_integer_division_by_zero_is_an_error(rng):
    for t in INTEGERS:
        a = torch.ones(50000, dtype=t)
        zero = torch.ones_like(a)
        zero[40000] = 0
        out = [torch.empty_like(a)]
        for divisor in (zero, torch.zeros((), dtype=t), torch.tensor(0)):
            for name in DIVISIONS:
                with pytest.raises(OperatorError):
                    run(f"aten::{name}", [a, divisor], out)
            for mode in ("trunc", "floor"):
                with pytest.raises(OperatorError):
                    run("aten::div.out_mode", [a, divisor], out, {"rounding_mode": mode})
        for name in DIVISIONS_BY_NUMBER:
            with pytest.raises(OperatorError):
                run(f"aten::{name}", [a, 0], out)
    with pytest.raises(OperatorError):  # 256 is a zero of eight bits
        run("aten::fmod.Scalar_out", [torch.ones(2, dtype=torch.uint8), 256],
            [torch.empty(2, dtype=torch.uint8)])  # fmt: skip
    empty = torch.empty(0, dtype=torch.int32)
    check("aten::floor_divide.out", empty, torch.tensor([0], dtype=torch.int32))


def test_pow(rng):
    a = random_tensor(rng, (5, 40), low=0.1)
    for exponent in (2, 3, 0.5, -0.5, -1, 0, 1, 2.5, 2.0, float("inf"), float("nan")):
        for t in FLOATS:
            check("aten::pow.Tensor_Scalar_out", a.to(t), exponent)
        check("aten::pow.Tensor_Scalar_out", torch.tensor(SPECIAL), exponent)
    for base in (2, 0.5, -2.0, 1, 0):
        for t in ALL_DTYPES:
            exponents = random_tensor(rng, (3, 7), t, low=-3, high=6)
            check_as_torch("aten::pow.Scalar_out", base, exponents)
    exponents = torch.arange(-4, 70)
    for base in (-3, -1, 0, 1, 2):
        check("aten::pow.Tensor_Tensor_out", torch.full_like(exponents, base), exponents)
    for exponent in (-1, -(2**63)):
        with pytest.raises(OperatorError):
            run("aten::pow.Tensor_Scalar_out", [torch.tensor([2]), exponent], [torch.tensor([0])])


def test_clamp(rng):
    a = torch.cat([random_tensor(rng, (60,)), torch.tensor(SPECIAL)])
    nan, inf = float("nan"), float("inf")
    for low, high in ((-1, 2.5), (None, 1), (0.5, None), (2, 1), (-inf, inf), (nan, 1), (0, nan)):
        check("aten::clamp.out", a, low, high)
        check("aten::clamp.out", a.half(), low, high)
    for t in INTEGERS:
        for low, high in ((0, 3), (None, 2), (1, None), (0.5, 2.5), (None, 2.5)):
            check("aten::clamp.out", random_tensor(rng, (40,), t), low, high)
    low, high = random_tensor(rng, (1, 71)), random_tensor(rng, (3, 1))
    check("aten::clamp.Tensor_out", a, low, high)
    check("aten::clamp.Tensor_out", a, None, high)
    check("aten::clamp.Tensor_out", a.bfloat16(), low, None)
    check("aten::clamp.Tensor_out", a, torch.tensor(SPECIAL[:1] * 71), torch.tensor(nan))
    check("aten::clamp.Tensor_out", torch.tensor([1, 2, 3]), torch.tensor(2), torch.tensor([2.5]))


def test_clamp_bounds_beyond_the_dtype():
    a = torch.tensor([0, 3, 200], dtype=torch.uint8)  # PyTorch refuses them, or takes -1 for 255
    check("aten::clamp.out", a, -1, 100, expected=a.clamp(max=100))
    check("aten::clamp.out", a, None, 1000, expected=a)
    check("aten::clamp_min.out", a, -1, expected=a)
    for bounds in ((None, 2**62), (-(2**31) - 1, 5)):
        with pytest.raises(OperatorError):
            run("aten::clamp.out", [a, *bounds], [torch.empty_like(a)])
    check("aten::clamp.out", a, None, 1e30)


def test_clamp_without_bounds_is_refused():
    a = torch.ones(2)
    for name in ("clamp.out", "clamp.Tensor_out"):
        with pytest.raises(OperatorError):
            run(f"aten::{name}", [a, None, None], [torch.empty(2)])


@pytest.mark.parametrize("name", ["addcmul.out", "addcdiv.out"])
def test_products(name, rng):
    for t in ALL_DTYPES:
        tensors = [random_tensor(rng, s, t, low=1) for s in ((5, 30), (30,), (5, 1))]
        check_as_torch(f"aten::{name}", *tensors)
        check_as_torch(f"aten::{name}", *tensors, value=-2)
    tensors = [t.float() for t in tensors]
    check(f"aten::{name}", *tensors, value=0.3)
    check(f"aten::{name}", tensors[0], tensors[1].long(), tensors[2], value=0.3)
    check(f"aten::{name}", *[t[:0] for t in tensors[:1]], tensors[1], torch.ones(0, 1))


def test_lerp(rng):
    for t in FLOATS:
        a, b = random_tensor(rng, (5, 30), t), random_tensor(rng, (30,), t)
        for weight in (0, 0.3, 0.5, 0.7, 1, -2.0):
            check("aten::lerp.Scalar_out", a, b, weight)
        check("aten::lerp.Tensor_out", a, b, random_tensor(rng, (5, 1), t))
    with pytest.raises(OperatorError):
        run("aten::lerp.Scalar_out", [torch.tensor([1]), torch.tensor([2]), 0.5],
            [torch.empty(1)])  # fmt: skip


@pytest.mark.parametrize("name", BINARY_NUMBER)
def test_extreme_numbers_do_no_harm(name):
    extremes = (2**63 - 1, -(2**63), 1e308, -1e308, float("nan"), float("inf"))
    for t in ALL_DTYPES:
        for number in extremes:
            try:
                run(f"aten::{name}", [torch.ones(3, dtype=t), number],
                    [torch.empty(3, dtype=torch.float64)])  # fmt: skip
            except OperatorError:
                pass


def test_refusals(rng):
    a = random_tensor(rng, (2, 3))
    with pytest.raises(OperatorError):  # shapes that do not broadcast
        run("aten::add.out", [a, random_tensor(rng, (4,))], [torch.empty(2, 3)])
    with pytest.raises(OperatorError):  # an output of another rank
        run("aten::add.out", [a, a], [torch.empty(6)])
    with pytest.raises(OperatorError):  # an output that is too small
        run("aten::add.out", [a, a], [torch.empty(2, 2)])
    for out in (torch.int32, torch.bool):  # float results do not go into integers
        with pytest.raises(OperatorError):
            run("aten::div.out", [a, a], [torch.empty(2, 3, dtype=out)])
    with pytest.raises(OperatorError):  # nor integers into bool
        run("aten::add.out", [a.int(), a.int()], [torch.empty(2, 3, dtype=torch.bool)])
    big = torch.zeros(2, dtype=torch.uint64)
    with pytest.raises(OperatorError):
        run("aten::add.out", [big, big], [torch.empty(2, dtype=torch.uint64)])


def test_results_go_into_wider_and_narrower_types(rng):
    a = random_tensor(rng, (3, 50))
    for out in FLOATS:
        result = torch.empty(3, 50, dtype=out)
        run("aten::mul.out", [a, a], [result])
        torch.testing.assert_close(result, (a * a).to(out))
    result = torch.empty(3, 50, dtype=torch.int8)
    run("aten::mul.out", [a.int(), a.int()], [result])
    assert torch.equal(result, (a.int() * a.int()).to(torch.int8))
