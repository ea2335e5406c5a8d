# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Tensors made of numbers, against PyTorch."""

import pytest
import torch
from op_testing import (
    ALL_DTYPES,
    FLOATS,
    INTEGERS,
    UNSIGNED,
    OperatorError,
    channels_last,
    check,
    random_tensor,
    run,
)  # fmt: skip

SEED = 20261129
INT_MAX = 2**63 - 1
INT_MIN = -(2**63)
LIBRARY = torch.library.Library("dim_order_ops", "FRAGMENT")
LIBRARY.define("_empty_dim_order.out(int[] size, *, int[]? dim_order=None, Tensor(a!) out) -> Tensor(a!)")


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


def check_exact(*args, **kwargs):
    check(*args, rtol=0, atol=0, **kwargs)


@pytest.mark.parametrize("dtype", ALL_DTYPES + UNSIGNED)
def test_fills(dtype, rng):
    for shape in ((), (0,), (3,), (2, 300, 70)):
        for value in (0, 1, True, 3, 2.75):
            check_exact("aten::full.out", list(shape), value, expected=torch.full(shape, value, dtype=dtype))
        like = random_tensor(rng, shape, dtype)
        check_exact("aten::full_like.out", like, 7)
        check_exact("aten::zeros.out", list(shape), expected=torch.zeros(shape, dtype=dtype))
        check_exact("aten::ones.out", list(shape), expected=torch.ones(shape, dtype=dtype))
        check_exact("aten::zeros_like.out", like)
        check_exact("aten::ones_like.out", like)
        check_exact("aten::fill.Scalar_out", like, 5)
        for source in (dtype, torch.float32, torch.int64, torch.uint8):
            value = torch.tensor(3, dtype=source)
            check_exact("aten::fill.Tensor_out", like, value, expected=torch.full_like(like, 3))
    check_exact("aten::scalar_tensor.out", 4, expected=torch.tensor(4, dtype=dtype))


def test_extreme_numbers():
    for dtype in FLOATS:
        for value in (float("inf"), float("-inf"), float("nan"), -0.0, 1e300, 1e-300):
            want = torch.tensor([value], dtype=torch.float64).to(dtype)
            check_exact("aten::full.out", [1], value, expected=want)
    for value in (INT_MAX, INT_MIN):
        check_exact("aten::full.out", [2], value, expected=torch.tensor([value] * 2))
        for dtype in (torch.int32, torch.uint8, torch.float32):  # wraps around
            check_exact("aten::full.out", [1], value, expected=torch.tensor([value]).to(dtype))
    for value in (float("nan"), 1e300, float("-inf")):
        for dtype in (torch.int8, torch.int64, torch.uint32):  # no matter what, it runs
            run("aten::full.out", [[2], value], [torch.empty(2, dtype=dtype)])


def test_layouts(rng):
    x = channels_last(random_tensor(rng, (2, 3, 4, 5)))
    check_exact("aten::full_like.out", x, 2)
    check_exact("aten::full_like.out", x, 2, memory_format=torch.contiguous_format)
    check_exact("aten::zeros.out", [2, 3, 4, 5], expected=torch.zeros_like(x))


def test_empty():
    for name, args in (("aten::empty.out", [[2, 3]]), ("aten::empty_like.out", [torch.zeros(2, 3)]),
                       ("dim_order_ops::_empty_dim_order.out", [[2, 3]])):  # fmt: skip
        assert run(name, args, [torch.zeros(6, 1)]) == [(2, 3)]
        for small in (torch.zeros(5, 1), torch.zeros(6)):
            with pytest.raises(OperatorError):
                run(name, args, [small])


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS)
def test_arange(dtype):
    for n in (0, 1, 5, 100):
        check("aten::arange.out", n, expected=torch.arange(n, dtype=dtype))
    for args in ((2, 9), (2, 9, 3), (9, 2, -2), (5, 5), (0, 7, 7), (0, 8, 7)):
        if args[-1] > 0 or dtype != torch.uint8:
            check("aten::arange.start_out", *args, expected=torch.arange(*args, dtype=dtype))
    if dtype.is_floating_point:
        for args in (
            (0.5, 3.25, 0.25),
            (1.0, -1.0, -0.3),
            (-2.5, 2),
            (0, 1, 0.1),
            (1, 1e-3, -1e-2),
        ):
            check("aten::arange.start_out", *args, expected=torch.arange(*args, dtype=dtype))
        check("aten::arange.out", 4.5, expected=torch.arange(4.5, dtype=dtype))
    else:
        check("aten::arange.start_out", 1.5, 6.5, 2, expected=torch.arange(1.5, 6.5, 2, dtype=dtype))
    check("aten::arange.start_out", 0, 20000, 1, expected=torch.arange(0, 20000, dtype=torch.int32))


