# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Operators whose sizes depend on data, against PyTorch."""

import itertools

import pytest
import torch
from op_testing import (
    ALL_DTYPES,
    STORAGE_DTYPES,
    UNSIGNED,
    OperatorError,
    broadcast_pairs,
    check,
    in_order,
    random_tensor,
    run,
)  # fmt: skip

SEED = 20261202
INT_MAX = 2**63 - 1


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


def check_exact(*args, **kwargs):
    check(*args, rtol=0, atol=0, **kwargs)


def test_masked_select(rng):
    for a, b in broadcast_pairs(rng):
        check_exact("aten::masked_select.out", random_tensor(rng, a), random_tensor(rng, b, torch.bool))
    x = random_tensor(rng, (300, 500))
    check_exact("aten::masked_select.out", x, x > 0)
    check_exact("aten::masked_select.out", x, x > 100)
    check_exact("aten::masked_select.out", x, x < 100)
    check_exact("aten::masked_select.out", x, (x > 0).to(torch.uint8) * 2, expected=x[x > 0])
    x, mask = random_tensor(rng, (4, 5, 6)), random_tensor(rng, (4, 5, 6), torch.bool)
    for a, b in itertools.product(itertools.permutations(range(3)), repeat=2):
        check_exact("aten::masked_select.out", in_order(x, a), in_order(mask, b), expected=x[mask])


def test_masked_scatter(rng):
    for a, b in broadcast_pairs(rng):
        x, mask = random_tensor(rng, a), random_tensor(rng, b, torch.bool)
        shape = torch.broadcast_shapes(a, b)
        count = int(mask.expand(shape).sum())
        for spare in (0, 3):
            check_exact("aten::masked_scatter.out", x, mask, random_tensor(rng, (count + spare,)))
    x, mask = random_tensor(rng, (4, 5, 6)), random_tensor(rng, (4, 5, 6), torch.bool)
    source = random_tensor(rng, (12, 10))
    want = x.masked_scatter(mask, source)
    for a, b, c in itertools.product(itertools.permutations(range(3)), repeat=3):
        check_exact("aten::masked_scatter.out", in_order(x, a), in_order(mask, b), source,
                    expected=in_order(want, c))  # fmt: skip


@pytest.mark.parametrize("dtype", STORAGE_DTYPES)
def test_every_dtype(dtype, rng):
    x, mask = random_tensor(rng, (7, 9), dtype), random_tensor(rng, (7, 9), torch.bool)
    check_exact("aten::masked_select.out", x, mask, expected=x[mask])
    source = random_tensor(rng, (63,), dtype)
    want = [source[i - 1] if m else old for i, m, old in
            zip(mask.flatten().cumsum(0), mask.flatten(), x.flatten(), strict=True)]  # fmt: skip
    check_exact("aten::masked_scatter.out", x, mask, source, expected=torch.stack(want).reshape(7, 9))


def test_nonzero(rng):
    for dtype in ALL_DTYPES + UNSIGNED:
        x = random_tensor(rng, (7, 300), torch.int8, low=0, high=3).to(dtype)
        check_exact("aten::nonzero.out", x, expected=x.double().nonzero())
    for shape in ((), (0,), (3, 0), (1,), (2, 3, 4, 5)):
        check_exact("aten::nonzero.out", random_tensor(rng, shape, torch.bool))
        check_exact(
            "aten::nonzero.out",
            torch.ones(shape),
            expected=torch.ones(shape).nonzero().contiguous(),
        )
    check_exact("aten::nonzero.out", torch.tensor([0.0, -0.0, float("nan"), 1e-45, float("inf")]))
    check_exact("aten::nonzero.out", torch.tensor([0.0, 6e-8, -0.0], dtype=torch.float16))
    check_exact("aten::nonzero.out", torch.tensor([2**32, 0, 2**63], dtype=torch.uint64),
                expected=torch.tensor([[0], [2]]))  # fmt: skip
    check_exact("aten::nonzero.out", torch.tensor([0.3, 0.0], dtype=torch.float64))
    x = random_tensor(rng, (4, 5, 6), torch.int8)
    want = x.nonzero()
    for order in itertools.permutations(range(3)):
        check_exact("aten::nonzero.out", in_order(x, order), expected=want.contiguous())
        check_exact("aten::nonzero.out", in_order(x, order), expected=in_order(want, (1, 0)))


def test_repeat_interleave():
    for dtype in (torch.int64, torch.int32):
        for counts in ([1, 0, 3], [], [0, 0], [5], [2] * 100):
            repeats = torch.tensor(counts, dtype=dtype)
            check_exact("aten::repeat_interleave.Tensor_out", repeats)
            check_exact("aten::repeat_interleave.Tensor_out", repeats, output_size=sum(counts))


def refused(name, args, out, **kwargs):
    before = out.clone()
    with pytest.raises(OperatorError):
        run(name, args, [out], kwargs)
    assert torch.equal(out, before)


def test_refusals():
    x, mask, out = torch.ones(2, 3), torch.ones(2, 3, dtype=torch.bool), torch.zeros(6)
    refused("aten::masked_select.out", [x, mask], torch.zeros(5))
    refused("aten::masked_select.out", [x, mask.float()], out)
    refused("aten::masked_select.out", [x, mask[:, :2].contiguous()], out)
    refused("aten::masked_select.out", [x, mask], out.int())
    refused("aten::masked_scatter.out", [x, mask, torch.zeros(5)], torch.zeros(2, 3))
    refused("aten::masked_scatter.out", [x, mask, torch.zeros(6).int()], torch.zeros(2, 3))
    refused(
        "aten::masked_scatter.out",
        [x, mask, in_order(torch.zeros(2, 3), (1, 0))],
        torch.zeros(2, 3),
    )
    refused("aten::nonzero.out", [x], torch.zeros(5, 2, dtype=torch.int64))
    refused("aten::nonzero.out", [x], torch.zeros(6, 2, dtype=torch.int32))
    refused(
        "aten::nonzero.out",
        [torch.ones(2, dtype=torch.complex64)],
        torch.zeros(2, 1, dtype=torch.int64),
    )
    big = torch.zeros(8, dtype=torch.int64)
    for counts in ([-1, 2], [INT_MAX, INT_MAX], [INT_MAX], [2**31], [4, 5], [-(2**63)]):
        refused("aten::repeat_interleave.Tensor_out", [torch.tensor(counts)], big)
    for size in (3, -1, INT_MAX):
        refused("aten::repeat_interleave.Tensor_out", [torch.tensor([1, 1])], big, output_size=size)
    refused("aten::repeat_interleave.Tensor_out", [torch.ones(2)], torch.zeros(2))
    refused("aten::repeat_interleave.Tensor_out", [torch.tensor([[1]])], big)


def test_outputs_over_what_is_read_twice():
    memory = torch.tensor([3, 1, 1, 2])
    with pytest.raises(OperatorError):
        run("aten::nonzero.out", [memory], [memory.reshape(4, 1)])
    with pytest.raises(OperatorError):
        run("aten::repeat_interleave.Tensor_out", [memory[1:3]], [memory])
