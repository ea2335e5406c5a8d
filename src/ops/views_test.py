# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Copies of views, and copies with a view replaced, against PyTorch."""

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

SEED = 20261124
INT_MAX = 2**63 - 1
INT_MIN = -(2**63)

# Operator, sizes, arguments.
VIEWS = [
    ("aten::alias_copy.out", (2, 3), []),
    ("aten::alias_copy.out", (), []),
    ("aten::detach_copy.out", (2, 0, 3), []),
    ("aten::lift_fresh_copy.out", (4, 5), []),
    ("aten::permute_copy.out", (2, 3, 4), [[2, 0, 1]]),
    ("aten::permute_copy.out", (2, 3, 4), [[-1, 0, -2]]),
    ("aten::permute_copy.out", (2, 3, 4, 5), [[0, 2, 1, 3]]),
    ("aten::permute_copy.out", (2, 3, 4, 5), [[3, 2, 1, 0]]),
    ("aten::permute_copy.out", (0, 3), [[1, 0]]),
    ("aten::permute_copy.out", (), [[]]),
    ("aten::permute_copy.out", (70, 3, 100), [[1, 2, 0]]),
    ("aten::transpose_copy.int_out", (130, 67), [0, 1]),
    ("aten::transpose_copy.int_out", (3, 64, 128), [-1, -2]),
    ("aten::transpose_copy.int_out", (5, 129, 2), [0, 1]),
    ("aten::transpose_copy.int_out", (3, 4), [1, 1]),
    ("aten::transpose_copy.int_out", (), [0, -1]),
    ("aten::t_copy.out", (9, 33), []),
    ("aten::t_copy.out", (3,), []),
    ("aten::t_copy.out", (), []),
    ("aten::expand_copy.out", (3, 1), [[2, 3, 4]]),
    ("aten::expand_copy.out", (3, 1), [[-1, 7]]),
    ("aten::expand_copy.out", (1,), [[0]]),
    ("aten::expand_copy.out", (), [[2, 2]]),
    ("aten::expand_copy.out", (1, 5, 1), [[4, 5, 6]]),
    ("aten::slice_copy.Tensor_out", (5, 6), []),
    ("aten::slice_copy.Tensor_out", (5, 6), [1, 1, 5, 2]),
    ("aten::slice_copy.Tensor_out", (5, 6), [0, -2, None, 1]),
    ("aten::slice_copy.Tensor_out", (5, 6), [-1, None, -1, 3]),
    ("aten::slice_copy.Tensor_out", (5, 6), [0, 1, INT_MAX, 1]),
    ("aten::slice_copy.Tensor_out", (5, 6), [0, 4, 2, 1]),
    ("aten::slice_copy.Tensor_out", (5, 6), [1, 9, 12, 1]),
    ("aten::slice_copy.Tensor_out", (0, 6), [0, 0, 4, 2]),
    ("aten::narrow_copy.out", (5, 6), [1, 2, 3]),
    ("aten::narrow_copy.out", (5, 6), [0, -2, 2]),
    ("aten::narrow_copy.out", (5, 6), [0, 5, 0]),
    ("aten::select_copy.int_out", (5, 6), [0, 2]),
    ("aten::select_copy.int_out", (5, 6), [1, -6]),
    ("aten::select_copy.int_out", (5, 0), [0, 2]),
    ("aten::select_copy.int_out", (4,), [0, 3]),
    ("aten::unsqueeze_copy.out", (5, 6), [0]),
    ("aten::unsqueeze_copy.out", (5, 6), [-1]),
    ("aten::unsqueeze_copy.out", (), [0]),
    ("aten::squeeze_copy.out", (1, 5, 1), []),
    ("aten::squeeze_copy.out", (1, 1), []),
    ("aten::squeeze_copy.dim_out", (1, 5, 1), [-1]),
    ("aten::squeeze_copy.dim_out", (1, 5, 1), [1]),
    ("aten::squeeze_copy.dim_out", (), [0]),
    ("aten::squeeze_copy.dims_out", (1, 5, 1), [[0, -1]]),
    ("aten::squeeze_copy.dims_out", (1, 5, 1), [[0, 1]]),
    ("aten::squeeze_copy.dims_out", (1, 5, 1), [[]]),
    ("aten::diagonal_copy.out", (4, 5), []),
    ("aten::diagonal_copy.out", (4, 5), [2]),
    ("aten::diagonal_copy.out", (4, 5), [-1, 1, 0]),
    ("aten::diagonal_copy.out", (3, 4, 5), [1, 0, -1]),
    ("aten::diagonal_copy.out", (3, 4), [4]),
    ("aten::diagonal_copy.out", (3, 4), [-3]),
    ("aten::unfold_copy.out", (9,), [0, 3, 2]),
    ("aten::unfold_copy.out", (2, 9, 3), [1, 4, 5]),
    ("aten::unfold_copy.out", (2, 9), [-1, 9, INT_MAX]),
    ("aten::unfold_copy.out", (2, 9), [-1, 0, 1]),
    ("aten::unfold_copy.out", (), [0, 1, 1]),
    ("aten::flip.out", (4, 5, 6), [[0, -1]]),
    ("aten::flip.out", (4, 5, 6), [[1]]),
    ("aten::flip.out", (4, 5), [[]]),
    ("aten::flip.out", (0, 5), [[0, 1]]),
    ("aten::flip.out", (), [[]]),
    ("aten::view_copy.out", (2, 3, 4), [[6, 4]]),
    ("aten::view_copy.out", (2, 3, 4), [[-1]]),
    ("aten::view_copy.out", (2, 3, 4), [[3, 2, 4]]),
    ("aten::view_copy.out", (0, 4), [[2, 0]]),
    ("aten::view_copy.out", (1,), [[]]),
    ("aten::view_copy.out", (), [[1, 1]]),
    ("aten::_unsafe_view.out", (4, 6), [[2, -1, 3]]),
]  # fmt: skip


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


