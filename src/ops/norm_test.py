# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Layer norm, group norm and batch norm against PyTorch."""

import math

import pytest
import torch
from op_testing import FLOATS, OperatorError, assert_close, channels_last, check, random_tensor, run

SEED = 20261129
INT64_MAX = 2**63 - 1
LAYER = "aten::native_layer_norm.out"
GROUP = "aten::native_group_norm.out"
BATCH = "aten::_native_batch_norm_legit.out"
NO_STATS = "aten::_native_batch_norm_legit.no_stats_out"
INFERENCE = "aten::_native_batch_norm_legit_no_training.out"


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(SEED)


def affine(rng, shape, dtype=torch.float32):
    """Pairs of weight and bias, present and absent."""
    w, b = random_tensor(rng, shape, dtype), random_tensor(rng, shape, dtype)
    return [(w, b), (w, None), (None, b), (None, None)]


def tolerance(dtype):
    return {"atol": {2: 3e-2, 4: 1e-5, 8: 1e-12}[dtype.itemsize]}


def test_layer_norm(rng):
    for shape, normalized in (
        ((5,), 1), ((3, 1), 1), ((4, 7), 1), ((4, 7), 2), ((2, 5, 768), 1), ((2, 3, 4, 33), 2),
        ((2, 3, 4, 5), 3), ((1, 9000), 1), ((5000, 3), 1),
    ):  # fmt: skip
        x = random_tensor(rng, shape)
        dims = list(shape[len(shape) - normalized :])
        for weight, bias in affine(rng, dims):
            check(LAYER, x, dims, weight, bias, 1e-5, atol=1e-4)
            check(LAYER, x, dims, weight, bias, 0.5, atol=1e-5)
        if len(shape) == 4:
            for y in (channels_last(x), x.permute(3, 1, 0, 2)):
                dims = list(y.shape[len(shape) - normalized :])
                weight, bias = affine(rng, dims)[0]
                check(LAYER, y, dims, weight, bias, 1e-5, atol=1e-5)


def test_layer_norm_dtypes(rng):
    for t in FLOATS:
        x = random_tensor(rng, (4, 90), t)
        for weight, bias in affine(rng, (90,), t):
            check(LAYER, x, [90], weight, bias, 1e-5, **tolerance(t))
        if t.itemsize == 2:  # mixed: parameters and statistics in float32
            weight, bias = affine(rng, (90,))[0]
            check(LAYER, x, [90], weight, bias, 1e-5, **tolerance(t))


def test_layer_norm_far_from_zero(rng):
    """Where one pass in float32 has no digits left."""
    x = random_tensor(rng, (3, 2000), low=0, high=1) + 10_000
    exact = torch.nn.functional.layer_norm(x.double(), [2000])
    mean = x.double().mean(1, keepdim=True)
    rstd = (x.double().var(1, correction=0, keepdim=True) + 1e-5).rsqrt()
    check(LAYER, x, [2000], None, None, 1e-5, atol=2e-3, rtol=1e-6,
          expected=(exact.float(), mean.float(), rstd.float()))  # fmt: skip


def test_not_a_number():
    x = torch.tensor([[1.0, math.nan, 2.0], [math.inf, 1.0, 2.0], [3.0, 3.0, 3.0]])
    check(LAYER, x, [3], None, None, 1e-5)
    check(LAYER, x, [3], None, None, 0.0)


