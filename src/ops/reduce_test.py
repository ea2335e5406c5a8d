# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Sums, products, extremes and logic over dimensions against PyTorch."""

import itertools
import math

import pytest
import torch
from op_testing import (
    ALL_DTYPES,
    FLOATS,
    INTEGERS,
    OperatorError,
    channels_last,
    check,
    random_tensor,
    run,
)  # fmt: skip

SEED = 20261124
INT64_MAX = 2**63 - 1
NAN, INF = math.nan, math.inf


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


def dim_sets(rank):
    """None, every subset of the dimensions that is not empty, and one of them from the end."""
    yield None
    for n in range(1, rank + 1):
        yield from (list(d) for d in itertools.combinations(range(rank), n))
    if rank > 1:
        yield [-1, 0]


# Shapes that take each way through memory: rows, columns narrower and wider than a vector, several
# runs, more than one block, and everything small.
SHAPES = [(), (1,), (7,), (5000,), (2, 3), (3, 70), (70, 3), (4, 1, 5), (2, 19, 3, 67), (300, 20)]


@pytest.mark.parametrize("name", ["aten::sum.IntList_out", "aten::mean.out", "aten::amax.out"])
def test_dims_and_layouts(name, rng):
    for shape in SHAPES:
        x = random_tensor(rng, shape)
        for dims, keepdim in itertools.product(dim_sets(len(shape)), (False, True)):
            dims = [] if dims is None and name == "aten::amax.out" else dims
            check(name, x, dims, keepdim, atol=2e-5)  # PyTorch's sums are less accurate
            if len(shape) == 4:
                check(name, channels_last(x), dims, keepdim, atol=2e-5)
                check(name, x.permute(3, 1, 0, 2), dims, keepdim, atol=2e-5)


def test_every_dtype(rng):
    for t, shape in itertools.product(ALL_DTYPES, [(40,), (5, 130), (130, 5), (9, 70, 3)]):
        x = random_tensor(rng, shape, t, low=1, high=3)
        for dim in range(len(shape)):
            check("aten::sum.IntList_out", x, [dim], rtol=4e-3 if t.itemsize == 2 else None)
            check("aten::amax.out", x, [dim])
            check("aten::amin.out", x, [dim])
            check("aten::any.out", x, dim)
            check("aten::all.out", x, dim, True)
            if t.is_floating_point:
                check("aten::mean.out", x, [dim])
        check("aten::max.unary_out", x)
        check("aten::min.unary_out", x)
        check("aten::any.all_out", x)
        check("aten::all.all_out", x)


def test_prod(rng):
    for t in ALL_DTYPES:
        x = random_tensor(rng, (6, 5, 4), t, low=1, high=3)
        for dim in range(3):
            check("aten::prod.int_out", x, dim, rtol=1e-2 if t.itemsize == 2 else None)
            check("aten::prod.int_out", x, dim - 3, True, dtype=torch.float32)
        check("aten::prod.out", x[0, 0])
        check("aten::prod.out", x[0], dtype=torch.float64)
    check("aten::prod.out", torch.tensor([2**62, 4, 5]))  # wraps around
    check("aten::prod.int_out", torch.empty(3, 0), 1)


def test_result_dtype(rng):
    x = random_tensor(rng, (4, 33), torch.float32)
    for t in FLOATS + INTEGERS:
        check("aten::sum.IntList_out", random_tensor(rng, (4, 33), t), [1], dtype=torch.float32)
    for t in (torch.int64, torch.int32, torch.float64, torch.float16, torch.bool):
        check("aten::sum.IntList_out", x, [1], dtype=t)
    check("aten::sum.out", x, dtype=torch.float64)
    check("aten::mean.dtype_out", x.to(torch.int32), dtype=torch.float64)
    check("aten::mean.dtype_out", x)
    check("aten::mean.out", x.to(torch.int16), [0], dtype=torch.float16)
    check("aten::sum.IntList_out", torch.full((3,), 2**62), [0])  # wraps around


def test_logic_dims(rng):
    x = random_tensor(rng, (3, 20, 4), torch.int32, 0, 2)
    for name in ("aten::any.dims_out", "aten::all.dims_out"):
        for dims in (None, [], [0], [1, -1], [0, 1, 2]):
            check(name, x, dims)
            check(name, x, dims, True)
            check(name, x.to(torch.float16), dims)
    check("aten::any.out", torch.tensor([0.0, -0.0]), 0)
    check("aten::all.out", torch.tensor([[NAN, 1.0], [0.0, INF]]), 1)
    check("aten::any.all_out", torch.tensor([NAN]))
    # PyTorch's uint8 gives uint8; a program may ask for it from other types.
    check("aten::all.all_out", x, expected=torch.tensor(0, dtype=torch.uint8))