def functional(name):
    """PyTorch's operator without the output."""
    base, _, overload = name.removeprefix("aten::").partition(".")
    overload = overload.removesuffix("out").removesuffix("_") or "default"
    return getattr(getattr(torch.ops.aten, base), overload)


def check_exact(*args, **kwargs):
    check(*args, rtol=0, atol=0, **kwargs)


@pytest.mark.parametrize("name, shape, args", VIEWS)
def test_views(name, shape, args, rng):
    check_exact(name, random_tensor(rng, shape), *args)


@pytest.mark.parametrize("dtype", STORAGE_DTYPES)
def test_every_dtype(dtype, rng):
    x = random_tensor(rng, (3, 70, 67), dtype)
    check_exact("aten::permute_copy.out", x, [0, 2, 1])
    check_exact("aten::transpose_copy.int_out", x, 0, 1)
    check_exact("aten::slice_copy.Tensor_out", x, 2, 3, None, 2)
    check_exact("aten::expand_copy.out", x[:, :1].clone(), [3, 5, 67])
    check_exact("aten::view_copy.out", x, [-1, 3])
    if dtype not in UNSIGNED:  # PyTorch cannot
        check_exact("aten::flip.out", x, [2])


@pytest.mark.parametrize("name, shape, args", VIEWS)
def test_layouts(name, shape, args, rng):
    x = random_tensor(rng, shape)
    expected = functional(name)(x, *args)
    for order in itertools.permutations(range(x.dim())):
        check_exact(name, in_order(x, order), *args, expected=expected)
    for order in itertools.permutations(range(expected.dim())):
        check_exact(name, x, *args, expected=in_order(expected, order))
    if x.dim() == 4:
        check_exact(name, channels_last(x), *args, expected=expected)


def test_view_copy_between_layouts(rng):
    x = random_tensor(rng, (2, 3, 4, 5))
    for before in itertools.permutations(range(4)):
        check_exact("aten::view_copy.out", in_order(x, before), [4, 3, 10],
                    expected=in_order(x.reshape(4, 3, 10), (2, 0, 1)))  # fmt: skip


