# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Resized images against PyTorch."""

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

SEED = 20261127
NEAREST, EXACT = "aten::upsample_nearest2d", "aten::_upsample_nearest_exact2d.out"
BILINEAR, ANTIALIASED = "aten::upsample_bilinear2d", "aten::_upsample_bilinear2d_aa.out"
SIZES = [(1, 1), (3, 4), (7, 5), (14, 10), (13, 3), (40, 41)]
SCALES = [(2.0, 2.0), (2.5, 0.5), (0.34, 3.7), (1.0, 1.3), (1.99, 0.2)]


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_nearest(rng, dtype):
    x = random_tensor(rng, (2, 3, 7, 5), dtype)
    moved = x if x.is_floating_point() else x.double()  # PyTorch has not all of them
    for size in SIZES:
        expected = torch.nn.functional.interpolate(moved, size).to(dtype)
        check(f"{NEAREST}.out", x, size, expected=expected)
        expected = torch.nn.functional.interpolate(moved, size, mode="nearest-exact").to(dtype)
        check(EXACT, x, size, expected=expected)


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
def test_nearest_scales(rng, dtype):
    x = random_tensor(rng, (2, 3, 7, 5), dtype)
    for scales in SCALES:
        check(f"{NEAREST}.vec_out", x, None, list(scales))
        check(f"{NEAREST}.out", x, [6, 9], *scales)
        check(EXACT, x, [6, 9], *scales)
    check(f"{NEAREST}.vec_out", x, [9, 4], None)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("align_corners", (False, True))
def test_bilinear(rng, dtype, align_corners):
    x = random_tensor(rng, (2, 3, 7, 5), dtype)
    tolerance = {"atol": 1e-5} if dtype == torch.float32 else {}
    for size in SIZES:
        check(f"{BILINEAR}.out", x, size, align_corners, **tolerance)
        check(f"{BILINEAR}.vec_out", x, size, align_corners, None, **tolerance)
    for scales in SCALES:
        check(f"{BILINEAR}.vec_out", x, None, align_corners, list(scales), **tolerance)
        check(f"{BILINEAR}.out", x, [6, 9], align_corners, *scales, **tolerance)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("align_corners", (False, True))
def test_antialiased(rng, dtype, align_corners):
    x = random_tensor(rng, (2, 3, 17, 12), dtype)
    wide = x.double() if dtype == torch.float64 else x.float()  # PyTorch has no 16-bit floats here
    for size in SIZES:
        expected = torch.ops.aten._upsample_bilinear2d_aa(wide, size, align_corners).to(dtype)
        check(ANTIALIASED, x, size, align_corners, expected=expected, atol=1e-5)
    for scales in SCALES:
        args = ([6, 9], align_corners, *scales)
        expected = torch.ops.aten._upsample_bilinear2d_aa(wide, *args).to(dtype)
        check(ANTIALIASED, x, *args, expected=expected, atol=1e-5)


def test_layouts(rng):
    x = random_tensor(rng, (2, 3, 7, 5))
    for size in SIZES:
        check(f"{NEAREST}.out", channels_last(x), size)
        check(f"{BILINEAR}.out", channels_last(x), size, False, atol=1e-5)
        check(ANTIALIASED, channels_last(x), size, False, atol=1e-5)
        expected = torch.nn.functional.interpolate(x, size)
        check(f"{NEAREST}.out", channels_last(x), size, expected=expected)


def test_long_rows(rng):
    x = random_tensor(rng, (1, 2, 2, 3000))
    check(f"{NEAREST}.out", x, [3, 40001])
    check(f"{BILINEAR}.out", x, [3, 40001], False, atol=1e-3)
    check(ANTIALIASED, x, [1, 7], False, atol=1e-4)


def test_nothing():
    check(f"{NEAREST}.out", torch.ones(0, 2, 3, 3), [2, 2])
    check(f"{BILINEAR}.out", torch.ones(0, 2, 3, 3), [2, 2], False)


def test_hostile_scales(rng):
    """Whatever the scale, only the input is read."""
    x = random_tensor(rng, (1, 1, 3, 5))
    for scale in (math.nan, math.inf, -math.inf, 0.0, -1.0, 5e-324, 1e-30, 1e30, 1.7e308):
        for name in (f"{NEAREST}.out", EXACT):
            out = torch.empty(1, 1, 4, 4)
            run(name, [x, [4, 4], scale, scale], [out])
            assert torch.isin(out, x).all()
        for align_corners in (False, True):
            for name in (f"{BILINEAR}.out", ANTIALIASED):
                run(name, [x, [4, 4], align_corners, scale, scale], [torch.empty(1, 1, 4, 4)])
        for name, rest in ((NEAREST, []), (BILINEAR, [False])):
            with pytest.raises(OperatorError):
                run(f"{name}.vec_out", [x, None, *rest, [1.0, scale]], [torch.empty(1, 1, 4, 4)])


def test_refusals():
    x = torch.ones(1, 2, 3, 3)

    def refused(name, *args, shape=(1, 2, 4, 4), dtype=torch.float32):
        with pytest.raises(OperatorError):
            run(name, args, [torch.empty(shape, dtype=dtype)])

    for number in (0, -1, -(2**63), 2**31, 2**63 - 1):
        refused(f"{NEAREST}.out", x, [4, number])
        refused(f"{BILINEAR}.out", x, [4, number], False)
        refused(ANTIALIASED, x, [number, 4], False)
    refused(f"{NEAREST}.vec_out", x, None, None)
    refused(f"{NEAREST}.vec_out", x, [4, 4], [2.0, 2.0])
    refused(f"{NEAREST}.vec_out", x, None, [2.0])
    refused(f"{NEAREST}.out", x, [4, 4, 4])
    refused(f"{NEAREST}.out", x, [4, 5])  # too small
    refused(f"{NEAREST}.out", torch.ones(2, 3, 3), [4, 4])
    refused(f"{NEAREST}.out", torch.ones(1, 2, 0, 3), [4, 4])
    refused(f"{BILINEAR}.out", x, [4, 4], False, dtype=torch.float64)
    refused(f"{BILINEAR}.out", x.int(), [4, 4], False, dtype=torch.int32)
