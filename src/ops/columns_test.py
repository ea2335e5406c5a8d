# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""im2col and col2im against PyTorch."""

import pytest
import torch
from op_testing import FLOATS, OperatorError, channels_last, check, random_tensor, run

SEED = 20261130
IM2COL, COL2IM = "aten::im2col.out", "aten::col2im.out"
# kernel, dilation, padding, stride
WINDOWS = [
    ([2, 3], [1, 1], [0, 0], [1, 1]),
    ([3, 3], [1, 1], [1, 1], [2, 2]),
    ([2, 2], [3, 2], [1, 2], [1, 3]),
    ([1, 1], [1, 1], [0, 0], [3, 4]),
    ([3, 3], [1, 1], [2, 2], [1, 1]),
]


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("windows", WINDOWS)
def test_both_ways(rng, dtype, windows):
    for shape in ((2, 3, 7, 8), (3, 5, 6)):
        x = random_tensor(rng, shape, dtype)
        check(IM2COL, x, *windows)
        columns = random_tensor(rng, torch.ops.aten.im2col(x, *windows).shape, dtype)
        args = (list(shape[-2:]), *windows)
        # PyTorch rounds after each addition.
        expected = torch.ops.aten.col2im(columns.double(), *args).to(dtype)
        check(COL2IM, columns, *args, expected=expected)


def test_layouts(rng):
    x = random_tensor(rng, (2, 3, 7, 8))
    for windows in WINDOWS:
        columns = torch.ops.aten.im2col(x, *windows)
        check(IM2COL, channels_last(x), *windows, expected=columns)
        image = torch.ops.aten.col2im(columns, [7, 8], *windows)
        check(COL2IM, columns, [7, 8], *windows, expected=channels_last(image))


def test_nothing():
    check(IM2COL, torch.ones(0, 2, 3, 3), *WINDOWS[0])
    check(COL2IM, torch.ones(0, 12, 2), [3, 3], *WINDOWS[0], expected=torch.ones(0, 2, 3, 3))


def test_refusals():
    x, one, none = torch.ones(1, 2, 4, 4), [1, 1], [0, 0]
    columns = torch.ones(1, 8, 9)
    run(IM2COL, [x, [2, 2], one, none, one], [torch.empty(1, 8, 9)])
    run(COL2IM, [columns, [4, 4], [2, 2], one, none, one], [torch.empty(1, 2, 4, 4)])

    def refused(kernel=(2, 2), dilation=one, padding=none, stride=one, x=x, columns=columns,
                size=(4, 4), both=True):  # fmt: skip
        if both:
            with pytest.raises(OperatorError):
                run(IM2COL, [x, kernel, dilation, padding, stride],
                    [torch.empty(1, 8, 9, dtype=x.dtype)])  # fmt: skip
        with pytest.raises(OperatorError):
            run(COL2IM, [columns, size, kernel, dilation, padding, stride],
                [torch.empty(1, 2, 4, 4, dtype=columns.dtype)])  # fmt: skip

    for number in (0, -1, -(2**63), 2**31, 2**63 - 1):
        refused(kernel=(2, number))
        refused(dilation=(number, 1))
        refused(stride=(number, 1))
        refused(size=(4, number), both=False)
        if number:
            refused(padding=(number, 0))
    refused(kernel=(5, 2))
    refused(kernel=(2, 2, 2))
    refused(padding=(1, 1))  # more windows than there is room for
    refused(padding=(2**31 - 1, 2**31 - 1))
    refused(kernel=(2**31 - 1, 2**31 - 1), padding=(2**30, 2**30))
    refused(x=torch.ones(4, 4), columns=torch.ones(8))
    refused(x=x.int(), columns=columns.int())
    refused(columns=torch.ones(1, 9, 9), both=False)
    refused(columns=torch.ones(1, 8, 8), both=False)
    transposed = torch.ones(1, 9, 8).permute(0, 2, 1)
    refused(columns=transposed, both=False)