def test_large_copies(rng):
    """Longer than the pieces that loops are cut into."""
    x = random_tensor(rng, (3, 301, 257))
    check_exact("aten::permute_copy.out", x, [2, 1, 0])
    check_exact("aten::permute_copy.out", x, [0, 2, 1])
    check_exact("aten::permute_copy.out", x, [1, 0, 2])
    check_exact("aten::flip.out", x, [0, 1, 2])
    check_exact("aten::view_copy.out", x, [257, 903])
    check_exact("aten::view_copy.out", in_order(x, (2, 1, 0)), [903, 257], expected=x.reshape(903, 257))


def test_as_strided(rng):
    x = random_tensor(rng, (4, 6))
    for args in ([(2, 3), (1, 2)], [(2, 3), (6, 1), 5], [(3,), (0,), 23], [(0,), (1,), 99],
                 [(), (), 7], [(5, 4), (4, 1), None]):  # fmt: skip
        check_exact("aten::as_strided_copy.out", x, *args)
    for args in ([(2, 3), (12, 6)], [(25,), (1,)], [(1,), (1,), 24], [(2,), (-1,), 5],
                 [(2,), (1, 1)], [(2,), (INT_MAX,)], [(3, 3), (2**62, 2**62)], [(1,), (1,), -1],
                 [(1,), (1,), INT_MAX], [(2,), (1,), INT_MAX], [(-1,), (1,)]):  # fmt: skip
        with pytest.raises(OperatorError):
            run(
                "aten::as_strided_copy.out",
                [x, *args],
                [torch.empty(tuple(max(s, 0) for s in args[0]))],
            )


@pytest.mark.filterwarnings("ignore:ComplexHalf")
@pytest.mark.parametrize("dtype", (torch.complex32, torch.complex64, torch.complex128))
def test_view_as_real(dtype, rng):
    for shape in ((2, 3), (), (0, 2)):
        x = random_tensor(rng, shape, torch.complex128).to(dtype)
        check_exact("aten::view_as_real_copy.out", x, expected=torch.view_as_real(x).clone())
    with pytest.raises(OperatorError):
        run("aten::view_as_real_copy.out", [torch.zeros(2)], [torch.zeros(2, 2)])


def test_scatters(rng):
    x = random_tensor(rng, (4, 5, 6))
    for dim, index in ((0, 1), (1, -5), (-1, 5)):
        src = random_tensor(rng, x.select(dim, index).shape)
        check_exact("aten::select_scatter.out", x, src, dim, index)
    for args in ((1, 1, 4, 2), (0, None, None, 1), (2, -3, INT_MAX, 1), (0, 3, 1, 1)):
        src = random_tensor(rng, torch.ops.aten.slice.Tensor(x, *args).shape)
        check_exact("aten::slice_scatter.out", x, src, *args)
    for args in ((), (1, 0, 2), (-2, 1, 0), (9, 0, 1)):
        src = random_tensor(rng, x.diagonal(*args).shape)
        check_exact("aten::diagonal_scatter.out", x, src, *args)
    src = random_tensor(rng, (4, 6))
    check_exact("aten::select_scatter.out", in_order(x, (2, 0, 1)), in_order(src, (1, 0)), 1, 2,
                expected=torch.select_scatter(x, src, 1, 2))  # fmt: skip
    with pytest.raises(OperatorError):
        run("aten::select_scatter.out", [x, src[:1], 1, 2], [torch.empty(4, 5, 6)])
    with pytest.raises(OperatorError):
        run("aten::select_scatter.out", [x, src, 1, 5], [torch.empty(4, 5, 6)])