def test_not_a_number():
    for position in (0, 5, 17, 40):
        x = torch.arange(41.0)
        x[position] = NAN
        for name in ("aten::max.unary_out", "aten::min.unary_out", "aten::sum.out"):
            check(name, x)
        columns = x.repeat(20, 1).clone()
        for name in ("aten::amax.out", "aten::amin.out", "aten::sum.IntList_out"):
            check(name, columns, [0])
            check(name, columns, [1])
    infinite = torch.tensor([[-INF, -INF], [INF, -INF], [INF, 1.0]])
    for name in ("aten::amax.out", "aten::amin.out", "aten::sum.IntList_out", "aten::mean.out"):
        check(name, infinite, [1])
        check(name, infinite, [0])


def test_extremes_of_integers():
    x = torch.tensor([[-(2**63), 2**63 - 1, 0], [5, -5, 2**62]])
    check("aten::amax.out", x, [1])
    check("aten::amin.out", x, [0])
    check("aten::max.unary_out", torch.tensor([-(2**63)]))
    check("aten::min.unary_out", torch.tensor([True, True]))


def test_no_elements():
    for shape in ((0,), (0, 3), (3, 0), (2, 0, 3)):
        x = torch.empty(shape)
        for dims in dim_sets(len(shape)):
            for name in ("aten::sum.IntList_out", "aten::mean.out", "aten::any.dims_out",
                         "aten::all.dims_out"):  # fmt: skip
                check(name, x, dims)
                check(name, x.to(torch.float16), dims, True)
    check("aten::sum.IntList_out", torch.empty(0, 3, dtype=torch.int32), [0])
    check("aten::amax.out", torch.empty(0, 3), [1])
    # The product of the other sizes does not fit any integer.
    check("aten::sum.out", torch.empty(0, 2**31 - 1, 1).expand(0, 2**31 - 1, 2**31 - 1))
    for name, dims in (("aten::amax.out", [0]), ("aten::amin.out", []), ("aten::amax.out", [0, 1])):
        with pytest.raises(OperatorError):
            run(name, [torch.empty(0, 3), dims], [torch.empty(3 if dims == [0] else ())])
    with pytest.raises(OperatorError):
        run("aten::max.unary_out", [torch.empty(0)], [torch.empty(())])


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_million_elements(rng, dtype):
    x = random_tensor(rng, (1_000_000,), dtype, 0, 1)
    exact = x.double().sum()
    tolerance = 2e-6 if dtype in (torch.float32, torch.float64) else 8e-3
    if dtype != torch.float16:  # beyond its range
        check("aten::sum.out", x, expected=exact.to(dtype), rtol=tolerance)
    check("aten::mean.dtype_out", x, expected=(exact / x.numel()).to(dtype), rtol=tolerance)
    columns = x.view(500_000, 2)
    check("aten::mean.out", columns, [0], expected=columns.double().mean(0).to(dtype),
          rtol=tolerance)  # fmt: skip


def test_a_result_does_not_depend_on_its_company(rng):
    """The same bits, alone and among others."""
    x = random_tensor(rng, (1000, 37))
    for dim in (0, 1):
        together = torch.empty(x.shape[1 - dim])
        run("aten::sum.IntList_out", [x, [dim]], [together])
        if dim == 1:
            for row in (0, 999):
                alone = torch.empty(1)
                run("aten::sum.IntList_out", [x[row : row + 1].clone(), [1]], [alone])
                assert torch.equal(alone, together[row : row + 1])
        else:
            some = torch.empty(20)
            run("aten::sum.IntList_out", [x[:, 9:29].clone(), [0]], [some])
            assert torch.equal(some, together[9:29])


@pytest.mark.parametrize("dims", [[2], [-3], [0, 0], [0, -2], [INT64_MAX], [-INT64_MAX - 1]])
def test_bad_dims(rng, dims):
    x = random_tensor(rng, (2, 3))
    for name in ("aten::sum.IntList_out", "aten::mean.out", "aten::amax.out", "aten::any.dims_out"):
        with pytest.raises(OperatorError):
            run(name, [x, dims], [torch.empty(6)])
    for name in ("aten::prod.int_out", "aten::any.out", "aten::all.out"):
        if len(dims) == 1:
            with pytest.raises(OperatorError):
                run(name, [x, dims[0]], [torch.empty(6)])


def test_refusals(rng):
    x = random_tensor(rng, (2, 3))
    for name, args, out in (
        ("aten::sum.IntList_out", [x, [0]], torch.empty(2, 2)),  # rank
        ("aten::sum.IntList_out", [x, [0]], torch.empty(2)),  # capacity
        ("aten::sum.IntList_out", [x, [0], True], torch.empty(3)),
        ("aten::mean.out", [x, [0]], torch.empty(3, dtype=torch.int64)),
        ("aten::amax.out", [x, [0]], torch.empty(3, dtype=torch.float64)),
        ("aten::any.out", [x, 0], torch.empty(3, dtype=torch.int32)),
        ("aten::amax.out", [x.to(torch.uint64), [0]], torch.empty(3, dtype=torch.uint64)),
    ):
        with pytest.raises(OperatorError):
            run(name, args, [out])
    with pytest.raises(OperatorError):
        run("aten::sum.out", [x], [torch.empty(())], {"dtype": torch.int64})
