# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What operators that quantize are written out as, against the operators, bit for bit."""

import pytest
import torch
import torch.ao.quantization.fx._decomposed  # noqa: F401  (registers the operators)
from torch import nn

import rushlight
from rushlight.dialect.quantization import definitions

ops = torch.ops.quantized_decomposed
TABLE = definitions()


def floats(*shape):
    return torch.randn(*shape) * torch.rand(1) * 8


def codes(*shape, dtype=torch.int8):
    info = torch.iinfo(dtype)
    return torch.randint(info.min, info.max + 1, shape).to(dtype)


def numbers(*shape, dtype=torch.float32):
    return (torch.rand(*shape) + 0.01).to(dtype), torch.randint(-9, 9, shape)


def cases():
    """(operator, arguments), all of whose meanings are here."""
    for dtype, low, high in ((torch.int8, -128, 127), (torch.int8, -127, 127), (torch.uint8, 0, 255)):
        bounds = (low, high, dtype)
        for shape in ((1, 1), (5, 12), (2, 3, 8)):
            x, q = floats(*shape), codes(*shape, dtype=dtype)
            scale, zero = 0.037, (low + high) // 2 + 3
            one = (torch.tensor([scale], dtype=torch.float64), torch.tensor([zero]))
            yield ops.quantize_per_tensor.default, (x, scale, zero, *bounds)
            yield ops.quantize_per_tensor.tensor, (x, *one, *bounds)
            yield ops.dequantize_per_tensor.default, (q, scale, zero, *bounds)
            yield ops.dequantize_per_tensor.tensor, (q, *one, *bounds)
            yield ops.choose_qparams.tensor, (x, low, high, 1e-4, dtype)
            yield ops.choose_qparams_symmetric.tensor, (x, low, high, 1e-4, dtype)
            for axis in range(len(shape)):
                each = numbers(shape[axis])
                yield ops.quantize_per_channel.default, (x, *each, axis, *bounds)
                yield ops.dequantize_per_channel.default, (q, *each, axis, *bounds)
            yield ops.dequantize_per_channel.default, (q, each[0], None, axis, *bounds)
            for kind in (torch.float32, torch.float64):
                each = numbers(*shape[:-1], 1, dtype=kind)
                yield ops.quantize_per_token.default, (x, *each, *bounds)
                yield ops.dequantize_per_token.default, (q, *each, *bounds, torch.float32)
        for groups in (1, 3):
            x, q, each = floats(5, 12), codes(5, 12, dtype=dtype), numbers(5, groups)
            yield ops.quantize_per_channel_group.default, (x, *each, *bounds, 12 // groups)
            yield ops.dequantize_per_channel_group.default, (q, *each, *bounds, 12 // groups, torch.float32)
    for x in (floats(4, 7), floats(2, 3, 5).abs(), -floats(6, 2).abs(), torch.zeros(2, 3)):
        yield ops.choose_qparams_per_token.default, (x, torch.int8)
        yield ops.choose_qparams_per_token_asymmetric.default, (x, torch.int8)


def test_equal_what_pytorch_computes():
    torch.manual_seed(0)
    seen = set()
    for operator, arguments in cases():
        seen.add(operator)
        expected, got = operator(*arguments), TABLE[operator](*arguments)
        several = isinstance(expected, tuple)
        for e, g in zip(*((expected, got) if several else ([expected], [got])), strict=True):
            assert e.dtype == g.dtype and torch.equal(e, g), (operator, arguments)
    missing = {o for o in TABLE if o.namespace == "quantized_decomposed"} - seen
    assert {str(o).split(".")[1] for o in missing} <= {
        "quantize_per_tensor", "dequantize_per_tensor", "convert_element_type",
        "_choose_qparams_per_token_asymmetric_impl",
    }  # fmt: skip


class Steps(nn.Module):
    """A static scale, one for each row, and weights by channels: what PT2E and its backends spell out."""

    def __init__(self, group=None):
        super().__init__()
        self.group = group
        self.register_buffer("codes", codes(6, 32))
        self.register_buffer("scale", torch.rand(*((6, 32 // group) if group else (6,))) + 0.01)
        self.register_buffer("zero", torch.randint(-3, 4, self.scale.shape))

    def forward(self, x):
        bounds = (-128, 127, torch.int8)
        if self.group:
            each = ops.choose_qparams_per_token_asymmetric(x, torch.int8)
            q = ops.quantize_per_token(x, *each, *bounds)
            x = ops.dequantize_per_token(q, *each, *bounds, torch.float32)
            weight = ops.dequantize_per_channel_group(
                self.codes, self.scale, self.zero, *bounds, self.group, torch.float32
            )
        else:
            q = ops.quantize_per_tensor(x, 0.05, 3, *bounds)
            x = ops.dequantize_per_tensor(q, 0.05, 3, *bounds)
            weight = ops.dequantize_per_channel(self.codes, self.scale, self.zero, 0, *bounds)
        return nn.functional.linear(x, weight)


@pytest.mark.parametrize("group", [None, 16])
def test_run_as_operators(group):
    torch.manual_seed(0)
    model, x = Steps(group).eval(), torch.randn(3, 32)
    program = rushlight.compile(model, (x,), backend="portable")
    expected = model(x)
    got = torch.as_tensor(rushlight.load(program.buffer)(x))
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=2e-6 * float(expected.abs().max()))


def test_weights_stay_integers():
    """However small they are: floats are four times as large."""
    program = rushlight.compile(Steps().eval(), (torch.randn(3, 32),), backend="portable")
    constants = program.exported_program().constants.values()
    constants = [*constants, *program.exported_program().state_dict.values()]
    assert any(t.dtype == torch.int8 and t.numel() == 6 * 32 for t in constants)
    assert not any(t.dtype != torch.int8 and t.numel() == 6 * 32 for t in constants)
