# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Convolution against PyTorch in double precision."""

import pytest
import torch
from op_testing import FLOATS, INTEGERS, OperatorError, channels_last, check, random_tensor, run

SEED = 20261125
NAME = "aten::convolution.out"
INT32_MAX = 2**31 - 1


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


def check_convolution(x, w, bias=None, *, stride=1, padding=0, dilation=1, transposed=False,
                      output_padding=0, groups=1):  # fmt: skip
    def spatial(n):
        return list(n) if isinstance(n, (list, tuple)) else [n] * (x.dim() - 2)

    rest = (spatial(stride), spatial(padding), spatial(dilation), transposed,
            spatial(output_padding), groups)  # fmt: skip
    if not x.is_floating_point():
        check(NAME, x, w, bias, *rest)
        return
    exact = torch.ops.aten.convolution(x.double(), w.double(), None if bias is None else bias.double(), *rest)
    error = 1e-14 if x.dtype == torch.float64 else 1e-6
    terms = x.shape[1] * w[0, 0].numel()
    check(NAME, x, w, bias, *rest, expected=exact.to(x.dtype), atol=error * (terms + 10))


CASES = [
    # input, weight, arguments
    ((2, 3, 10), (4, 3, 3), {}),
    ((2, 3, 10), (5, 3, 3), dict(stride=2, padding=1, dilation=2)),
    ((1, 1, 500), (9, 1, 100), dict(stride=7, padding=3)),
    ((1, 1, 300), (2, 1, 100), dict(stride=3, padding=60, dilation=2)),
    ((1, 2, 100), (3, 2, 100), {}),
    ((1, 300, 1), (5, 300, 1), {}),
    ((2, 3, 9, 11), (5, 3, 3, 3), dict(padding=1)),
    ((2, 3, 9, 11), (5, 3, 3, 2), dict(stride=(2, 3), padding=(0, 2), dilation=(2, 1))),
    ((2, 16, 7, 7), (24, 16, 1, 1), {}),
    ((1, 70, 5, 6), (130, 70, 1, 1), dict(stride=2)),
    ((1, 20, 12, 9), (67, 20, 3, 3), dict(padding=1)),
    ((1, 2, 20, 21), (3, 2, 7, 6), dict(stride=2, padding=3)),
    ((1, 6, 9, 10), (4, 3, 3, 3), dict(groups=2, padding=1)),
    ((2, 8, 9, 70), (8, 1, 3, 3), dict(groups=8, padding=1)),
    ((2, 8, 9, 10), (24, 1, 3, 3), dict(groups=8, padding=(1, 2), stride=2)),
    ((1, 3, 9, 10), (60, 1, 3, 3), dict(groups=3, dilation=2)),
    ((1, 4, 1, 1), (4, 1, 5, 5), dict(groups=4, padding=2)),
    ((1, 2, 4, 5, 6), (3, 2, 2, 3, 3), dict(padding=1)),
    ((2, 4, 4, 5, 6), (4, 1, 2, 3, 3), dict(stride=(1, 2, 3), padding=(1, 0, 2), groups=4)),
    ((0, 3, 5, 5), (4, 3, 3, 3), {}),
]
TRANSPOSED = [
    ((2, 3, 10), (3, 4, 3), dict(stride=2, padding=1, output_padding=1)),
    ((2, 3, 7), (3, 4, 5), dict(stride=3, dilation=2)),
    ((2, 3, 5, 6), (3, 5, 3, 3), {}),
    ((2, 6, 5, 6), (6, 5, 2, 2), dict(stride=2)),
    ((1, 6, 5, 6), (6, 2, 4, 3), dict(stride=(2, 3), padding=1, output_padding=(1, 0), groups=3)),
    ((1, 4, 5, 6), (4, 1, 3, 3), dict(groups=4, stride=2, padding=1)),
    ((1, 70, 3, 4), (70, 66, 3, 3), dict(stride=2, dilation=(1, 2), output_padding=1)),
    ((1, 3, 3, 4, 5), (3, 2, 2, 3, 2), dict(stride=2, padding=(0, 1, 1))),
    ((1, 2, 2, 2), (2, 1, 2, 2), dict(stride=9)),
]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("transposed", (False, True))
def test_shapes(rng, dtype, transposed):
    for x, w, arguments in TRANSPOSED if transposed else CASES:
        x, w = random_tensor(rng, x, dtype), random_tensor(rng, w, dtype)
        channels = w.shape[1] * arguments.get("groups", 1) if transposed else w.shape[0]
        bias = random_tensor(rng, (channels,), dtype)
        check_convolution(x, w, transposed=transposed, **arguments)
        check_convolution(x, w, bias, transposed=transposed, **arguments)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers(rng, dtype):
    x, w = random_tensor(rng, (2, 3, 9, 11), dtype), random_tensor(rng, (5, 3, 3, 2), dtype)
    check_convolution(x, w, random_tensor(rng, (5,), dtype), stride=2, padding=1)
    check_convolution(x, random_tensor(rng, (3, 1, 3, 3), dtype), groups=3)
    big = torch.full((1, 9, 2, 2), torch.iinfo(dtype).max, dtype=dtype)
    check_convolution(big, big.reshape(1, 9, 2, 2), padding=1)


