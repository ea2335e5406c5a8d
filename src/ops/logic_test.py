# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Comparison, logic, bits and choice against PyTorch."""

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

SEED = 20261124
COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]
LOGICAL = ["logical_and", "logical_or", "logical_xor"]
BITWISE = ["bitwise_and", "bitwise_or", "bitwise_xor"]
SHIFTS = ["bitwise_left_shift", "bitwise_right_shift"]
TENSORS = ([f"aten::{n}.Tensor_out" for n in COMPARISONS + BITWISE + SHIFTS]
           + [f"aten::{n}.out" for n in LOGICAL])  # fmt: skip
NUMBERS = ([f"aten::{n}.Scalar_out" for n in COMPARISONS + BITWISE]
           + [f"aten::{n}.Tensor_Scalar_out" for n in SHIFTS])  # fmt: skip
SPECIAL = [0.0, -0.0, 1.0, -1.0, 1e-40, float("inf"), float("-inf"), float("nan")]


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


@pytest.mark.parametrize("name", TENSORS)
def test_shapes(name, rng):
    for a, b in broadcast_pairs(rng):
        check(name, random_tensor(rng, a, torch.int32), random_tensor(rng, b, torch.int32))


@pytest.mark.parametrize("name", TENSORS)
def test_every_pair_of_dtypes(name, rng):
    for s in ALL_DTYPES:
        for t in ALL_DTYPES:
            for shape in ((70,), ()):
                a, b = random_tensor(rng, (3, 70), s), random_tensor(rng, shape, t)
                check_as_torch(name, a, b)


@pytest.mark.parametrize("name", NUMBERS)
def test_every_dtype_with_numbers(name, rng):
    for t in ALL_DTYPES:
        for number in (2, -1, 0.5, True, 300):
            check_as_torch(name, random_tensor(rng, (3, 70), t), number)


@pytest.mark.parametrize("name", [f"aten::{n}.Tensor_out" for n in COMPARISONS]
                         + [f"aten::{n}.out" for n in LOGICAL])  # fmt: skip
@pytest.mark.parametrize("dtype", FLOATS)
def test_special_values(name, dtype):
    values = torch.tensor(SPECIAL).to(dtype)
    a, b = torch.meshgrid(values, values, indexing="ij")
    check(name, a.contiguous(), b.contiguous())


@pytest.mark.parametrize("name", COMPARISONS)
def test_operands_take_the_common_dtype(name):
    for t in (torch.float16, torch.bfloat16):
        a = torch.tensor([0.1, 0.3, 1e5], dtype=t)
        for number in (0.1, 0.3, 1e5, 1):
            check(f"aten::{name}.Scalar_out", a, number)
            check(f"aten::{name}.Tensor_out", a, torch.tensor(number))
        check(f"aten::{name}.Tensor_out", a, torch.tensor([100001, 0, 70000]))
    narrow = torch.tensor([44, -128, 1], dtype=torch.int8)
    check(f"aten::{name}.Tensor_out", narrow, torch.tensor(300))
    check(f"aten::{name}.Scalar_out", narrow, 300)
    wide = torch.tensor([2**53, 2**53 + 1, 5])
    check(f"aten::{name}.Scalar_out", wide, 2**53)
    check(f"aten::{name}.Scalar_out", wide, 5.0)
    check(f"aten::{name}.Scalar_out", wide.int(), 2**32 + 5)


def test_layouts(rng):
    a = random_tensor(rng, (2, 3, 4, 5))
    check("aten::lt.Tensor_out", channels_last(a), a)
    check("aten::where.self_out", channels_last(a) > 0, channels_last(a), a[:, :1].clone())


@pytest.mark.parametrize("name", ["isnan", "isinf", "logical_not", "bitwise_not"])
def test_unary(name, rng):
    for shape in ((), (0, 3), (1,), (3, 70)):
        for t in ALL_DTYPES:
            check_as_torch(f"aten::{name}.out", random_tensor(rng, shape, t, low=-1, high=2))
    if name != "bitwise_not":
        for t in FLOATS:
            check(f"aten::{name}.out", torch.tensor(SPECIAL * 10).to(t))


