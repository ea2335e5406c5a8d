# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Quantization in graphs: the operators of PyTorch (quantized_decomposed) and of torchao.

They stay whole in the edge dialect, for delegates to see, and folding does not cross them: weights stay the
integers they are.  What no delegate takes is written out in core ATen operators: torchao's by its own
definitions, PyTorch's by those below, which give what PyTorch's give bit for bit.
"""

from __future__ import annotations

import torch
from torch import fx

aten = torch.ops.aten

_NAMESPACES = ("quantized_decomposed", "torchao")


def is_quantization(target) -> bool:
    return isinstance(target, torch._ops.OpOverload) and target.namespace in _NAMESPACES


def instead_of(target) -> str:
    """What helps where an operator of quantized weights has no kernel; empty for other operators."""
    if not is_quantization(target) and "pack_mm" not in str(target):
        return ""
    return (
        "quantize in a form that torch.export spells out, such as torchao's IntxWeightOnlyConfig or "
        "Int8DynamicActivationIntxWeightConfig: this one is made for kernels of PyTorch's own"
    )


def widens(node: fx.Node) -> bool:
    """Whether a node makes larger numbers of integers of 8 bits, as many, such as weights are stored in.
    Requires: sizes are numbers."""
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor) or value.element_size() == 1:
        return False
    inputs = (i.meta.get("val") for i in node.all_input_nodes)
    return any(
        isinstance(i, torch.Tensor) and i.dtype in (torch.int8, torch.uint8) and i.numel() <= value.numel()
        for i in inputs
    )


def _number(x: torch.Tensor) -> torch.Tensor:
    """A tensor of one element without sizes."""
    return x.reshape(())


def _along(x: torch.Tensor, axis: int, dim: int) -> torch.Tensor:
    """A vector along one dimension of `dim`."""
    return x.reshape([-1 if i == axis % dim else 1 for i in range(dim)])


def _quantized(scaled: torch.Tensor, zero, low, high, dtype: torch.dtype) -> torch.Tensor:
    return torch.clamp(torch.round(scaled) + zero, low, high).to(dtype)


def _quantize_per_tensor(x, scale, zero, low, high, dtype):
    return _quantized(x * (1.0 / scale), zero, low, high, dtype)


def _quantize_per_tensor_tensor(x, scale, zero, low, high, dtype):
    factor = (1.0 / _number(scale).double()).to(x.dtype)
    return _quantized(x * factor, _number(zero).to(x.dtype), low, high, dtype)


def _quantize_per_channel(x, scale, zero, axis, low, high, dtype):
    scale, zero = (_along(t, axis, x.dim()) for t in (scale, zero))
    return _quantized(x.float() * (1.0 / scale), zero, low, high, dtype)


def _quantize_per_token(x, scale, zero, low, high, dtype):
    """The zero point is added before rounding."""
    return x.mul(1.0 / scale).add(zero).round().clamp(low, high).to(dtype)


def _quantize_per_channel_group(x, scale, zero, low, high, dtype, group=128):
    rows = x.reshape(-1, min(group, x.shape[-1]))
    codes = _quantize_per_token(rows, scale.reshape(-1, 1), zero.reshape(-1, 1), low, high, dtype)
    return codes.reshape(x.shape)


def _dequantized(codes: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor | None, dtype: torch.dtype):
    codes = codes.to(scale.dtype)
    return ((codes if zero is None else codes - zero.to(scale.dtype)) * scale).to(dtype)


def _dequantize_per_tensor(x, scale, zero, _low, _high, _dtype, *, out_dtype=None):
    return (x.to(out_dtype or torch.float32) - zero) * scale


def _dequantize_per_tensor_tensor(x, scale, zero, _low, _high, _dtype, *, out_dtype=None):
    out_dtype = out_dtype or torch.float32
    return _dequantized(x, _number(scale).to(out_dtype), _number(zero), out_dtype)


def _dequantize_per_channel(x, scale, zero, axis, _low, _high, _dtype, *, out_dtype=None):
    zero = None if zero is None else _along(zero, axis, x.dim())
    return _dequantized(x, _along(scale, axis, x.dim()), zero, out_dtype or torch.float32)


def _dequantize_per_token(x, scale, zero, _low, _high, _dtype, out_dtype):
    return _dequantized(x, scale, zero, out_dtype)


def _dequantize_per_channel_group(x, scale, zero, _low, _high, _dtype, group=128, out_dtype=torch.float32):
    rows = x.reshape(-1, min(group, x.shape[-1]))
    zero = None if zero is None else zero.reshape(-1, 1)
    return _dequantized(rows, scale.reshape(-1, 1), zero, out_dtype).reshape(x.shape)


def _extremes(x: torch.Tensor, dims: list[int], keepdim: bool):
    """The least and the largest of each part, and 0."""
    return torch.amin(x, dims, keepdim).clamp(max=0), torch.amax(x, dims, keepdim).clamp(min=0)


def _choose_per_tensor(x, low, high, eps, _dtype):
    least, most = (t.reshape(1) for t in _extremes(x, [], False))
    scale = ((most - least) / float(high - low)).clamp(min=eps)
    zero = low - torch.round(least / scale).to(torch.int32)
    return scale.double(), zero.clamp(low, high).to(torch.int64)


def _choose_per_tensor_symmetric(x, low, high, eps, dtype):
    least, most = (t.reshape(1) for t in _extremes(x, [], False))
    scale = (torch.maximum(-least, most) / (float(high - low) / 2)).clamp(min=eps)
    return scale.double(), torch.full_like(scale, 128 if dtype == torch.uint8 else 0, dtype=torch.int64)


def _choose_per_token(x, dtype):
    if dtype != torch.int8:
        return NotImplemented
    scale = x.abs().amax(-1, True)
    scale = (scale.float() if x.dtype == torch.float16 else scale).clamp(min=1e-5) / 127
    return scale, torch.zeros_like(scale)


def _choose_per_token_asymmetric(x, _dtype):
    low, high = -128, 127
    least, most = _extremes(x, [-1], True)
    scale = ((most - least) / float(high - low)).clamp(min=torch.finfo(torch.float32).eps)
    below, above = least / scale, most / scale
    zero = torch.where(low + below + (high + above) > 0, low - below, high - above)
    return scale.double(), zero.clamp(low, high).round().to(torch.int64)


def _int_mm(a, b):
    return torch.mm(a.to(torch.int32), b.to(torch.int32))


_DEFINITIONS = {
    "quantize_per_tensor": _quantize_per_tensor,
    "quantize_per_tensor.tensor": _quantize_per_tensor_tensor,
    "quantize_per_tensor.tensor2": _quantize_per_tensor_tensor,
    "quantize_per_channel": _quantize_per_channel,
    "quantize_per_token": _quantize_per_token,
    "quantize_per_channel_group": _quantize_per_channel_group,
    "dequantize_per_tensor": _dequantize_per_tensor,
    "dequantize_per_tensor.tensor": _dequantize_per_tensor_tensor,
    "dequantize_per_tensor.tensor2": _dequantize_per_tensor_tensor,
    "dequantize_per_channel": _dequantize_per_channel,
    "dequantize_per_token": _dequantize_per_token,
    "dequantize_per_channel_group": _dequantize_per_channel_group,
    "choose_qparams.tensor": _choose_per_tensor,
    "choose_qparams_symmetric.tensor": _choose_per_tensor_symmetric,
    "choose_qparams_per_token": _choose_per_token,
    "choose_qparams_per_token_asymmetric": _choose_per_token_asymmetric,
    "_choose_qparams_per_token_asymmetric_impl": _choose_per_token_asymmetric,
    "convert_element_type.no_fuse": lambda x, dtype: x.to(dtype),
}


def definitions() -> dict:
    """What operators that quantize mean, where whoever registers them is imported."""
    table = {aten._int_mm.default: _int_mm}
    for name, meaning in _DEFINITIONS.items():
        name, _, overload = name.partition(".")
        packet = getattr(torch.ops.quantized_decomposed, name, None)
        if packet is not None and (overload or "default") in packet.overloads():
            table[getattr(packet, overload or "default")] = meaning
    return table