def test_arange_of_long_integers():
    for args in ((INT_MAX - 3, INT_MAX), (INT_MIN, INT_MIN + 5, 2), (INT_MIN + 3, INT_MIN, -1),
                 (0, INT_MAX, INT_MAX), (0, INT_MIN, INT_MIN)):  # fmt: skip
        check_exact("aten::arange.start_out", *args,
                    expected=torch.tensor(list(range(*args)), dtype=torch.int64))  # fmt: skip


def test_linspace():
    for dtype in FLOATS + INTEGERS:
        for args in (
            (0, 10, 5),
            (-3, 7, 11),
            (2, 2, 3),
            (1, 5, 1),
            (1, 5, 0),
            (10, 0, 4),
            (0.5, 9.25, 100),
        ):
            if dtype != torch.uint8 or args[0] >= 0:
                check("aten::linspace.out", *args, expected=torch.linspace(*args, dtype=dtype))


def test_eye():
    for n, m in ((3, 3), (2, 5), (5, 2), (0, 3), (1, 1)):
        check_exact("aten::eye.m_out", n, m, expected=torch.eye(n, m))
        check_exact("aten::eye.out", n, expected=torch.eye(n, dtype=torch.int8))


def refused(name, args, out):
    with pytest.raises(OperatorError):
        run(name, args, [out])


def test_refusals():
    x = torch.zeros(6)
    for size in ([-1], [7], [2, 3], [INT_MAX], [2**31, 0], [2**20] * 4, [1] * 17):
        refused("aten::full.out", [size, 1], x)
        refused("aten::zeros.out", [size], x)
        refused("aten::empty.out", [size], x)
    refused("aten::full.out", [[2], 1], torch.zeros(2, dtype=torch.complex64))
    refused("aten::fill.Tensor_out", [x, torch.zeros(1)], x)
    refused("aten::scalar_tensor.out", [1], x)
    for args in ((0, 5, 0), (0, 5, -1), (5, 0, 1), (0, float("inf")), (0, float("nan")),
                 (float("nan"), 1), (0, 5, float("nan")), (0, 5, float("inf")), (0, 1e300),
                 (0, 1, 1e-300), (0, 7), (1, 0.5), (0, INT_MAX), (INT_MIN, INT_MAX),
                 (INT_MAX, INT_MIN, -1), (0, INT_MIN, -1)):  # fmt: skip
        refused("aten::arange.start_out", args, x)
    for args in ((0, 5, 0), (0, 5, 0.5), (0, 5, -1), (5, 0), (0, INT_MAX), (INT_MIN, INT_MAX),
                 (INT_MAX, INT_MIN, -1), (0, INT_MIN, -1), (0, INT_MIN, 1),
                 (0, float("inf"))):  # fmt: skip
        refused("aten::arange.start_out", args, torch.zeros(6, dtype=torch.int64))
    refused("aten::arange.out", [-1], x)
    refused("aten::linspace.out", [0, 1, -1], x)
    refused("aten::linspace.out", [0, 1, INT_MAX], x)
    refused("aten::eye.out", [-1], torch.zeros(2, 2))
    refused("aten::eye.m_out", [2**31 - 1, 2**31 - 1], torch.zeros(2, 2))
