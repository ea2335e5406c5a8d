# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Activations against PyTorch."""

import pytest
import torch
from op_testing import (
    ALL_DTYPES,
    FLOATS,
    OperatorError,
    channels_last,
    check,
    check_as_torch,
    random_tensor,
    run,
)  # fmt: skip

SEED = 20261126
SIMPLE = ["relu", "silu", "mish", "hardswish", "hardsigmoid", "log_sigmoid", "gelu", "elu",
          "leaky_relu", "softplus", "hardtanh"]  # fmt: skip
SPECIAL = [0.0, -0.0, 1.0, -1.0, 3.0, -3.0, 1e-40, 30.0, -30.0, 100.0, -100.0, float("nan")]


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


@pytest.mark.parametrize("name", SIMPLE)
def test_every_dtype(name, rng):
    for shape in ((), (0, 3), (1,), (3, 70), (2, 3, 4, 5)):
        for t in ALL_DTYPES:
            if name == "hardtanh" and t == torch.uint8:
                continue  # PyTorch refuses the negative bound, which never binds
            check_as_torch(f"aten::{name}.out", random_tensor(rng, shape, t))


@pytest.mark.parametrize("name", SIMPLE)
@pytest.mark.parametrize("dtype", FLOATS)
def test_special_values(name, dtype):
    check(f"aten::{name}.out", torch.tensor(SPECIAL).to(dtype))
    if name not in ("gelu", "silu"):  # PyTorch's answer at infinity depends on the length
        check(f"aten::{name}.out", torch.tensor([float("inf"), float("-inf")]).to(dtype))


def test_infinities():
    infinite = torch.tensor([float("inf")])
    for name in ("gelu", "silu", "mish", "hardswish", "relu"):
        check(f"aten::{name}.out", infinite, expected=infinite)
    check("aten::gelu.out", infinite, approximate="tanh", expected=infinite)


def test_layouts(rng):
    a = channels_last(random_tensor(rng, (2, 4, 4, 5)))
    for t in (torch.float32, torch.bfloat16):
        check("aten::hardswish.out", a.to(t))
        check("aten::hardtanh.out", a.to(t), -0.5, 2)


def test_gelu(rng):
    a = random_tensor(rng, (5, 300), low=-6, high=6)
    for t in FLOATS:
        for approximate in ("none", "tanh"):
            check("aten::gelu.out", a.to(t), approximate=approximate)
    for approximate in ("", "Tanh", "none\0", "tanhh"):
        with pytest.raises(OperatorError):
            run("aten::gelu.out", [a], [torch.empty_like(a)], {"approximate": approximate})


def test_numbers(rng):
    for t in FLOATS:
        a = random_tensor(rng, (3, 70), t)
        for slope in (0.0, 0.2, -1.5, 1):
            check("aten::leaky_relu.out", a, slope)
        for numbers in ((2,), (0.5, 1.7), (1.3, 0.4, 2), (1, 1, -1.0)):
            check("aten::elu.out", a, *numbers)
        for beta, threshold in ((2, 20), (0.5, 1.0), (-1.0, 2)):
            check("aten::softplus.out", a, beta, threshold)
        for low, high in ((-2, 0.5), (0, 6), (3, 2)):
            check("aten::hardtanh.out", a, low, high)
        for threshold, value in ((0.1, 20), (2, -1.5), (float("nan"), 1)):
            check("aten::threshold.out", a, threshold, value)


def test_numbers_with_integers(rng):
    for t in (torch.int8, torch.int32, torch.int64):
        a = random_tensor(rng, (3, 70), t)
        check("aten::hardtanh.out", a, -1.5, 2)
        check("aten::threshold.out", a, 1, -3)
    a = random_tensor(rng, (3, 70), torch.uint8)
    check("aten::hardtanh.out", a, -1, 2, expected=a.clamp(max=2))
    check_as_torch("aten::threshold.out", a > 0, 1, 0)


@pytest.mark.parametrize("shape", [(4,), (6, 2), (2, 4, 6), (2, 0, 3), (0,), (2, 6, 4, 8)])
def test_glu(shape, rng):
    for t in FLOATS:
        a = random_tensor(rng, shape, t)
        for dim in range(-a.dim(), a.dim()):
            if shape[dim] % 2 == 0:
                check("aten::glu.out", a, dim)


def test_glu_layouts(rng):
    a = random_tensor(rng, (2, 6, 4, 8))
    for t in (torch.float32, torch.float16):
        for x in (channels_last(a.to(t)), a.to(t).permute(3, 1, 0, 2)):
            for dim in range(4):
                check("aten::glu.out", x, dim)
    result = torch.empty(2, 3, 4, 8)  # another layout than the operand's
    run("aten::glu.out", [channels_last(a), 1], [result])
    torch.testing.assert_close(result, torch.nn.functional.glu(a, 1))


def test_glu_in_place(rng):
    a = random_tensor(rng, (6, 5))
    expected = torch.nn.functional.glu(a, 0)
    result = a.clone()
    run("aten::glu.out", [result, 0], [result])
    torch.testing.assert_close(result[:3], expected)


def test_refusals():
    a = torch.ones(4, 3)
    for dim in (1, 2, -3, 2**63 - 1, -(2**63)):  # odd, or no dimension
        with pytest.raises(OperatorError):
            run("aten::glu.out", [a, dim], [torch.empty(4, 3)])
    with pytest.raises(OperatorError):
        run("aten::glu.out", [torch.tensor(1.0), 0], [torch.tensor(1.0)])
    with pytest.raises(OperatorError):
        run("aten::glu.out", [torch.ones(4, dtype=torch.int32), 0], [torch.empty(2)])
    with pytest.raises(OperatorError):
        run("aten::relu.out", [a], [torch.empty(4, 3, dtype=torch.int32)])
    for number in (2**63 - 1, -(2**63), 1e308, float("nan")):  # int32 cannot hold them
        with pytest.raises(OperatorError):
            run("aten::hardtanh.out", [a.int(), -1, number], [torch.empty(4, 3)])
