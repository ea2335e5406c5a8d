# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What is quantized in the graph itself, by torchao's quantize_ or PyTorch's convert_pt2e: products with
weights that a graph dequantizes become products with constants, which are packed as the integers they are.

What else is quantized is what the graph says.  Rows that are quantized by scales of their own, right before a
product, are rows of integers there (the CPU delegate's scales: one for each row and group); all others are
floats, and a static scale in front of a product stays as operators.
"""

from __future__ import annotations

import operator
from functools import partial

import torch
from torch import fx

from rushlight.delegates.cpu.grid import Grid
from rushlight.delegates.cpu.patterns import Context, insert
from rushlight.delegates.cpu.weights import keep_integers
from rushlight.dialect.quantization import is_quantization
from rushlight.passes.base import constant_tensors, input_specs

aten = torch.ops.aten


def replace(node: fx.Node, context: Context) -> fx.Node | None:
    if node.target is aten.linear.default:
        return _linear(node, context)
    if node.target is aten.embedding.default:
        matrix = _dequantized(node.args[0], context, "float32")
        return matrix and insert(node, node.target, (matrix, *node.args[1:]), node.meta["val"])
    if node.target is aten.mm.default and _calls(node.args[1], aten.permute.default):  # of two sizes: turned
        matrix = _dequantized(node.args[1].args[0], context, "float32")
        return matrix and insert(node, aten.linear.default, (node.args[0], matrix), node.meta["val"])
    if node.target is aten.mul.Tensor:
        return _scaled(node, context)
    return None


def _linear(node: fx.Node, context: Context) -> fx.Node | None:
    x, weight, bias = (*node.args, None)[:3]
    rows, activations = _rows(x)
    matrix, vector = _dequantized(weight, context, activations), _vector(bias, context)
    if matrix is None and vector is bias:
        return None
    args = (x, weight) if matrix is None else (rows, matrix)
    return insert(node, node.target, args if vector is None else (*args, vector), node.meta["val"])


def _calls(node, *targets) -> bool:
    return isinstance(node, fx.Node) and node.target in targets


def _operator(node) -> str:
    """The name of an operator that quantizes; empty for others."""
    quantizes = isinstance(node, fx.Node) and is_quantization(node.target)
    return node.target.overloadpacket.__name__ if quantizes else ""


def _arguments(node: fx.Node) -> dict[str, object]:
    """A call's arguments by name.  What is named in two ways goes by the shorter name."""
    schema = node.target._schema.arguments
    values = {a.name: a.default_value for a in schema if a.has_default_value()}
    values.update(zip((a.name for a in schema), node.args, strict=False))
    values.update(node.kwargs)
    for long in ("scales", "zero_points"):
        values.setdefault(long[:-1], values.pop(long, None))
    return values


# -- Activations --


def _rows(x: fx.Node) -> tuple[fx.Node, str]:
    """The rows that a product takes, and as what: those which are quantized by scales of their own, as
    integers."""
    if _operator(x).startswith("dequantize"):
        made = _arguments(x)
        rows = _quantized_rows(made["input"])
        if rows is not None:
            quantized = _arguments(made["input"])
            if all(made[k] is quantized[k] for k in ("scale", "zero_point")):
                return rows, "int8"
    return x, "float32"


def _quantized_rows(codes: fx.Node) -> fx.Node | None:
    """What is quantized to 8 bits by scales that are chosen from itself."""
    if not _operator(codes).startswith("quantize"):
        return None
    made = _arguments(codes)
    low, high = _range(made, codes.meta["val"].dtype)
    parts = [made["scale"], made["zero_point"]]
    if made["input"].meta["val"].dtype != torch.float32 or high - low < 253:
        return None
    if not all(_calls(p, operator.getitem) for p in parts):
        return None
    choice = parts[0].args[0]
    chosen = _operator(choice).startswith("choose_qparams") and _arguments(choice)["input"] is made["input"]
    if not chosen or parts[1].args[0] is not choice or [p.args[1] for p in parts] != [0, 1]:
        return None
    return made["input"]


def _range(made: dict, dtype: torch.dtype) -> tuple[int, int]:
    info = torch.iinfo(dtype)
    low, high = made.get("quant_min"), made.get("quant_max")
    return info.min if low is None else low, info.max if high is None else high


# -- Weights --

_PARTS = ("input", "scale", "zero_point")


def _constant(node: fx.Node, context: Context, made, activations: str, source: fx.Node) -> fx.Node | None:
    """The constant, by the name of `source`, of the Grid that `made` makes; None where it makes none."""
    grid = made()
    if grid is None:
        return None
    name = input_specs(context.program)[source].target.partition(":")[0]
    constant = context.constant((node, activations), grid.values, f"{name}:dequantized", source)
    integers = grid.integers()
    if integers is not None:
        tensor = constant_tensors(context.program)[constant]
        keep_integers(tensor, integers[0], lambda: made().integers()[1], activations)
    return constant


def _sources(node: fx.Node) -> fx.Node:
    """The input that a constant is made of, first of all."""
    while node.all_input_nodes:
        node = node.all_input_nodes[0]
    return node


def _dequantized(node: fx.Node, context: Context, activations: str) -> fx.Node | None:
    """A matrix that a graph dequantizes, as a constant."""
    if not _operator(node).startswith("dequantize") or node.meta["val"].dtype != torch.float32:
        return None
    made = _arguments(node)
    parts = [context.evaluate(made[k]) if isinstance(made[k], fx.Node) else made[k] for k in _PARTS]
    codes, scale, zero = (p if p is None else torch.as_tensor(p) for p in parts)
    if not isinstance(made["input"], fx.Node) or parts[0] is None or parts[1] is None:
        return None
    if codes.dim() != 2 or (zero is None and made["zero_point"] is not None):
        return None
    block = _block(node, made, codes.shape)
    make = partial(_grid, codes, scale, zero, block, _range(made, codes.dtype))
    return _constant(node, context, make, activations, _sources(made["input"]))


def _block(node: fx.Node, made: dict, shape: torch.Size) -> tuple[int, int] | None:
    """The sizes of the blocks that share a scale."""
    n, k = shape
    kind = _operator(node).removeprefix("dequantize_")
    if kind == "affine":
        return tuple(made["block_size"])
    if kind == "per_channel":
        return (1, k) if made["axis"] in (0, -2) else None
    sizes = {"per_tensor": (n, k), "per_token": (1, k)}
    return (1, min(made["group_size"], k)) if kind == "per_channel_group" else sizes.get(kind)


def _grid(codes: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor | None, block, bounds) -> Grid | None:
    """Codes [n, k] of 8 bits or fewer; scales and zero points, one for each block."""
    n, k = codes.shape
    if codes.dtype not in (torch.int8, torch.uint8) or block is None or codes.numel() == 0:
        return None
    rows, group = block
    if n % rows or k % group or scale.numel() != n // rows * (k // group):
        return None
    if zero is None or zero.numel() == 0:
        zero = torch.zeros_like(scale, dtype=torch.int32)
    if zero.numel() != scale.numel() or not torch.equal(zero.int().to(zero.dtype), zero):
        return None
    scale, zero = (t.reshape(n // rows, k // group).repeat_interleave(rows, 0) for t in (scale, zero))
    used = (min(bounds[0], int(codes.min())), max(bounds[1], int(codes.max())))
    bits, half = _bits(codes.dtype, *used)
    codes = (codes.to(torch.int16) + half).to(torch.uint8)
    return Grid(bits, codes, scale.float(), zero.int() + half, group, torch.arange(k) // group)


def _bits(dtype: torch.dtype, low: int, high: int) -> tuple[int, int]:
    """The bits of codes from `low` to `high`, and what to add that they count from 0."""
    if dtype == torch.uint8:
        return max(high.bit_length(), 1), 0
    bits = 1 + max(high.bit_length(), (-1 - low).bit_length() if low < 0 else 0)
    return bits, 2 ** (bits - 1)


def _vector(bias, context: Context):
    """A bias, as a constant where the graph dequantizes it."""
    if not _operator(bias).startswith("dequantize") or bias.meta["val"].dim() != 1:
        return bias
    value = context.evaluate(bias)
    return bias if value is None else context.constant(bias, lambda: value, "bias:dequantized", bias)


# -- torchao's Int8Tensor, which scales products of the integers --


def _scaled(node: fx.Node, context: Context) -> fx.Node | None:
    """product * scale of outputs"""
    if len(node.args) != 2 or node.kwargs or node.meta["val"].dtype != torch.float32:
        return None
    product, scale = node.args
    if not isinstance(product, fx.Node) or not isinstance(scale, fx.Node):
        return None
    if _calls(product, aten.mm.default):
        x, weight = product.args
        codes = weight.args[0] if _calls(weight, aten._to_copy.default) else None
        rows, activations = x, "float32"
    elif _calls(product, aten.mul.Tensor, aten.sub.Tensor):
        found = _integer_product(product, context)
        if found is None:
            return None
        rows, activations, codes = found
    else:
        return None
    if not isinstance(codes, fx.Node) or codes.meta["val"].dtype != torch.int8:
        return None
    if rows.meta["val"].dtype != torch.float32:
        return None
    turned, scales = context.evaluate(codes), context.evaluate(scale)
    if turned is None or scales is None or scales.numel() not in (1, turned.shape[1]):
        return None
    k, n = turned.shape
    if scales.dim() > 1 or node.meta["val"].shape[-1] != n:
        return None
    block = (1 if scales.numel() == n else n, k)
    make = lambda: _grid(turned.t(), scales, None, block, (-128, 127))  # noqa: E731
    matrix = _constant(node, context, make, activations, _sources(codes))
    return matrix and insert(node, aten.linear.default, (rows, matrix), node.meta["val"])


def _integer_product(node: fx.Node, context: Context):
    """(rows, what they are multiplied as, codes) of float(int_mm(codes of rows, codes)) * their scale, less what
    their zero point adds."""
    less = None
    if node.target is aten.sub.Tensor:
        node, less = node.args
    if not _calls(node, aten.mul.Tensor) or not _calls(node.args[0], aten._to_copy.default):
        return None
    product, scale = node.args[0].args[0], node.args[1]
    if not _calls(product, aten._int_mm.default):
        return None
    flat, codes = product.args
    if not _calls(flat, aten.view.default):
        return None
    made = flat.args[0]
    rows = _quantized_rows(made)
    if rows is None:
        return None
    quantized = _arguments(made)
    if not _calls(scale, aten.view.default) or scale.args[0] is not quantized["scale"]:
        return None
    asymmetric = _arguments(quantized["scale"].args[0]).get("mapping_type") == "ASYMMETRIC"
    if asymmetric != (less is not None) or (asymmetric and not _adds(less, scale, quantized, codes, context)):
        return None
    value = flat.meta["val"].to(torch.float32)
    rows = insert(product, aten.view.default, (rows, flat.args[1]), value)
    return rows, "int8", codes


def _adds(less: fx.Node, scale: fx.Node, quantized: dict, codes: fx.Node, context: Context) -> bool:
    """Whether `less` is zero point * scale * sums of the codes."""
    if not _calls(less, aten.mul.Tensor) or not _calls(less.args[0], aten.mul.Tensor):
        return False
    (zero, factor), sums = less.args[0].args, less.args[1]
    if _calls(zero, aten._to_copy.default):
        zero = zero.args[0]
    same = _calls(zero, aten.view.default) and zero.args[0] is quantized["zero_point"] and factor is scale
    value, turned = context.evaluate(sums), context.evaluate(codes)
    if not same or value is None or turned is None:
        return False
    return torch.equal(value.flatten().double(), turned.double().sum(0))