def test_group_norm(rng):
    for shape, groups in (
        ((2, 6), 3), ((2, 6), 6), ((1, 4, 5), 2), ((3, 4, 5, 7), 2), ((3, 4, 5, 7), 1),
        ((2, 32, 40, 6), 8), ((2, 4, 3, 2, 5), 4),
    ):  # fmt: skip
        x = random_tensor(rng, shape)
        spatial = math.prod(shape[2:])
        for weight, bias in affine(rng, (shape[1],)):
            sizes = (shape[0], shape[1], spatial, groups)
            check(GROUP, x, weight, bias, *sizes, 1e-5, atol=5e-4)  # one element: theirs is inexact
            if len(shape) == 4:
                check(GROUP, channels_last(x), weight, bias, *sizes, 1e-5, atol=1e-5)
    for t in FLOATS:
        x = random_tensor(rng, (2, 6, 30), t)
        for weight, bias in affine(rng, (6,), t):
            check(GROUP, x, weight, bias, 2, 6, 30, 2, 1e-5, **tolerance(t))
        if t.itemsize == 2:
            weight, bias = affine(rng, (6,))[0]
            check(GROUP, x, weight, bias, 2, 6, 30, 2, 1e-5, **tolerance(t))


def batch_inputs(rng, dtype=torch.float32):
    for shape in ((5, 3), (2, 3, 9), (2, 3, 4, 5), (3, 16, 7, 9), (2, 3, 2, 2, 3), (1, 1, 6)):
        x = random_tensor(rng, shape, dtype)
        yield x
        if len(shape) == 4:
            yield channels_last(x)


def running(rng, x, dtype=torch.float32):
    channels = (x.shape[1],)
    return random_tensor(rng, channels, dtype), random_tensor(rng, channels, dtype, 0.5, 2)


def test_batch_norm_inference(rng):
    for t in FLOATS:
        for x in batch_inputs(rng, t):
            for weight, bias in affine(rng, x.shape[1:2], t):
                mean, var = running(rng, x, t)
                check(INFERENCE, x, weight, bias, mean, var, 0.1, 1e-5, **tolerance(t))
            if t.itemsize == 2:  # mixed: everything but the input in float32
                weight, bias = affine(rng, x.shape[1:2])[0]
                check(INFERENCE, x, weight, bias, *running(rng, x), 0.1, 1e-3, **tolerance(t))


def test_batch_norm_training(rng):
    for t in FLOATS:
        for x in batch_inputs(rng, t):
            for weight, bias in affine(rng, x.shape[1:2], t):
                check(NO_STATS, x, weight, bias, True, 0.1, 1e-5, **tolerance(t))
                for training in (True, False):
                    mean, var = running(rng, x, t)
                    torch_mean, torch_var = mean.clone(), var.clone()
                    expected = torch.ops.aten._native_batch_norm_legit(
                        x, weight, bias, torch_mean, torch_var, training, 0.3, 1e-5)  # fmt: skip
                    outputs = [torch.empty_like(e) for e in expected]
                    run(BATCH, [x, weight, bias, mean, var, training, 0.3, 1e-5], outputs)
                    for actual, wanted in zip(
                        [*outputs, mean, var], [*expected, torch_mean, torch_var], strict=True
                    ):
                        assert_close(actual, wanted, **tolerance(t))


def test_no_elements():
    for shape in ((0, 3), (2, 0), (0, 0)):
        check(LAYER, torch.empty(shape), [shape[1]], None, None, 1e-5)
    for shape in ((0, 4, 3), (2, 4, 0)):
        check(GROUP, torch.empty(shape), None, None, shape[0], 4, shape[2], 2, 1e-5)
    ones = torch.ones(4)
    check(INFERENCE, torch.empty(0, 4), ones, ones, ones, ones, 0.1, 1e-5)
    huge = torch.empty(0, 2**31 - 1, 1, 1).expand(0, 2**31 - 1, 2**31 - 1, 2**31 - 1)
    with pytest.raises(OperatorError):  # HxW does not fit any integer
        outputs = [torch.empty(0, 2**31 - 1, 1, 1), torch.empty(0, 1), torch.empty(0, 1)]
        run(GROUP, [huge, None, None, 0, 2**31 - 1, -1, 1, 1e-5], outputs)


def layer_outputs():
    return [torch.empty(4, 6), torch.empty(4, 1), torch.empty(4, 1)]