@pytest.mark.parametrize("dtype", (torch.float32, torch.float16, torch.int8))
def test_channels_last(rng, dtype):
    for x, w, arguments in CASES:
        if len(x) != 4:
            continue
        x, w = random_tensor(rng, x, dtype), random_tensor(rng, w, dtype)
        bias = random_tensor(rng, w.shape[:1], dtype)
        exact = torch.nn.functional.conv2d(x.double(), w.double(), bias.double(), **arguments)
        n = [arguments.get(k, d) for k, d in (("stride", 1), ("padding", 0), ("dilation", 1))]
        n = [[v, v] if isinstance(v, int) else list(v) for v in n]
        rest = (*n, False, [0, 0], arguments.get("groups", 1))
        atol = 1e-6 * (10 + x.shape[1] * w[0, 0].numel())
        for in_format in (lambda t: t, channels_last):
            for out_format in (lambda t: t, channels_last):
                for weight_format in (lambda t: t, channels_last):
                    expected = out_format(exact.to(torch.int64).to(dtype) if dtype == torch.int8
                                          else exact.to(dtype))  # fmt: skip
                    check(NAME, in_format(x), weight_format(w), bias, *rest,
                          expected=expected, atol=atol)  # fmt: skip


def test_channels_last_transposed(rng):
    x, w = random_tensor(rng, (2, 3, 5, 6)), random_tensor(rng, (3, 4, 3, 3))
    rest = ([2, 2], [1, 1], [1, 1], True, [1, 1], 1)
    exact = torch.ops.aten.convolution(x, w, None, *rest)
    for weight in (w, channels_last(w)):
        check(NAME, channels_last(x), weight, None, *rest, expected=channels_last(exact), atol=1e-5)


def test_one_number_for_all_dimensions(rng):
    x, w = random_tensor(rng, (1, 2, 7, 7)), random_tensor(rng, (3, 2, 3, 3))
    check(NAME, x, w, None, [2], [1], [1], False, [0], 1, atol=1e-5)


def test_results_do_not_depend_on_their_company(rng):
    x, w = random_tensor(rng, (3, 40, 30, 31)), random_tensor(rng, (70, 40, 3, 3))
    rest = (None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1)

    def convolve(x, w):
        out = torch.empty(len(x), len(w), 30, 31)
        run(NAME, [x, w, *rest], [out])
        return out

    everything = convolve(x, w)
    for image in range(3):
        assert torch.equal(convolve(x[image : image + 1], w)[0], everything[image])
    for rows in (1, 3, 4, 9, 66):
        assert torch.equal(convolve(x, w[:rows]), everything[:, :rows])


def test_refusals(rng):
    x, w, bias = torch.ones(1, 4, 5, 5), torch.ones(6, 4, 3, 3), torch.ones(6)

    def refused(x=x, w=w, bias=None, stride=(1, 1), padding=(1, 1), dilation=(1, 1),
                transposed=False, output_padding=(0, 0), groups=1, out=(1, 6, 5, 5)):  # fmt: skip
        arguments = [x, w, bias, stride, padding, dilation, transposed, output_padding, groups]
        with pytest.raises(OperatorError):
            run(NAME, arguments, [torch.empty(out, dtype=x.dtype)])

    run(NAME, [x, w, bias, [1, 1], [1, 1], [1, 1], False, [0, 0], 1], [torch.empty(1, 6, 5, 5)])
    for number in (0, -1, -(2**63), 2**31, 2**63 - 1):
        refused(stride=(1, number))
        refused(dilation=(number, 1))
        refused(groups=number)
        if number != 0:
            refused(padding=(number, 1))
            refused(output_padding=(number, number), transposed=True)
    refused(stride=(1, 1, 1))
    refused(padding=())
    refused(groups=3)
    refused(groups=4)  # the weight is for one group
    refused(x=torch.ones(1, 4, 5), w=torch.ones(6, 4, 3, 3))
    refused(x=torch.ones(4, 5), w=torch.ones(6, 3), out=(6, 3))
    refused(x=torch.ones(1, 3, 5, 5))
    refused(x=x.double())
    refused(x=x.bool(), w=w.bool())
    refused(bias=torch.ones(5))
    refused(bias=torch.ones(6, 1))
    refused(w=torch.ones(6, 4, 8, 3))  # larger than the padded input
    refused(dilation=(3, 3), padding=(0, 0))
    refused(w=torch.ones(6, 4, 0, 3))
    refused(x=torch.ones(1, 4, 0, 5))
    refused(x=torch.ones(1, 0, 5, 5), w=torch.ones(6, 0, 3, 3))
    refused(out=(1, 6, 5, 4))  # too small
    refused(out=(1, 6, 25))
    refused(padding=(INT32_MAX, INT32_MAX))  # an enormous output
    refused(dilation=(INT32_MAX, INT32_MAX))
    refused(transposed=True, stride=(INT32_MAX,) * 2, dilation=(INT32_MAX,) * 2,
            w=torch.ones(4, 6, 3, 3))  # fmt: skip
    refused(transposed=True, w=torch.ones(4, 6, 3, 3), padding=(9, 9))
    refused(transposed=True, w=torch.ones(4, 6, 3, 3), output_padding=(1, 1))
    refused(w=w.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0))  # taps in another order


def test_enormous_steps(rng):
    """Numbers at the limit, and still one small output."""
    x, w = random_tensor(rng, (1, 2, 3, 3)), random_tensor(rng, (4, 2, 1, 1))
    check_convolution(x, w, stride=INT32_MAX, dilation=INT32_MAX)
    check_convolution(x[:, :, :1, :1].clone(), w.permute(1, 0, 2, 3).clone(), transposed=True,
                      stride=INT32_MAX, dilation=INT32_MAX)  # fmt: skip
    check_convolution(x, random_tensor(rng, (4, 2, 3, 3)), padding=2**20, stride=2**20 + 1)