@pytest.mark.parametrize("name", SHIFTS)
def test_shifts_by_any_amount(name):
    for t in INTEGERS:
        info = torch.iinfo(t)
        amounts = {-1, 0, 1, info.bits - 2, info.bits - 1, info.bits, info.max, info.min}
        amounts = sorted(n for n in amounts if info.min <= n <= info.max)
        values = torch.tensor([info.min, info.max, 1, info.max // 3, 0], dtype=t)
        a, b = torch.meshgrid(values, torch.tensor(amounts, dtype=t), indexing="ij")
        check(f"aten::{name}.Tensor_out", a.contiguous(), b.contiguous())
        for n in (*amounts, 256, 2**62, -(2**63)):
            check(f"aten::{name}.Tensor_Scalar_out", values, n)


def test_where(rng):
    condition = random_tensor(rng, (3, 70), torch.bool)
    for s in ALL_DTYPES:
        for t in ALL_DTYPES:
            check("aten::where.self_out", condition, random_tensor(rng, (3, 70), s),
                  random_tensor(rng, (70,), t))  # fmt: skip
            check("aten::where.self_out", condition, random_tensor(rng, (3, 1), s),
                  random_tensor(rng, (), t))  # fmt: skip
    special = torch.tensor(SPECIAL)
    check("aten::where.self_out", special > 0, special, special.flip(0))
    check("aten::where.self_out", special[:2] > 0, torch.tensor(1), torch.tensor(0.5))
    wide = torch.tensor([2**62 + 1, -(2**62) - 1])
    check("aten::where.self_out", torch.tensor([True, False]), wide, wide - 1)
    check("aten::where.self_out", torch.tensor(True), wide[:0], wide[:1])


def test_where_takes_any_byte_but_zero_for_true():
    condition = torch.tensor([0, 1, 2, 255], dtype=torch.uint8)
    a, b = torch.arange(4.0), -torch.arange(4.0)
    expected = torch.tensor([0.0, 1.0, 2.0, 3.0])
    check("aten::where.self_out", condition, a, b, expected=expected)
    check("aten::where.self_out", condition.view(torch.bool), a, b, expected=expected)


def test_masked_fill(rng):
    for t in ALL_DTYPES:
        a = random_tensor(rng, (3, 70), t)
        for mask in ((3, 70), (70,), (3, 1), ()):
            check("aten::masked_fill.Scalar_out", a, random_tensor(rng, mask, torch.bool), 3)
            check("aten::masked_fill.Tensor_out", a, random_tensor(rng, mask, torch.bool),
                  torch.tensor(3, dtype=t))  # fmt: skip
    a = random_tensor(rng, (4, 5))
    mask = random_tensor(rng, (4, 5), torch.bool)
    for number in (float("-inf"), float("nan"), -3.4e38):
        check("aten::masked_fill.Scalar_out", a, mask, number)
    check("aten::masked_fill.Scalar_out", a[0], mask, 0.0)
    check("aten::masked_fill.Scalar_out", torch.tensor([1, 2]), torch.tensor([True, False]), 2.5)
    # Numbers that the dtype cannot hold: refused by PyTorch, infinite here.
    half = torch.ones(2, dtype=torch.float16)
    check("aten::masked_fill.Scalar_out", half, torch.tensor([True, False]), -1e9,
          expected=torch.tensor([float("-inf"), 1.0], dtype=torch.float16))  # fmt: skip


def test_refusals():
    a, out = torch.ones(2), [torch.empty(2)]
    for mask in (torch.tensor([1, 0]), a):
        with pytest.raises(OperatorError):
            run("aten::where.self_out", [mask, a, a], out)
        with pytest.raises(OperatorError):
            run("aten::masked_fill.Scalar_out", [a, mask, 1], out)
    with pytest.raises(OperatorError):
        run("aten::masked_fill.Tensor_out", [a, a > 0, a], out)
    with pytest.raises(OperatorError):
        run("aten::where.self_out", [torch.ones(3) > 0, a, a], out)
    with pytest.raises(OperatorError):
        run("aten::eq.Tensor_out", [a, torch.ones(3)], [torch.empty(2, dtype=torch.bool)])


@pytest.mark.parametrize("name", NUMBERS)
def test_extreme_numbers_do_no_harm(name):
    for t in ALL_DTYPES:
        for number in (2**63 - 1, -(2**63), 1e308, float("nan"), float("inf")):
            try:
                run(name, [torch.ones(3, dtype=t), number], [torch.empty(3, dtype=torch.float64)])
            except OperatorError:
                pass