@pytest.mark.parametrize("name, shape, args", [
    ("aten::select_copy.int_out", (5, 6), [0, 5]),
    ("aten::select_copy.int_out", (5, 6), [0, -6]),
    ("aten::select_copy.int_out", (5, 6), [0, INT_MAX]),
    ("aten::select_copy.int_out", (5, 6), [0, INT_MIN]),
    ("aten::select_copy.int_out", (5, 6), [2, 0]),
    ("aten::select_copy.int_out", (), [0, 0]),
    ("aten::slice_copy.Tensor_out", (5, 6), [0, 0, 5, 0]),
    ("aten::slice_copy.Tensor_out", (5, 6), [0, 0, 5, -1]),
    ("aten::slice_copy.Tensor_out", (5, 6), [2, 0, 5, 1]),
    ("aten::slice_copy.Tensor_out", (), [0, 0, 5, 1]),
    ("aten::narrow_copy.out", (5, 6), [0, 3, 3]),
    ("aten::narrow_copy.out", (5, 6), [0, 6, 0]),
    ("aten::narrow_copy.out", (5, 6), [0, 0, -1]),
    ("aten::narrow_copy.out", (5, 6), [0, 1, INT_MAX]),
    ("aten::narrow_copy.out", (5, 6), [0, INT_MIN, 0]),
    ("aten::permute_copy.out", (5, 6), [[0, 0]]),
    ("aten::permute_copy.out", (5, 6), [[0]]),
    ("aten::permute_copy.out", (5, 6), [[0, 2]]),
    ("aten::permute_copy.out", (5, 6), [[INT_MIN, INT_MAX]]),
    ("aten::transpose_copy.int_out", (5, 6), [0, 2]),
    ("aten::t_copy.out", (5, 6, 7), []),
    ("aten::expand_copy.out", (5, 6), [[6]]),
    ("aten::expand_copy.out", (5, 1), [[4, 2]]),
    ("aten::expand_copy.out", (1, 1), [[5, -2]]),
    ("aten::expand_copy.out", (1, 1), [[-1, 1, 1]]),
    ("aten::expand_copy.out", (1, 1), [[2**31, 1]]),
    ("aten::expand_copy.out", (1, 1), [[2**31 - 1, 2**31 - 1]]),
    ("aten::expand_copy.out", (1,), [[1] * 17]),
    ("aten::unsqueeze_copy.out", (5, 6), [3]),
    ("aten::unsqueeze_copy.out", (1,) * 16, [0]),
    ("aten::squeeze_copy.dim_out", (1, 5), [2]),
    ("aten::squeeze_copy.dims_out", (1, 5), [[0, -2]]),
    ("aten::diagonal_copy.out", (4, 5), [0, 1, -1]),
    ("aten::diagonal_copy.out", (4,), []),
    ("aten::unfold_copy.out", (5, 6), [0, 6, 1]),
    ("aten::unfold_copy.out", (5, 6), [0, 2, 0]),
    ("aten::unfold_copy.out", (5, 6), [0, -1, 1]),
    ("aten::unfold_copy.out", (5, 6), [0, INT_MIN, INT_MIN]),
    ("aten::flip.out", (5, 6), [[0, -2]]),
    ("aten::flip.out", (5, 6), [[2]]),
    ("aten::view_copy.out", (5, 6), [[7, -1]]),
    ("aten::view_copy.out", (5, 6), [[-1, -1]]),
    ("aten::view_copy.out", (5, 6), [[31]]),
    ("aten::view_copy.out", (5, 6), [[2**32, 2**32, 30]]),
])  # fmt: skip
def test_refusals(name, shape, args):
    x = torch.zeros(shape)
    for rank in range(4):  # whatever rank the output has
        with pytest.raises(OperatorError):
            run(name, [x, *args], [torch.empty((3,) * rank)])


def test_far_beyond_the_edge(rng):
    x = random_tensor(rng, (4, 5))
    check_exact("aten::slice_copy.Tensor_out", x, 0, INT_MIN, INT_MAX, INT_MAX, expected=x[:1])
    for offset in (INT_MAX, INT_MIN):
        check_exact("aten::diagonal_copy.out", x, offset, expected=torch.empty(0))


def test_refuses_other_dtypes():
    with pytest.raises(OperatorError):
        run(
            "aten::permute_copy.out",
            [torch.zeros(2, 3), [1, 0]],
            [torch.zeros(3, 2, dtype=torch.int32)],
        )
    with pytest.raises(OperatorError):
        run("aten::view_copy.out", [torch.zeros(2, 3), [6]], [torch.zeros(6, dtype=torch.float64)])


def test_in_place(rng):
    """An output that is planned where its input lies."""
    x = random_tensor(rng, (3, 4))
    want = x.clone()
    for name, args in (("aten::view_copy.out", [[12]]), ("aten::alias_copy.out", [])):
        run(name, [x, *args], [x.view(12) if args else x])
        assert torch.equal(x, want)
