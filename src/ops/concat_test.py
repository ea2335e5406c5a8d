# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Joining, splitting and repeating tensors, against PyTorch."""

import itertools

import pytest
import torch
from op_testing import (
    STORAGE_DTYPES,
    OperatorError,
    channels_last,
    check,
    in_order,
    random_tensor,
    run,
)  # fmt: skip

SEED = 20261126
INT_MAX = 2**63 - 1


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


def check_exact(*args, **kwargs):
    check(*args, rtol=0, atol=0, **kwargs)


def test_cat(rng):
    for dim in (0, 1, 2, -1):
        d = dim % 3
        parts = []
        for n in (2, 0, 5, 1):
            shape = [3, 4, 2]
            shape[d] = n
            parts.append(random_tensor(rng, shape))
        check_exact("aten::cat.out", parts, dim)
        check_exact("aten::cat.out", parts[:1], dim)
    check_exact("aten::cat.out", [random_tensor(rng, (3000,)), random_tensor(rng, (40000,))])
    check_exact("aten::cat.out", [random_tensor(rng, (70, 300)), random_tensor(rng, (70, 31))], 1)


def test_cat_skips_legacy_empties(rng):
    empty, x = torch.empty(0), random_tensor(rng, (2, 3))
    check_exact("aten::cat.out", [empty, x, empty, x], 1)
    check_exact("aten::cat.out", [x, empty])
    check_exact("aten::cat.out", [empty, empty])
    check_exact("aten::cat.out", [empty, random_tensor(rng, (4,))])


def test_cat_promotes(rng):
    for s, t in itertools.product(STORAGE_DTYPES[:10], repeat=2):  # PyTorch lacks the others
        check_exact("aten::cat.out", [random_tensor(rng, (2, 70), s), random_tensor(rng, (3, 70), t)])
        check_exact("aten::cat.out", [random_tensor(rng, (2, 3), s), random_tensor(rng, (2, 2), t)], 1)
    kinds = (torch.float32, torch.int8, torch.bool, torch.float16, torch.int8)
    parts = [random_tensor(rng, (2, 3), t) for t in kinds]
    check_exact("aten::cat.out", parts, -1)
    check_exact("aten::stack.out", [p.to(t) for p, t in zip(parts[:3], kinds[:3], strict=True)], 1,
                expected=torch.stack([p.float() for p in parts[:3]], 1))  # fmt: skip


def test_layouts(rng):
    a, b = random_tensor(rng, (2, 3, 4, 5)), random_tensor(rng, (2, 6, 4, 5))
    check_exact("aten::cat.out", [channels_last(a), channels_last(b)], 1)
    check_exact("aten::cat.out", [channels_last(a), b], 1, expected=torch.cat([a, b], 1))
    check_exact("aten::cat.out", [a, b], 1, expected=channels_last(torch.cat([a, b], 1)))
    check_exact("aten::stack.out", [a, channels_last(a)], 2, expected=torch.stack([a, a], 2))
    parts = torch.split(b, 4, 1)
    check_exact("aten::split_copy.Tensor_out", channels_last(b), 4, 1,
                expected=[[channels_last(p) for p in parts]])  # fmt: skip


@pytest.mark.parametrize("dtype", STORAGE_DTYPES)
def test_every_dtype(dtype, rng):
    a, b = random_tensor(rng, (3, 40), dtype), random_tensor(rng, (3, 7), dtype)
    check_exact("aten::cat.out", [a, b], 1)
    check_exact("aten::stack.out", [a, a], 0)
    check_exact("aten::repeat.out", b, [2, 3])
    check_exact("aten::unbind_copy.int_out", a, 0, expected=[list(a.unbind(0))])


def test_stack(rng):
    parts = [random_tensor(rng, (3, 4)) for _ in range(3)]
    for dim in (0, 1, 2, -1, -3):
        check_exact("aten::stack.out", parts, dim)
    check_exact("aten::stack.out", [torch.tensor(1.5), torch.tensor(2.5)])
    check_exact("aten::stack.out", [torch.empty(0, 2)] * 3, 1)


def check_parts(name, x, *args):
    parts = {"aten::split_copy.Tensor_out": torch.split,
             "aten::split_with_sizes_copy.out": torch.split,
             "aten::unbind_copy.int_out": torch.unbind}[name](x, *args)  # fmt: skip
    check_exact(name, x, *args, expected=[[p.contiguous() for p in parts]])


