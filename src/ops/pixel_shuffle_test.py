# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""pixel_shuffle and pixel_unshuffle against PyTorch."""

import pytest
import torch
from op_testing import ALL_DTYPES, OperatorError, channels_last, check, random_tensor, run

SEED = 20261129
SHUFFLE, UNSHUFFLE = "aten::pixel_shuffle.out", "aten::pixel_unshuffle.out"


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_dtypes(rng, dtype):
    check(SHUFFLE, random_tensor(rng, (2, 8, 3, 5), dtype), 2)
    check(UNSHUFFLE, random_tensor(rng, (2, 2, 6, 10), dtype), 2)


@pytest.mark.parametrize("r", (1, 2, 3))
def test_shapes(rng, r):
    for lead in ((), (2,), (2, 1, 3)):
        x = random_tensor(rng, (*lead, 2 * r * r, 3, 4))
        check(SHUFFLE, x, r)
        check(UNSHUFFLE, random_tensor(rng, (*lead, 2, 3 * r, 4 * r)), r)


def test_layouts(rng):
    x = random_tensor(rng, (2, 8, 3, 5))
    expected = torch.pixel_shuffle(x, 2)
    for packed in (x, channels_last(x)):
        for image in (expected, channels_last(expected)):
            check(SHUFFLE, packed, 2, expected=image)
            check(UNSHUFFLE, image, 2, expected=packed)


def test_large(rng):
    check(SHUFFLE, random_tensor(rng, (1, 12, 300, 200)), 2)


def test_nothing():
    check(SHUFFLE, torch.ones(0, 4, 2, 2), 2)
    check(SHUFFLE, torch.ones(1, 0, 2, 2), 2, expected=torch.ones(1, 0, 4, 4))
    check(UNSHUFFLE, torch.ones(1, 1, 0, 2), 2, expected=torch.ones(1, 4, 0, 1))


def test_refusals():
    x = torch.ones(1, 4, 4, 4)

    def refused(name, r, x=x, shape=(1, 1, 8, 8), dtype=torch.float32):
        with pytest.raises(OperatorError):
            run(name, [x, r], [torch.empty(shape, dtype=dtype)])

    for number in (0, -1, -2, -(2**63), 3, 2**31, 2**32, 2**63 - 1):
        refused(SHUFFLE, number)
        refused(UNSHUFFLE, number, shape=(1, 16, 2, 2))
    refused(SHUFFLE, 2**31 - 1, x=torch.ones(1, 0, 4, 4))
    refused(UNSHUFFLE, 2**31 - 1, x=torch.ones(1, 4, 0, 0))
    refused(SHUFFLE, 2, shape=(1, 1, 8, 4))
    refused(SHUFFLE, 2, shape=(1, 8, 8))
    refused(SHUFFLE, 2, dtype=torch.int32)
    refused(SHUFFLE, 1, x=torch.ones(4, 4), shape=(4, 4))
    refused(SHUFFLE, 1, x=torch.ones([1] * 15), shape=[1] * 15)
