# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Matrix products against PyTorch in double precision."""

import pytest
import torch
from op_testing import FLOATS, INTEGERS, OperatorError, check, random_tensor, run

SEED = 20261124
INT_MIN, INT_MAX = -(2**63), 2**63 - 1
# Below, at and above what the kernels compute at a time.
SIZES = [(1, 1, 1), (1, 7, 5), (2, 3, 8), (3, 9, 17), (4, 8, 64), (5, 25, 65), (8, 6, 130),
         (66, 31, 63), (130, 50, 9), (1, 300, 70), (3, 257, 6), (1, 1, 700), (3, 16, 131),
         (5, 3, 200)]  # fmt: skip


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


def check_product(name, *args, **kwargs):
    """As check(), but floats are compared with the product in double precision, rounded once."""
    overload = getattr(torch.ops.aten, name)
    if not args[0].dtype.is_floating_point:
        check(f"aten::{name}.out", *args, **kwargs)
        return
    dtype = args[0].dtype
    exact = overload(*[a.double() if isinstance(a, torch.Tensor) else a for a in args], **kwargs)
    depth = max(a.shape[-1] for a in args if isinstance(a, torch.Tensor) and a.dim() > 0)
    error = 1e-14 if dtype == torch.float64 else 1e-6
    check(f"aten::{name}.out", *args, expected=exact.to(dtype), atol=error * (depth + 10), **kwargs)


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS)
def test_mm(rng, dtype):
    for m, n, k in SIZES:
        check_product("mm", random_tensor(rng, (m, k), dtype), random_tensor(rng, (k, n), dtype))


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS)
def test_bmm(rng, dtype):
    for m, n, k in SIZES:
        check_product("bmm", random_tensor(rng, (3, m, k), dtype), random_tensor(rng, (3, k, n), dtype))


@pytest.mark.parametrize("dtype", FLOATS)
def test_linear(rng, dtype):
    for m, n, k in SIZES:
        x, w = random_tensor(rng, (m, k), dtype), random_tensor(rng, (n, k), dtype)
        check_product("linear", x, w)
        check_product("linear", x, w, random_tensor(rng, (n,), dtype))
    for lead in ((), (2, 3), (1, 2, 3, 2)):
        check_product(
            "linear",
            random_tensor(rng, (*lead, 12), dtype),
            random_tensor(rng, (5, 12), dtype),
            random_tensor(rng, (5,), dtype),
        )


@pytest.mark.parametrize("dtype", FLOATS)
def test_vectors(rng, dtype):
    for _, n, k in SIZES:
        m, v = random_tensor(rng, (n, k), dtype), random_tensor(rng, (k,), dtype)
        check_product("mv", m, v)
        check_product("dot", v, m[0].clone())
        check_product("addmv", random_tensor(rng, (n,), dtype), m, v, beta=0.5, alpha=-2)


@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16, torch.int32, torch.uint8))
def test_addend_broadcasts(rng, dtype):
    a, b = random_tensor(rng, (5, 40), dtype), random_tensor(rng, (40, 70), dtype)
    for shape in ((), (1,), (70,), (1, 70), (5, 1), (5, 70)):
        check_product("addmm", random_tensor(rng, shape, dtype), a, b)
        check_product("addmm", random_tensor(rng, shape, dtype), a, b, beta=3, alpha=-2)
    check_product("addmm", random_tensor(rng, (70, 5), dtype).t(), a, b)
    a, b = a.expand(2, 5, 40).clone(), b.expand(2, 40, 70).clone()
    for shape in ((70,), (5, 1), (2, 1, 70), (1, 5, 70), (2, 5, 70)):
        check_product("baddbmm", random_tensor(rng, shape, dtype), a, b, beta=2, alpha=3)


def test_factors(rng):
    self, a, b = (random_tensor(rng, s) for s in ((3, 4), (3, 5), (5, 4)))
    check_product("addmm", self, a, b, beta=0.5, alpha=0.25)
    # What is multiplied by beta = 0 is not read.
    check_product("addmm", torch.full((3, 4), float("nan")), a, b, beta=0)
    big = torch.full((2, 2), 2**62)
    check_product("addmm", big, big, big, beta=INT_MAX, alpha=INT_MIN)
    check_product(
        "mm",
        torch.full((2, 2), 2**31 - 1, dtype=torch.int32),
        torch.full((2, 2), -(2**31), dtype=torch.int32),
    )
    with pytest.raises(OperatorError):  # a fraction where integers are multiplied
        run("aten::addmm.out", [big, big, big], [torch.empty_like(big)], {"alpha": 0.5})


