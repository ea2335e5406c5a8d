# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""searchsorted and bucketize against PyTorch."""

import itertools

import pytest
import torch
from op_testing import FLOATS, INTEGERS, OperatorError, check, in_order, random_tensor, run

SEED = 20261203
SEARCH, BUCKETIZE = "aten::searchsorted.Tensor_out", "aten::bucketize.Tensor_out"


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


@pytest.mark.parametrize("right", (False, True))
@pytest.mark.parametrize("dtype", FLOATS + INTEGERS)
def test_search(dtype, right, rng):
    for n in (0, 1, 2, 9):
        edges = random_tensor(rng, (n,), dtype).sort().values
        for shape in ((), (0,), (5,), (3, 70), (2, 3, 4, 5)):
            x = random_tensor(rng, shape, dtype)
            check(BUCKETIZE, x, edges, right=right)
            check(BUCKETIZE, x, edges, out_int32=True, right=right)
            check(SEARCH, edges, x, right=right)
    edges = random_tensor(rng, (3, 2, 6), dtype).sort().values
    x = random_tensor(rng, (3, 2, 100), dtype)
    check(SEARCH, edges, x, right=right)
    want = torch.searchsorted(edges, x, right=right)
    for a, b, c in itertools.product(((0, 1, 2), (2, 0, 1), (1, 2, 0)), repeat=3):
        check(SEARCH, in_order(edges, a), in_order(x, b), right=right, expected=in_order(want, c))


def test_sides_and_special_values(rng):
    inf, nan = float("inf"), float("nan")
    edges, x = (
        torch.tensor([-inf, 0.0, 0.0, 1.0, inf, nan]),
        torch.tensor([nan, inf, -inf, 0, -0.0, 5]),
    )
    for side in ("left", "right"):
        check(SEARCH, edges, x, side=side)
    check(SEARCH, edges, x, right=True, side="right")
    for unsorted in (random_tensor(rng, (50,)), torch.full((7,), nan)):
        out = torch.empty(6, dtype=torch.int64)
        run(SEARCH, [unsorted, x], [out])
        assert out.min() >= 0 and out.max() <= len(unsorted)


def test_refusals():
    edges, x, out = torch.tensor([0.0, 1.0]), torch.zeros(3), torch.zeros(3, dtype=torch.int64)
    for args, kwargs, output in (
        ([edges, x.double()], {}, out),
        ([edges, x], {"out_int32": True}, out),
        ([edges, x], {"side": "middle"}, out),
        ([edges, x], {"side": "left", "right": True}, out),
        ([edges, x], {"sorter": torch.tensor([0, 1])}, out),
        ([edges, x], {}, out[:2]),
        ([edges.bool(), x.bool()], {}, out),
        ([edges.to(torch.uint16), x.to(torch.uint16)], {}, out),
        ([torch.zeros(2, 2), x], {}, out),
        ([torch.zeros(2, 2), torch.zeros(3, 1)], {}, out.reshape(3, 1)),
        ([torch.tensor(1.0), x], {}, out),
    ):
        with pytest.raises(OperatorError):
            run(SEARCH, args, [output], kwargs)
    with pytest.raises(OperatorError):
        run(
            BUCKETIZE,
            [torch.zeros(2, 3), torch.zeros(2, 3)],
            [torch.zeros(2, 3, dtype=torch.int64)],
        )
