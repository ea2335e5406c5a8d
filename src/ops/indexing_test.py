# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Reading through index tensors, against PyTorch."""

import itertools

import pytest
import torch
from op_testing import (
    STORAGE_DTYPES,
    UNSIGNED,
    OperatorError,
    channels_last,
    check,
    in_order,
    random_tensor,
    run,
)  # fmt: skip

SEED = 20261130
INT_MAX = 2**63 - 1
INT_MIN = -(2**63)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


def check_exact(*args, **kwargs):
    check(*args, rtol=0, atol=0, **kwargs)


def indices(rng, shape, size, dtype=torch.int64, negative=False):
    low = -size if negative else 0
    return torch.randint(low, size, shape, generator=rng).to(dtype)


INDEX_DTYPES = (torch.int64, torch.int32)


@pytest.mark.parametrize("dtype", INDEX_DTYPES)
def test_embedding(dtype, rng):
    weight = random_tensor(rng, (11, 64))
    for shape in ((5,), (2, 3), (), (0,), (2, 0, 3), (400,)):
        check_exact("aten::embedding.out", weight, indices(rng, shape, 11, dtype))
    check_exact("aten::embedding.out", weight, indices(rng, (4,), 11, dtype), 3, True, False)
    check_exact("aten::embedding.out", in_order(weight, (1, 0)), indices(rng, (2, 3), 11, dtype))
    check_exact("aten::embedding.out", torch.empty(3, 0), indices(rng, (2,), 3, dtype))


@pytest.mark.parametrize("dtype", INDEX_DTYPES)
def test_index_select(dtype, rng):
    x = random_tensor(rng, (4, 5, 6))
    for dim in (0, 1, 2, -1):
        for n in (0, 1, 7, 200):
            check_exact("aten::index_select.out", x, dim, indices(rng, (n,), x.size(dim), dtype))
        check_exact("aten::index_select.out", x, dim, indices(rng, (), x.size(dim), dtype))
    check_exact("aten::index_select.out", torch.tensor(2.5), 0, torch.zeros(1, dtype=dtype))
    y = random_tensor(rng, (2, 3, 4, 5))
    index = indices(rng, (9,), 3, dtype)
    want = y.index_select(1, index)
    check_exact("aten::index_select.out", channels_last(y), 1, index, expected=channels_last(want))


def test_gather(rng):
    x = random_tensor(rng, (4, 5, 6))
    for dim, shape in (
        (0, (3, 5, 6)),
        (1, (4, 70, 6)),
        (2, (4, 5, 2)),
        (-1, (2, 3, 9)),
        (1, (4, 0, 6)),
    ):
        index = indices(rng, shape, x.size(dim))
        check_exact("aten::gather.out", x, dim, index)
        want = x.gather(dim, index)
        check_exact("aten::gather.out", x, dim, index.int(), sparse_grad=True, expected=want)
        for a, b, c in itertools.product(itertools.permutations(range(3)), repeat=3):
            check_exact("aten::gather.out", in_order(x, a), dim, in_order(index, b),
                        expected=in_order(want, c))  # fmt: skip
    check_exact("aten::gather.out", torch.tensor(2.5), 0, torch.tensor(0))
    check_exact("aten::gather.out", torch.tensor(2.5), 0, torch.tensor([0, 0, 0]))
    check_exact("aten::gather.out", random_tensor(rng, (4,)), 0, torch.tensor(3))
    check_exact("aten::gather.out", random_tensor(rng, (300, 90)), 1, indices(rng, (300, 80), 90))


@pytest.mark.parametrize("dtype", STORAGE_DTYPES)
def test_every_dtype(dtype, rng):
    x = random_tensor(rng, (6, 40), dtype)
    rows, columns = indices(rng, (9,), 6), indices(rng, (9,), 40, negative=True)
    check_exact("aten::embedding.out", x, rows, expected=x[rows])
    check_exact("aten::index.Tensor_out", x, [rows, columns])
    check_exact("aten::index.Tensor_out", x, [None, columns])
    if dtype not in UNSIGNED:  # PyTorch cannot
        check_exact("aten::gather.out", x, 1, (columns % 40).reshape(3, 3))


def test_index(rng):
    x = random_tensor(rng, (4, 5, 6, 7))

    def i(shape, d, dtype=torch.int64):
        return indices(rng, shape, x.size(d), dtype, negative=True)

    lists = [
        [i((3,), 0)],
        [i((3, 2), 0)],
        [i((), 0)],
        [None, i((3,), 1)],
        [None, None, i((8,), 2)],
        [None, None, None, i((2, 3), 3)],
        [i((3,), 0), i((3,), 1)],
        [i((3, 1), 0), i((4,), 1)],
        [i((3,), 0), None, i((3,), 2)],
        [None, i((3,), 1), None, i((2, 1), 3)],
        [None, i((3,), 1), i((1,), 2)],
        [i((2,), 0), i((2,), 1), i((2,), 2), i((2,), 3)],
        [i((2, 1, 1, 1), 0), i((3, 1, 1), 1), i((1, 1), 2), i((2,), 3)],
        [i((), 0), None, i((), 2)],
        [i((0,), 0)],
        [None, i((0, 2), 1), i((1,), 2)],
        [i((3,), 0, torch.int32), i((3,), 1)],
        [None, None, i((8,), 2), None],
        [None, i((), 1), None, None],
    ]
    for list_ in lists:
        check_exact("aten::index.Tensor_out", x, list_)
    check_exact("aten::index.Tensor_out", x, [None, None], expected=x)
    check_exact("aten::index.Tensor_out", random_tensor(rng, (50, 3, 70)), [i((90,), 0)])