def test_splits(rng):
    x = random_tensor(rng, (4, 7, 2))
    for size, dim in ((2, 0), (3, 1), (7, -2), (100, 1), (INT_MAX, 2), (1, 2)):
        check_parts("aten::split_copy.Tensor_out", x, size, dim)
    check_parts("aten::split_copy.Tensor_out", torch.empty(0, 3), 0, 0)
    check_parts("aten::split_copy.Tensor_out", torch.empty(0, 3), 2, 0)
    for sizes, dim in (([1, 3], 0), ([0, 7, 0], 1), ([2], -1)):
        check_parts("aten::split_with_sizes_copy.out", x, sizes, dim)
    for dim in (0, 1, -1):
        check_parts("aten::unbind_copy.int_out", x, dim)
    check_parts("aten::unbind_copy.int_out", torch.empty(2, 0), 0)


def test_repeat(rng):
    for shape, repeats in (((3,), [2]), ((3,), [4, 2]), ((2, 3), [1, 1]), ((2, 3), [3, 1]),
                           ((2, 3), [2, 5]), ((1, 4, 1), [3, 2, 5]), ((), []), ((), [2, 3]),
                           ((2, 3), [0, 2]), ((0,), [3, 3]), ((2, 3, 4), [2, 2, 2, 2]),
                           ((50, 60), [7, 1])):  # fmt: skip
        check_exact("aten::repeat.out", random_tensor(rng, shape), repeats)
    x = random_tensor(rng, (2, 3, 4))
    for order in itertools.permutations(range(3)):
        check_exact("aten::repeat.out", in_order(x, order), [2, 3, 1],
                    expected=in_order(x.repeat(2, 3, 1), (1, 2, 0)))  # fmt: skip


def refused(name, args, outputs):
    with pytest.raises(OperatorError):
        run(name, args, outputs)


def test_refusals():
    a = torch.zeros(2, 3)
    out = torch.zeros(9, 9)
    refused("aten::cat.out", [[]], [out])
    refused("aten::cat.out", [[a, torch.zeros(2, 4)]], [out])
    refused("aten::cat.out", [[a, torch.zeros(2)]], [out])
    refused("aten::cat.out", [[a, a], 2], [out])
    refused("aten::cat.out", [[a, a], -3], [out])
    refused("aten::cat.out", [[torch.tensor(1.0)]], [torch.zeros(1)])
    refused("aten::cat.out", [[a, a]], [torch.zeros(3, 3)])  # too small
    refused("aten::cat.out", [[a, a]], [torch.zeros(4, 3, dtype=torch.int32)])
    refused("aten::stack.out", [[]], [out])
    refused("aten::stack.out", [[a, torch.zeros(3, 2)]], [torch.zeros(2, 2, 3)])
    refused("aten::stack.out", [[a], 3], [torch.zeros(1, 2, 3)])
    refused("aten::split_copy.Tensor_out", [a, 0, 0], [[a]])
    refused("aten::split_copy.Tensor_out", [a, -1, 0], [[a]])
    refused("aten::split_copy.Tensor_out", [a, 1, 0], [[a]])
    refused("aten::split_copy.Tensor_out", [a, 1, 2], [[a, a]])
    refused("aten::split_with_sizes_copy.out", [a, [1, 2], 0], [[a, a]])
    refused("aten::split_with_sizes_copy.out", [a, [3, -1], 0], [[a, a]])
    refused("aten::split_with_sizes_copy.out", [a, [INT_MAX, INT_MAX, 4], 0], [[a, a, a]])
    refused("aten::split_with_sizes_copy.out", [a, [2], 0], [[a, a]])
    refused("aten::unbind_copy.int_out", [a, 0], [[torch.zeros(3)]])
    refused("aten::unbind_copy.int_out", [torch.tensor(1.0), 0], [[torch.tensor(1.0)]])
    refused("aten::repeat.out", [a, [2]], [out])
    refused("aten::repeat.out", [a, [2, -1]], [out])
    refused("aten::repeat.out", [a, [INT_MAX, INT_MAX]], [out])
    refused("aten::repeat.out", [a, [2**31 - 1, 2**31 - 1]], [out])
    refused("aten::repeat.out", [a, [1] * 17], [out])
    refused("aten::repeat.out", [torch.zeros((2,) * 16), [2] * 16], [torch.zeros((1,) * 16)])
