# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""grid_sampler_2d against PyTorch."""

import itertools

import pytest
import torch
from op_testing import FLOATS, OperatorError, channels_last, check, random_tensor, run

SEED = 20261128
NAME = "aten::grid_sampler_2d.out"
MODES = list(itertools.product((0, 1, 2), (0, 1, 2), (False, True)))


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("mode", MODES)
def test_modes(rng, dtype, mode):
    for shape in ((2, 3, 5, 7), (1, 70, 4, 4), (1, 1, 1, 1)):
        x = random_tensor(rng, shape, dtype)
        grid = random_tensor(rng, (shape[0], 4, 9, 2), dtype, low=-2.5, high=2.5)
        # PyTorch computes 16-bit floats in their own precision.
        wide = (t.double() if dtype == torch.float64 else t.float() for t in (x, grid))
        expected = torch.ops.aten.grid_sampler_2d(*wide, *mode).to(dtype)
        check(NAME, x, grid, *mode, expected=expected, atol=1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_the_pixels_themselves(rng, mode):
    x = random_tensor(rng, (1, 2, 4, 5))
    identity = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
    grid = torch.nn.functional.affine_grid(identity, x.shape, align_corners=mode[2])
    check(NAME, x, grid, *mode, atol=1e-4)


def test_layouts(rng):
    x = random_tensor(rng, (2, 3, 5, 7))
    grid = random_tensor(rng, (2, 4, 6, 2), low=-1.2, high=1.2)
    expected = torch.ops.aten.grid_sampler_2d(x, grid, 0, 0, False)
    for image in (x, channels_last(x)):
        for points in (grid, grid.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)):
            for want in (expected, channels_last(expected)):
                check(NAME, image, points, 0, 0, False, expected=want, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_hostile_points(rng, mode):
    """However far away a point is, only the image is read."""
    x = random_tensor(rng, (1, 1, 3, 5))
    values = [
        float("nan"),
        float("inf"),
        -float("inf"),
        3e38,
        -3e38,
        1e19,
        -1e19,
        2.0**31,
        -(2.0**31),
    ]
    grid = torch.tensor(list(itertools.product(values, values))).reshape(1, 9, 9, 2)
    out = torch.empty(1, 1, 9, 9)
    run(NAME, [x, grid, *mode], [out])
    if mode[1] == 0 and mode[0] != 2:
        assert torch.equal(out, torch.zeros_like(out))  # all of them lie outside


def test_nothing():
    check(NAME, torch.ones(0, 2, 3, 3), torch.ones(0, 2, 2, 2), 0, 0, False)
    check(NAME, torch.ones(1, 2, 3, 3), torch.ones(1, 0, 2, 2), 0, 0, False)


def test_refusals():
    x, grid = torch.ones(1, 2, 3, 3), torch.ones(1, 2, 2, 2)

    def refused(x=x, grid=grid, mode=(0, 0, False), shape=(1, 2, 2, 2)):
        with pytest.raises(OperatorError):
            run(NAME, [x, grid, *mode], [torch.empty(shape, dtype=x.dtype)])

    for number in (-1, 3, -(2**63), 2**63 - 1):
        refused(mode=(number, 0, False))
        refused(mode=(0, number, False))
    refused(grid=torch.ones(2, 2, 2, 2))
    refused(grid=torch.ones(1, 2, 2, 3))
    refused(grid=torch.ones(1, 2, 2))
    refused(grid=grid.double())
    refused(x=torch.ones(1, 2, 0, 3))
    refused(x=x.int(), grid=grid.int())
    refused(shape=(1, 2, 2, 1))