def test_index_by_masks(rng):
    x = random_tensor(rng, (4, 5, 6))

    def mask(*shape):
        return torch.randint(0, 2, shape, generator=rng).bool()

    for list_ in ([mask(4)], [mask(4, 5)], [mask(4, 5, 6)], [None, mask(5)], [None, mask(5, 6)],
                  [None, None, mask(6)], [mask(4), None, torch.tensor([2])],
                  [torch.tensor([[1], [-1]]), mask(5)], [torch.zeros(4, dtype=torch.bool)],
                  [mask(4), torch.tensor(3)]):  # fmt: skip
        check_exact("aten::index.Tensor_out", x, list_)
    check_exact("aten::index.Tensor_out", in_order(x, (2, 0, 1)), [mask(4, 5).T.contiguous().T])
    m = mask(4, 5)
    check_exact("aten::index.Tensor_out", x, [m.to(torch.uint8) * 200], expected=x[m])
    check_exact("aten::index.Tensor_out", torch.empty(0, 3), [torch.empty(0, 3, dtype=torch.bool)])
    big = torch.randint(0, 2, (300, 400), generator=rng).bool()
    check_exact("aten::index.Tensor_out", random_tensor(rng, (300, 400)), [big])


def test_index_layouts(rng):
    x = random_tensor(rng, (4, 5, 6))
    rows = indices(rng, (2, 3), 5)
    want = x[:, rows]
    for a, b, c in itertools.product(*(itertools.permutations(range(n)) for n in (3, 2, 4))):
        check_exact("aten::index.Tensor_out", in_order(x, a), [None, in_order(rows, b)],
                    expected=in_order(want, c))  # fmt: skip


def refused(name, args, out, code=None):
    before = out.clone()
    with pytest.raises(OperatorError) as error:
        run(name, args, [out])
    assert torch.equal(out, before), "written to before the check"
    if code is not None:
        assert error.value.code == code


@pytest.mark.parametrize("dtype", INDEX_DTYPES)
def test_indices_out_of_range(dtype):
    x = torch.zeros(4, 5)
    limits = torch.iinfo(dtype)
    for wrong in (4, -5, limits.max, limits.min, -1):
        index = torch.tensor([0, wrong, 1], dtype=dtype)
        refused("aten::embedding.out", [x, index], torch.ones(3, 5), 3)
        refused("aten::index_select.out", [x, 0, index], torch.ones(3, 5), 3)
        refused("aten::gather.out", [x, 0, index.reshape(3, 1)], torch.ones(3, 1), 3)
        if wrong != -1:
            refused("aten::index.Tensor_out", [x, [index]], torch.ones(3, 5), 3)
            refused("aten::index.Tensor_out", [x.T.contiguous(), [None, index]], torch.ones(5, 3), 3)
    refused("aten::embedding.out", [torch.zeros(0, 5), torch.tensor([0], dtype=dtype)],
            torch.ones(1, 5), 3)  # fmt: skip


def test_refusals():
    x = torch.zeros(4, 5)
    i = torch.tensor([0, 1])
    refused("aten::embedding.out", [x, i.float()], torch.ones(2, 5))
    refused("aten::embedding.out", [torch.zeros(4), i], torch.ones(2))
    refused("aten::embedding.out", [x, i], torch.ones(1, 5))
    refused("aten::embedding.out", [x, i], torch.ones(2, 5, dtype=torch.int32))
    refused("aten::index_select.out", [x, 2, i], torch.ones(2, 5))
    refused("aten::index_select.out", [x, 0, i.reshape(1, 2)], torch.ones(2, 5))
    refused("aten::index_select.out", [torch.tensor(1.0), 0, i * 0], torch.ones(2))
    refused("aten::gather.out", [x, 1, torch.zeros(5, 2, dtype=torch.int64)], torch.ones(5, 2))
    refused("aten::gather.out", [x, 1, i], torch.ones(2))
    refused("aten::gather.out", [x, -3, i.reshape(1, 2)], torch.ones(1, 2))
    refused("aten::index.Tensor_out", [x, [i.float()]], torch.ones(2, 5))
    refused("aten::index.Tensor_out", [x, [i, i, i]], torch.ones(2))
    refused("aten::index.Tensor_out", [x, [None, None, i]], torch.ones(2))
    refused("aten::index.Tensor_out", [x, [i, torch.zeros(3, dtype=torch.int64)]], torch.ones(3))
    refused("aten::index.Tensor_out", [x, [torch.zeros(5, dtype=torch.bool)]], torch.ones(0, 5))
    refused("aten::index.Tensor_out", [x, [torch.zeros(4, 5, 1, dtype=torch.bool)]], torch.ones(0))
    refused("aten::index.Tensor_out", [x, [torch.tensor(True)]], torch.ones(4, 5))
    refused("aten::index.Tensor_out", [torch.zeros((2,) * 7), [i] * 7], torch.ones(2))
    shape = (1, 1, 1, 1, 1, 1, 1, 1, 2)
    refused("aten::index.Tensor_out", [torch.zeros((2,) * 9), [i.reshape(shape)]], torch.ones((1,) * 16))


def test_output_over_an_index():
    """Writing would change the indices."""
    memory = torch.tensor([1, 0, 1, 0])
    with pytest.raises(OperatorError):
        run(
            "aten::embedding.out",
            [torch.tensor([[10**9], [-(10**9)]]), memory],
            [memory.reshape(4, 1)],
        )
