# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Pooling against PyTorch."""

import pytest
import torch
from op_testing import FLOATS, INTEGERS, OperatorError, channels_last, check, random_tensor, run

SEED = 20261126
INT32_MAX = 2**31 - 1
MAX = "aten::max_pool2d_with_indices.out"
AVG = "aten::avg_pool2d.out"


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


def check_average(name, x, *args):
    """As check(), but floats are averaged in double precision and rounded once: PyTorch does not
    have all of them, and rounds some of them twice."""
    base = name.removeprefix("aten::").removesuffix(".out")
    expected = None
    if x.is_floating_point():
        expected = getattr(torch.ops.aten, base)(x.double(), *args).to(x.dtype)
    check(name, x, *args, expected=expected)


# kernel, stride, padding, dilation, ceil_mode
WINDOWS = [
    ([2, 2], [], [0, 0], [1, 1], False),
    ([3, 3], [2, 2], [1, 1], [1, 1], False),
    ([3, 3], [2, 2], [1, 1], [1, 1], True),
    ([3], [1], [1], [1], False),
    ([2, 3], [3, 1], [1, 0], [2, 1], False),
    ([3, 2], [2, 3], [0, 1], [1, 3], True),
    ([2, 2], [3, 5], [1, 1], [1, 1], True),
    ([7, 8], [1, 1], [3, 4], [1, 1], False),
    ([1, 1], [1, 1], [0, 0], [5, 5], False),
]


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS)
def test_max(rng, dtype):
    for shape in ((3, 7, 8), (2, 3, 7, 8), (2, 1, 9, 11)):
        for window in WINDOWS:
            check(MAX, random_tensor(rng, shape, dtype), *window)


@pytest.mark.parametrize("dtype", FLOATS + (torch.int64,))
def test_average(rng, dtype):
    for shape in ((3, 7, 8), (2, 3, 7, 8), (2, 1, 9, 11)):
        x = random_tensor(rng, shape, dtype)
        for kernel, stride, padding, _, ceil_mode in WINDOWS:
            for count_padding in (False, True):
                for divisor in (None, 3, -2):
                    check_average(AVG, x, kernel, stride, padding, ceil_mode, count_padding, divisor)


def test_defaults(rng):
    x = random_tensor(rng, (2, 3, 7, 8))
    check(MAX, x, [2, 2])
    check_average(AVG, x, [2, 2])


@pytest.mark.parametrize("dtype", FLOATS + (torch.int64,))
def test_other_dimensions(rng, dtype):
    line, volume = random_tensor(rng, (2, 3, 17), dtype), random_tensor(rng, (2, 3, 5, 6, 7), dtype)
    for x in (line, line[0].clone()):
        check_average("aten::avg_pool1d.out", x, [3])
        check_average("aten::avg_pool1d.out", x, [4], [3], [2], True, False)
    for x in (volume, volume[0].clone()):
        check_average("aten::avg_pool3d.out", x, [2, 3, 2], [2, 1, 3], [1, 1, 0], True, False, None)
        check_average("aten::avg_pool3d.out", x, [2], [2], [1], True, True, 5)
        check("aten::max_pool3d_with_indices.out", x, [2, 3, 2], [2, 1, 3], [1, 1, 0], [2, 1, 1],
              True)  # fmt: skip
        check("aten::max_pool3d_with_indices.out", x, [3])


@pytest.mark.parametrize("dtype", FLOATS)
def test_adaptive(rng, dtype):
    for shape in ((3, 7, 8), (2, 3, 9, 5)):
        x = random_tensor(rng, shape, dtype)
        for size in ([1, 1], [3, 4], [7, 7], [10, 20], [0, 3]):
            check_average("aten::_adaptive_avg_pool2d.out", x, size)
    check_average("aten::_adaptive_avg_pool3d.out", random_tensor(rng, (2, 3, 4, 5, 6)), [2, 3, 4])
    check_average("aten::adaptive_avg_pool1d.out", random_tensor(rng, (2, 3, 10)), [3])
    check_average("aten::adaptive_avg_pool1d.out", random_tensor(rng, (3, 10)), [1])


def test_layouts(rng):
    x = random_tensor(rng, (2, 3, 7, 8))
    for window in WINDOWS:
        check(MAX, channels_last(x), *window)
        check_average(AVG, channels_last(x), *window[:3], window[4])
        # The index may lie in another order than the value.
        value, index = torch.ops.aten.max_pool2d_with_indices(x, *window)
        check(MAX, channels_last(x), *window, expected=(channels_last(value), index))
    check_average("aten::_adaptive_avg_pool2d.out", channels_last(x), [3, 4])


