# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Writing through index tensors, against PyTorch."""

import itertools

import pytest
import torch
from op_testing import (
    ALL_DTYPES,
    FLOATS,
    STORAGE_DTYPES,
    OperatorError,
    check,
    in_order,
    random_tensor,
    run,
)  # fmt: skip

SEED = 20261201


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


def check_exact(*args, **kwargs):
    check(*args, rtol=0, atol=0, **kwargs)


def indices(rng, shape, size, dtype=torch.int64, negative=False):
    low = -size if negative else 0
    return torch.randint(low, size, shape, generator=rng).to(dtype)


def distinct(rng, count, size):
    return torch.randperm(size, generator=rng)[:count]


def test_cache_update(rng):
    """The hot case: rows of a KV cache."""
    cache = random_tensor(rng, (1, 3, 32, 16))
    for length in (1, 5):
        position = torch.arange(7, 7 + length)
        values = random_tensor(rng, (1, 3, length, 16))
        check_exact("aten::index_put_", cache, [None, None, position], values)
        want = torch.ops.aten.index_put(cache, [None, None, position], values)
        narrow = [None, None, position.int()]
        check_exact("aten::index_put.out", cache, narrow, values, expected=want)
    for name in ("aten::index_put_", "aten::index_put.out"):
        check_exact(name, cache, [None, None, torch.tensor([31])], torch.tensor(2.0))
        check_exact(name, cache, [None, None, torch.tensor([-1])], torch.ones(3, 1, 1))


def put_lists(rng, x, i):
    """Lists of indices that name no place twice."""
    mask = torch.randint(0, 2, (4, 5), generator=rng).bool()
    return [
        [i(3, 0)],
        [None, i(4, 1)],
        [None, None, i(2, 2)],
        [i(3, 0), i(3, 1)],
        [i(3, 0), None, i(3, 2)],
        [i(3, 0).reshape(3, 1), i(2, 1)],
        [i(1, 0).reshape(()), i(2, 1)],
        [i(0, 0)],
        [mask],
        [None, mask[0].clone()],
        [mask[:, 0].clone(), None, i(1, 2)],
        [None, None],
    ]


@pytest.mark.parametrize("accumulate", (False, True))
def test_index_put(accumulate, rng):
    x = random_tensor(rng, (4, 5, 6))
    for list_ in put_lists(rng, x, lambda n, d: distinct(rng, n, x.size(d))):
        shape = x[tuple(slice(None) if t is None else t for t in list_)].shape
        values = random_tensor(rng, shape)
        for name in ("aten::index_put_", "aten::index_put.out"):
            if all(t is None for t in list_):  # PyTorch wants an index
                want = x + values if accumulate else values
                check_exact(name, x, list_, values, accumulate, expected=want)
                continue
            check_exact(name, x, list_, values, accumulate)
            check_exact(name, x, list_, torch.tensor(1.5), accumulate)
            if shape and shape[-1] > 0:
                check_exact(name, x, list_, values[..., :1].contiguous(), accumulate)


def test_index_put_layouts(rng):
    x = random_tensor(rng, (4, 5, 6))
    index, values = distinct(rng, 3, 5), random_tensor(rng, (4, 3, 6))
    want = torch.ops.aten.index_put(x, [None, index], values)
    for a, b, c in itertools.product(itertools.permutations(range(3)), repeat=3):
        check_exact("aten::index_put.out", in_order(x, a), [None, index], in_order(values, b),
                    expected=in_order(want, c))  # fmt: skip


def test_accumulation(rng):
    """Places that are named again and again."""
    for dtype in ALL_DTYPES:
        x = random_tensor(rng, (7, 3), dtype, low=-1, high=2)
        rows = indices(rng, (200,), 7, negative=True)
        values = random_tensor(rng, (200, 3), dtype, low=-1, high=2)
        exact = torch.zeros(7, 3, dtype=torch.float64).index_put_((rows,), values.double(), True)
        want = (x.double() + exact).to(dtype)
        if dtype in (torch.uint8, torch.int8, torch.int16):
            want = (x.long() + exact.long()).to(dtype)  # wraps around
        for name in ("aten::index_put_", "aten::index_put.out"):
            check(
                name,
                x,
                [rows],
                values,
                True,
                expected=want,
                rtol=1e-2 if dtype in FLOATS[2:] else None,
            )


