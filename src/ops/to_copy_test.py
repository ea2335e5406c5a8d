# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Copies that convert dtypes and layouts, against PyTorch."""

import itertools

import pytest
import torch
from op_testing import (
    ALL_DTYPES,
    COMPLEX,
    FLOATS,
    UNSIGNED,
    OperatorError,
    channels_last,
    check,
    in_order,
    random_tensor,
    run,
)  # fmt: skip

SEED = 20261125
DTYPES = ALL_DTYPES + UNSIGNED

# What ExecuTorch adds to PyTorch's operators.
LIBRARIES = [torch.library.Library("dim_order_ops", "FRAGMENT"),
             torch.library.Library("et_copy", "FRAGMENT")]  # fmt: skip
for op in ("_to_dim_order_copy", "_clone_dim_order"):
    LIBRARIES[0].define(f"{op}.out(Tensor self, *, bool non_blocking=False, int[]? dim_order=None,"
                        " Tensor(a!) out) -> Tensor(a!)")  # fmt: skip
for op in ("_h2d_copy", "_d2h_copy"):
    LIBRARIES[1].define(f"{op}.out(Tensor self, *, Tensor(a!) out) -> Tensor(a!)")


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


def check_exact(*args, **kwargs):
    check(*args, rtol=0, atol=0, **kwargs)


@pytest.mark.parametrize("target", DTYPES)
def test_every_pair_of_dtypes(target, rng):
    for source in DTYPES:
        low = 0 if target in UNSIGNED + (torch.uint8,) else -4
        x = random_tensor(rng, (5, 70), source, low=low)
        check_exact("aten::_to_copy.out", x, expected=x.to(target))
        check_exact("aten::copy_", x.new_zeros((5, 70)).to(target), x)


def test_no_value_is_lost_on_the_way():
    def both(values, source, targets):
        x = torch.tensor(values, dtype=source)
        for target in targets:
            check_exact("aten::_to_copy.out", x, expected=x.to(target))

    integers = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16,
                torch.uint32, torch.uint64, torch.bool)  # fmt: skip
    both([0, 1, 2**32 - 1, 2**63, 2**64 - 1, 2**40 + 1], torch.uint64, integers + FLOATS)
    both([0, 1, 2**31, 2**32 - 1, 16777217], torch.uint32, integers + FLOATS)
    both([-(2**63), 2**63 - 1, 2**53 + 1, 16777217, -1, 256, 2**32], torch.int64, integers + FLOATS)
    both([-(2**31), 2**31 - 1, 16777217, -1, 65536], torch.int32, integers + FLOATS)
    both([2049, 65535, 32768, 257], torch.uint16, integers + FLOATS)
    special = [0.0, -0.0, 1e-45, 6e-8, 65504, 65519, 65520, 1e30, -1e30, float("inf"), float("nan")]
    both(
        special + [2**-24, 1.00048828125, 1 + 2**-11 + 2**-30],
        torch.float64,
        FLOATS + (torch.bool,),
    )
    for source in FLOATS:
        both(special, source, FLOATS + (torch.bool,))
    both([1.9, -1.9, 2.5e9, 9.0e15, -0.5], torch.float64, (torch.int64,))
    both([1.9, -1.9, 60000, -0.5], torch.float16, (torch.int64, torch.int32))


def test_shapes_and_layouts(rng):
    for shape in ((), (0,), (3, 0, 2), (1,), (1, 1), (2, 3, 4, 5)):
        x = random_tensor(rng, shape)
        check_exact("aten::clone.out", x)
        check_exact("aten::_to_copy.out", x, expected=x.double())
    for dtype in (torch.float32, torch.float16, torch.int16):
        for a, b in itertools.product(itertools.permutations(range(3)), repeat=2):
            x = random_tensor(rng, (2, 33, 4))
            check_exact("aten::_to_copy.out", in_order(x, a), expected=in_order(x.to(dtype), b))
    x = random_tensor(rng, (2, 67, 9, 11))
    check_exact("aten::clone.out", x, memory_format=torch.channels_last)
    check_exact("aten::clone.out", channels_last(x), memory_format=torch.contiguous_format)
    check_exact("aten::clone.out", channels_last(x), memory_format=torch.preserve_format)
    check_exact("aten::_to_copy.out", x, memory_format=torch.channels_last, non_blocking=True,
                expected=channels_last(x).int())  # fmt: skip


def test_dim_order_copies(rng):
    x = random_tensor(rng, (2, 3, 4, 5))
    for op in ("_to_dim_order_copy", "_clone_dim_order"):
        name = f"dim_order_ops::{op}.out"
        check_exact(name, x, dim_order=[0, 2, 3, 1], expected=channels_last(x))
        check_exact(name, channels_last(x), dim_order=[0, 1, 2, 3], expected=x)
        check_exact(name, channels_last(x), expected=channels_last(x))
        check_exact(name, torch.tensor(3.5), dim_order=[], expected=torch.tensor(3.5))
    check_exact("dim_order_ops::_to_dim_order_copy.out", x, dim_order=[0, 2, 3, 1],
                expected=channels_last(x.to(torch.bfloat16)))  # fmt: skip


def test_device_copies(rng):
    x = random_tensor(rng, (3, 4), torch.int8)
    check_exact("et_copy::_h2d_copy.out", x, expected=x)
    check_exact("et_copy::_d2h_copy.out", x, expected=x)


def test_copy_broadcasts(rng):
    into = random_tensor(rng, (4, 3, 5))
    for shape in ((4, 3, 5), (3, 1), (5,), (), (1, 1, 1)):
        for dtype in (torch.float32, torch.int64, torch.bool):
            src = random_tensor(rng, shape, dtype)
            check_exact("aten::copy.out", into, src)
            check_exact("aten::copy_", into, src)
    check_exact("aten::copy_", channels_last(random_tensor(rng, (2, 3, 4, 5))),
                random_tensor(rng, (3, 4, 5)), True)  # fmt: skip
    check_exact("aten::copy_", torch.empty(0, 3), torch.empty(3))
    for shape in ((4,), (2, 4, 3, 5), (4, 0, 5)):
        with pytest.raises(OperatorError):
            run("aten::copy_", [into, torch.zeros(shape)], [])


def test_copy_onto_itself(rng):
    x = random_tensor(rng, (300, 100))
    want = x.clone()
    run("aten::copy_", [x, x], [])
    assert torch.equal(x, want)


def test_complex(rng):
    for dtype in COMPLEX:
        check_exact("aten::clone.out", random_tensor(rng, (3, 4), dtype))
    with pytest.raises(OperatorError):
        run("aten::_to_copy.out", [torch.zeros(2, dtype=torch.complex64)], [torch.zeros(2)])


def test_bools_of_other_bytes():
    """Any byte but 0 is true."""
    x = torch.tensor([0, 1, 2, 255], dtype=torch.uint8).view(torch.bool)
    check_exact("aten::_to_copy.out", x, expected=torch.tensor([0.0, 1.0, 1.0, 1.0]))