def test_special_values():
    inf, nan = float("inf"), float("nan")
    x = torch.full((1, 4, 4), -inf)
    check(MAX, x, [2, 2], [1, 1], [1, 1])
    x[0, 1, 2], x[0, 2, 0], x[0, 2, 3] = nan, nan, inf
    check(MAX, x, [3, 3], [1, 1], [1, 1])
    check_average(AVG, x, [3, 3], [1, 1], [1, 1])
    check(MAX, torch.full((1, 3, 3), -128, dtype=torch.int8), [2, 2])
    check_average(AVG, torch.full((1, 2, 2), 2**62), [2, 2], [], [0, 0], False, True, -1)
    # A window that has nothing but padding.
    value, index = torch.tensor([[[-inf]]]), torch.tensor([[[0]]])
    check(MAX, torch.ones(1, 9, 9), [2, 2], [1, 1], [1, 1], [10, 10], expected=(value, index))


def test_nothing():
    check(MAX, torch.ones(0, 3, 4, 4), [2, 2])
    check_average(AVG, torch.ones(0, 3, 4, 4), [2, 2])
    check_average("aten::_adaptive_avg_pool2d.out", torch.ones(2, 0, 4, 4), [2, 2])


def test_enormous_windows():
    x = torch.arange(6.0).reshape(1, 2, 3)
    huge = [2**30, 2**30]
    check(MAX, x, huge, huge, [2**29, 2**29], expected=(torch.tensor([[[5.0]]]),
                                                       torch.tensor([[[5]]])))  # fmt: skip
    check(AVG, x, huge, huge, [2**29, 2**29], False, False, expected=torch.tensor([[[2.5]]]))


def test_refusals():
    x = torch.ones(2, 4, 5)

    def refused(*args, x=x, name=AVG, shape=(2, 2, 2), **kwargs):
        outputs = [torch.empty(shape, dtype=x.dtype)]
        if name == MAX:
            outputs.append(torch.empty(shape, dtype=torch.int64))
        with pytest.raises(OperatorError):
            run(name, [x, *args], outputs, kwargs)

    for name in (MAX, AVG):
        run(name, [x, [2, 2]], [torch.empty(2, 2, 2), torch.empty(2, 2, 2, dtype=torch.int64)])
        for number in (0, -1, -(2**63), 2**31, 2**63 - 1):
            refused([2, number], name=name)
            refused([2, 2], [number, 2], name=name)
            refused([2, 2], [2, 2], [number or 2, 0], name=name)
        refused([], name=name)
        refused([2, 2, 2], name=name)
        refused([2, 2], [2, 2, 2], name=name)
        refused([6, 2], name=name)  # larger than the input
        refused([2, 2], [2, 2], [2, 0], name=name)  # more than half a window
        refused([2, 2], x=torch.ones(2, 0, 5), name=name)
        refused([2, 2], x=torch.ones(4, 5), name=name, shape=(2, 2))
        refused([2, 2], x=x.bool(), name=name)
        refused([2, 2], name=name, shape=(2, 2, 1))  # too small
        refused([2, 2], name=name, shape=(1, 2, 2, 2))
    refused([2, 2], [2, 2], [0, 0], [0, 1], name=MAX)
    refused([2, 2], [2, 2], [0, 0], [2**31 - 1, 1], name=MAX)
    refused([2, 2], [2, 2], [0, 0], False, True, 0)  # divides by nothing
    with pytest.raises(OperatorError):  # indices of another dtype
        run(MAX, [x, [2, 2]], [torch.empty(2, 2, 2), torch.empty(2, 2, 2, dtype=torch.int32)])
    cube = [INT32_MAX] * 3
    refused(cube, cube, [2**30 - 1] * 3, x=torch.ones(1, 1, 1, 1), name="aten::avg_pool3d.out",
            shape=(1, 1, 1, 1))  # fmt: skip
    adaptive = "aten::_adaptive_avg_pool2d.out"
    for size in ([], [2], [2, -1], [2, 2**31], [3, 3]):
        refused(size, name=adaptive, shape=(2, 2, 1))
    refused([2, 2], x=x.long(), name=adaptive)
    refused([2, 2], x=torch.ones(2, 4, 0), name=adaptive)