@pytest.mark.parametrize("dtype", STORAGE_DTYPES)
def test_every_dtype(dtype, rng):
    x, values = random_tensor(rng, (6, 40), dtype), random_tensor(rng, (3, 40), dtype)
    rows = distinct(rng, 3, 6)
    want = x.clone()
    for to, row in enumerate(rows):
        want[row] = values[to]
    check_exact("aten::index_put_", x, [rows], values, expected=want)
    check_exact("aten::index_copy.out", x, 0, rows, values, expected=want)
    check_exact("aten::scatter.src_out", x, 0, rows[:, None].expand(3, 40).clone(), values, expected=want)


def test_index_copy(rng):
    x = random_tensor(rng, (4, 5, 6))
    for dim, n in ((0, 3), (1, 5), (-1, 2), (1, 0)):
        shape = list(x.shape)
        shape[dim] = n
        check_exact("aten::index_copy.out", x, dim, distinct(rng, n, x.size(dim)), random_tensor(rng, shape))
    check_exact("aten::index_copy.out", torch.tensor(1.0), 0, torch.tensor([0]), torch.tensor(3.0))


SCATTERS = [((4, 5, 6), (3, 5, 6), (3, 5, 6), 0), ((4, 5, 6), (4, 9, 6), (4, 9, 6), 1),
            ((4, 5, 6), (2, 3, 4), (4, 5, 6), -1), ((4, 5), (0, 5), (4, 5), 0),
            ((7,), (3,), (5,), 0), ((), (), (), 0),
            ((300, 40), (300, 90), (300, 90), 1)]  # fmt: skip


def test_scatter(rng):
    for shape, index_shape, src_shape, dim in SCATTERS:
        x, src = random_tensor(rng, shape), random_tensor(rng, src_shape)
        size = x.size(dim) if shape else 1
        index = indices(rng, index_shape, size)
        check_exact("aten::scatter.src_out", x, dim, index, src)  # the last wins
        check_exact("aten::scatter.value_out", x, dim, index, 2.5)
        check("aten::scatter_add.out", x, dim, index, src)
        check(
            "aten::scatter_add.out",
            x,
            dim,
            index.int(),
            src,
            expected=x.scatter_add(dim, index, src),
        )
    for dtype in ALL_DTYPES:
        x = random_tensor(rng, (3, 4), dtype)
        check_exact("aten::scatter.value_out", x, 1, torch.tensor([[0, 2]]), 1)


@pytest.mark.parametrize("reduce", ("sum", "prod", "mean", "amax", "amin"))
@pytest.mark.parametrize("include_self", (True, False))
def test_scatter_reduce(reduce, include_self, rng):
    for shape, index_shape, src_shape, dim in SCATTERS:
        for dtype in (torch.float32, torch.float64, torch.int32, torch.int64):
            x = random_tensor(rng, shape, dtype, low=1)
            src = random_tensor(rng, src_shape, dtype, low=1, high=3)
            index = indices(rng, index_shape, x.size(dim) if shape else 1)
            check("aten::scatter_reduce.two_out", x, dim, index, src, reduce,
                  include_self=include_self, rtol=1e-4)  # fmt: skip
    for dtype in ALL_DTYPES[2:]:
        if reduce == "mean" and dtype == torch.bool:
            continue
        x, src = random_tensor(rng, (5, 3), dtype), random_tensor(rng, (9, 3), dtype)
        index = indices(rng, (9, 3), 5)
        if reduce == "prod" and dtype in FLOATS:
            src = src.sign()
        check("aten::scatter_reduce.two_out", x, 0, index, src, reduce, include_self=include_self,
              atol=5e-2 if dtype in FLOATS else None)  # fmt: skip


def test_scatter_reduce_of_nan():
    x = torch.tensor([1.0, float("nan"), 3.0, float("-inf")])
    src = torch.tensor([float("nan"), 5.0, 4.0, 2.0, float("inf")])
    index = torch.tensor([0, 1, 2, 2, 3])
    for reduce, include_self in itertools.product(("sum", "amax", "amin", "mean"), (True, False)):
        check("aten::scatter_reduce.two_out", x, 0, index, src, reduce, include_self=include_self)