def test_layer_norm_refusals(rng):
    x, six = random_tensor(rng, (4, 6)), torch.ones(6)
    run(LAYER, [x, [6], six, six, 1e-5], layer_outputs())
    for args in (
        [x, [], None, None, 1e-5],
        [x, [5], None, None, 1e-5],
        [x, [1, 4, 6], None, None, 1e-5],
        [x, [-6], None, None, 1e-5],
        [x, [INT64_MAX], None, None, 1e-5],
        [x, [6], torch.ones(5), None, 1e-5],
        [x, [6], six, torch.ones(7), 1e-5],
        [x, [6], six, six.double(), 1e-5],
        [x, [6], six.to(torch.int32), None, 1e-5],
        [x.to(torch.int32), [6], None, None, 1e-5],
    ):
        with pytest.raises(OperatorError):
            run(LAYER, args, layer_outputs())
    for i, wrong in ((0, torch.empty(4, 5)), (1, torch.empty(2, 1)), (2, torch.empty(4)),
                     (2, torch.empty(4, 1, dtype=torch.float64)),
                     (1, torch.empty(4, 1, dtype=torch.int64))):  # fmt: skip
        outputs = layer_outputs()
        outputs[i] = wrong
        with pytest.raises(OperatorError):
            run(LAYER, [x, [6], None, None, 1e-5], outputs)


def test_group_norm_refusals(rng):
    x, six = random_tensor(rng, (2, 6, 5)), torch.ones(6)
    outputs = lambda: [torch.empty(2, 6, 5), torch.empty(2, 6), torch.empty(2, 6)]  # noqa: E731
    run(GROUP, [x, six, six, 2, 6, 5, 3, 1e-5], outputs())
    for sizes in ((2, 6, 5, 0), (2, 6, 5, -1), (2, 6, 5, 4), (2, 6, 5, 7), (2, 6, 4, 3),
                  (3, 6, 5, 3), (2, 5, 5, 1), (2, 6, -5, 3), (2, 6, 5, INT64_MAX),
                  (INT64_MAX, 6, 5, 3), (2, 6, 5, -INT64_MAX - 1)):  # fmt: skip
        with pytest.raises(OperatorError):
            run(GROUP, [x, None, None, *sizes, 1e-5], outputs())
    for weight in (torch.ones(5), torch.ones(7)):
        with pytest.raises(OperatorError):
            run(GROUP, [x, weight, None, 2, 6, 5, 3, 1e-5], outputs())
    with pytest.raises(OperatorError):
        run(GROUP, [x[:, 0, 0].clone(), None, None, 2, 1, 1, 1, 1e-5], outputs())


def test_batch_norm_refusals(rng):
    x, three = random_tensor(rng, (2, 3, 5)), torch.ones(3)
    outputs = lambda n: [torch.empty(2, 3, 5), torch.empty(n), torch.empty(n)]  # noqa: E731
    run(INFERENCE, [x, three, three, three, three, 0.1, 1e-5], outputs(0))
    for i in range(1, 5):
        for wrong in (torch.ones(2), torch.ones(4), torch.ones(3, 1), three.to(torch.int32)):
            args = [x, three, three, three.clone(), three.clone()]
            args[i] = wrong
            with pytest.raises(OperatorError):
                run(INFERENCE, [*args, 0.1, 1e-5], outputs(0))
            with pytest.raises(OperatorError):
                run(BATCH, [*args, True, 0.1, 1e-5], outputs(3))
    with pytest.raises(OperatorError):
        run(NO_STATS, [x, None, None, False, 0.1, 1e-5], outputs(3))
    line = x[0, 0].clone()
    with pytest.raises(OperatorError):
        run(INFERENCE, [line, None, None, three, three, 0.1, 1e-5], outputs(0))
    with pytest.raises(OperatorError):
        run(NO_STATS, [line, None, None, True, 0.1, 1e-5], outputs(3))