def test_nothing(rng):
    for m, n, k in ((0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0)):
        check_product("mm", torch.ones(m, k), torch.ones(k, n))
        check_product("addmm", torch.ones(n), torch.ones(m, k), torch.ones(k, n))
        check_product("bmm", torch.ones(2, m, k), torch.ones(2, k, n))
        check_product("linear", torch.ones(m, k), torch.ones(n, k), torch.ones(n))
    check_product("bmm", torch.ones(0, 2, 3), torch.ones(0, 3, 4))
    check_product("linear", torch.ones(2, 0, 3), torch.ones(4, 3))
    check_product("dot", torch.ones(0), torch.ones(0))
    check_product("mv", torch.ones(3, 0), torch.ones(0))


def test_infinities_and_nan():
    a = torch.tensor([[float("inf"), 1.0], [float("nan"), 2.0], [3.0, 4.0], [5.0, -float("inf")]])
    check_product("mm", a, torch.ones(2, 5))
    check_product("linear", a, torch.ones(5, 2))


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64, torch.bfloat16))
def test_results_do_not_depend_on_their_company(rng, dtype):
    """Bit for bit the same, however many rows, columns and batches surround a result."""
    k, n = 133, 300
    x, w = random_tensor(rng, (150, k), dtype), random_tensor(rng, (n, k), dtype)
    addend = random_tensor(rng, (n,), dtype)

    def linear(rows, columns):
        out = torch.empty(len(x[rows]), len(w[columns]), dtype=dtype)
        run("aten::linear.out", [x[rows], w[columns], addend[columns]], [out])
        return out

    def addmm(rows, columns):
        out = torch.empty(len(x[rows]), len(w[columns]), dtype=dtype)
        b = w[columns].t().contiguous()
        run("aten::addmm.out", [addend[columns], x[rows], b], [out], {"alpha": 0.3})
        return out

    for product in (linear, addmm):
        everything = product(slice(None), slice(None))
        for rows in (1, 2, 3, 4, 5, 7, 63, 65, 149):
            for start in (0, 150 - rows):
                part = product(slice(start, start + rows), slice(None))
                assert torch.equal(part, everything[start : start + rows]), (product, rows)
        for columns in (1, 2, 3, 6, 7, 8, 9, 25, 299):
            for rows in (1, 3, 150):
                part = product(slice(0, rows), slice(0, columns))
                assert torch.equal(part, everything[:rows, :columns]), (product, rows, columns)


def test_refusals(rng):
    def refused(name, *args, out=None, **kwargs):
        with pytest.raises(OperatorError):
            run(f"aten::{name}.out", args, [torch.empty(2, 2) if out is None else out], kwargs)

    one = torch.ones
    refused("mm", one(2, 3), one(4, 2))
    refused("mm", one(2, 3, 1), one(3, 2))
    refused("mm", one(2, 3), one(3, 2, dtype=torch.float64))
    refused("mm", one(3, 2).t(), one(3, 2))  # not in the order 0, 1
    refused("mm", one(2, 3), one(3, 2), out=torch.empty(2, 1))  # too small
    refused("mm", one(2, 3), one(3, 2), out=torch.empty(2, 2, 1))
    refused(
        "mm",
        one(2, 3, dtype=torch.bool),
        one(3, 2, dtype=torch.bool),
        out=torch.empty(2, 2, dtype=torch.bool),
    )
    refused("bmm", one(2, 2, 3), one(3, 3, 2), out=torch.empty(2, 2, 2))
    refused("addmm", one(3), one(2, 3), one(3, 2))
    refused("addmm", one(1, 2, 2), one(2, 3), one(3, 2))
    refused("linear", one(2, 3), one(2, 4))
    refused("linear", one(()), one(2, 1), out=torch.empty(()))
    refused("linear", one(2, 3), one(2, 3), one(3))
    refused("mv", one(2, 3), one(2), out=torch.empty(2))
    refused("dot", one(3), one(2), out=torch.empty(()))
    refused("mm", torch.empty(2**31 - 1, 0), torch.empty(0, 2**31 - 1))