def test_layouts(rng):
    x, src = random_tensor(rng, (4, 5, 6)), random_tensor(rng, (4, 9, 6))
    index = indices(rng, (4, 9, 6), 5)
    want = x.scatter_add(1, index, src)
    orders = [(0, 1, 2), (2, 0, 1), (1, 2, 0)]
    for a, b, c, d in itertools.product(orders, repeat=4):
        check("aten::scatter_add.out", in_order(x, a), 1, in_order(index, b), in_order(src, c),
              expected=in_order(want, d))  # fmt: skip
    half = x.half()
    want = half.scatter_add(1, index, src.half())
    check("aten::scatter_add.out", in_order(half, (2, 0, 1)), 1, index, src.half(),
          expected=in_order(want, (1, 0, 2)))  # fmt: skip


def refused(name, args, out, code=None):
    before = out.clone()
    outputs = [] if name.endswith("_") else [out]
    with pytest.raises(OperatorError) as error:
        run(name, [out, *args[1:]] if name.endswith("_") else args, outputs)
    assert torch.equal(out, before), "written to before the check"
    if code is not None:
        assert error.value.code == code


@pytest.mark.parametrize("dtype", (torch.int64, torch.int32))
def test_indices_out_of_range(dtype):
    x, src = torch.zeros(4, 5), torch.ones(3, 5)
    limits = torch.iinfo(dtype)
    for wrong in (4, -5, limits.max, limits.min, -1):
        index = torch.tensor([0, wrong, 1], dtype=dtype)
        along = index[:, None].expand(3, 5).contiguous()
        out = torch.full((4, 5), 7.0)
        refused("aten::scatter.src_out", [x, 0, along, src], out, 3)
        refused("aten::scatter.value_out", [x, 0, along, 2], out, 3)
        refused("aten::scatter_add.out", [x, 0, along, src], out, 3)
        refused("aten::scatter_reduce.two_out", [x, 0, along, src, "sum"], out, 3)
        refused("aten::index_copy.out", [x, 0, index, src], out, 3)
        if wrong != -1:
            refused("aten::index_put.out", [x, [index], src], out, 3)
            refused("aten::index_put.out", [x, [index], src, True], out, 3)
            refused("aten::index_put_", [x, [index], src], out, 3)


def test_refusals():
    x, src, out = torch.zeros(4, 5), torch.ones(3, 5), torch.zeros(4, 5)
    i = torch.tensor([0, 1, 2])
    along = i[:, None].expand(3, 5).contiguous()
    refused("aten::index_put_", [x, [i], src.double()], out)
    refused("aten::index_put_", [x, [i], torch.ones(2, 5)], out)
    refused("aten::index_put_", [x, [i], torch.ones(1, 3, 5)], out)
    refused("aten::index_put_", [x, [i, i, i], torch.ones(3)], out)
    refused("aten::index_put_", [x, [i.float()], src], out)
    refused("aten::index_put.out", [x, [i], src], torch.zeros(3, 5))
    refused("aten::index_copy.out", [x, 0, i, torch.ones(2, 5)], out)
    refused("aten::index_copy.out", [x, 0, along, src], out)
    refused("aten::scatter.src_out", [x, 0, along, src[:2]], out)
    refused("aten::scatter.src_out", [x, 0, along, src.int()], out)
    refused("aten::scatter.src_out", [x, 2, along, src], out)
    refused("aten::scatter.src_out", [x, 0, i, src], out)
    refused("aten::scatter.src_out", [x, 1, torch.zeros(5, 5, dtype=torch.int64), torch.ones(5, 5)], out)
    refused("aten::scatter_reduce.two_out", [x, 0, along, src, "median"], out)
    with pytest.raises(OperatorError):  # no arithmetic in complex numbers
        z = torch.zeros(2, dtype=torch.complex64)
        run("aten::index_put_", [z, [torch.tensor([0])], z[:1], True], [])
    # Sizes that multiply beyond all bounds.
    many = [torch.zeros([1] * d + [2**14] + [1] * (5 - d), dtype=torch.int64) for d in range(6)]
    refused("aten::index_put_", [x, many[:5] + [many[5]], torch.tensor(1.0)], torch.zeros((1,) * 6))


def test_index_over_the_output():
    x = torch.tensor([1, 0, 3, 2])
    with pytest.raises(OperatorError):
        run("aten::index_put_", [x, [x], torch.tensor(10**15)], [])
    assert x.tolist() == [1, 0, 3, 2]


def test_values_over_the_output(rng):
    x = random_tensor(rng, (6, 5))
    want = x.clone()
    run("aten::index_put_", [x, [torch.arange(6)], x], [])
    assert torch.equal(x, want)
