# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Checkpoints that are quantized already: GPTQ, AWQ, compressed-tensors.

All of them store a matrix as integers with a scale and a zero point for each group of inputs; they differ
in how the integers lie in 32-bit words, and in names.  The CPU delegate gets the integers as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch

from rushlight.delegates.cpu.grid import Grid
from rushlight.delegates.cpu.weights import IntegerForm, IntegerRows

_AWQ_ORDER = [0, 4, 1, 5, 2, 6, 3, 7]  # where in a word outputs 0, 1, 2, ... are


class Layer:
    """The tensors of a quantized layer."""

    def __init__(self, checkpoint, stem: str, settings: dict):
        self._checkpoint, self._stem, self.settings = checkpoint, stem, settings

    def __contains__(self, part: str) -> bool:
        return f"{self._stem}.{part}" in self._checkpoint

    def __getitem__(self, part: str) -> torch.Tensor:
        self.check(part in self, f"has no {part}")
        return self._checkpoint.tensor(f"{self._stem}.{part}")

    def matrix(self, part: str, *dtypes: torch.dtype) -> torch.Tensor:
        """A part with two sizes, none of them 0."""
        tensor = self[part]
        known = tensor.dim() == 2 and tensor.numel() > 0 and (not dtypes or tensor.dtype in dtypes)
        self.check(known, f"has {part} {tensor.dtype} {list(tensor.shape)}, which is not known here")
        return tensor

    def check(self, condition: bool, what: str) -> None:
        if not condition:
            raise ValueError(f"{self._stem} {what}")

    def grid(self, bits: int, codes: torch.Tensor, scales, zeros, group: int, index: str = "") -> Grid:
        """Groups are `group` inputs in order, or what the part `index` says, where there is one."""
        n, k = codes.shape
        groups = scales.shape[1]
        self.check(
            scales.shape == zeros.shape == (n, groups) and scales.is_floating_point(),
            f"has {list(scales.shape)} scales and {list(zeros.shape)} zero points for {n} x {k} weights",
        )
        if index in self:
            group_of = self[index].long()
            self.check(group_of.shape == (k,), f"has {index} {list(group_of.shape)} for {k} inputs")
            inside = 0 <= group_of.min() and group_of.max() < groups
        else:
            group_of = torch.arange(k) // group
            inside = -(-k // group) == groups
        self.check(bool(inside), f"has {groups} groups for {k} inputs, which does not fit")
        return Grid(bits, codes, scales, zeros, group, group_of)


def unpack(words: torch.Tensor, bits: int) -> torch.Tensor:
    """[n, w] 32-bit words as [n, w * 32 / bits] unsigned integers, lowest bits first."""
    shifts = torch.arange(0, 32, bits, dtype=torch.int32)
    return ((words.unsqueeze(2) >> shifts) & (2**bits - 1)).to(torch.uint8).flatten(1)


def _number(layer: Layer, name: str, known) -> int:
    value = layer.settings.get(name)
    layer.check(
        isinstance(value, int) and known(value), f"is quantized with {name} {value!r}, not known here"
    )
    return value


def _group_size(layer: Layer, inputs: int) -> int:
    size = _number(layer, "group_size", lambda size: size == -1 or size > 0)
    return inputs if size == -1 else size


def _gptq(layer: Layer) -> Grid:
    """Words along the inputs; zero points less one, but for gptq_v2; groups in any order (desc_act)."""
    kind = layer.settings.get("checkpoint_format", "gptq")
    layer.check(kind in ("gptq", "gptq_v2") and not layer.settings.get("dynamic"), "is of an unknown format")
    bits = _number(layer, "bits", (2, 4, 8).__contains__)
    codes = unpack(layer.matrix("qweight", torch.int32).T, bits)
    zeros = unpack(layer.matrix("qzeros", torch.int32), bits).T
    if kind == "gptq":
        zeros = (zeros + 1) & (2**bits - 1)
    scales = layer.matrix("scales").T
    return layer.grid(bits, codes, scales, zeros, _group_size(layer, codes.shape[1]), "g_idx")


def _awq(layer: Layer) -> Grid:
    """Words along the outputs, eight in an order of their own."""
    kind = layer.settings.get("version", "gemm")
    layer.check(str(kind).lower() == "gemm", f"is stored for {kind}, not known here")
    bits = _number(layer, "bits", (4).__eq__)

    def read(part: str) -> torch.Tensor:
        columns = unpack(layer.matrix(part, torch.int32), bits)
        return columns.view(len(columns), -1, 8)[:, :, _AWQ_ORDER].flatten(1).T

    codes, scales = read("qweight"), layer.matrix("scales").T
    return layer.grid(bits, codes, scales, read("qzeros"), _group_size(layer, codes.shape[1]))


def _compressed(layer: Layer) -> Grid | torch.Tensor:
    """Words along the inputs, or int8, or float8.  How many bits and which groups shows in the sizes.
    Scales of activations are not used: they are quantized with scales of their own."""
    scales = layer["weight_scale"]
    layer.check(scales.dim() <= 2 and scales.numel() > 0, f"has scales {list(scales.shape)}, not known here")
    if "weight_packed" not in layer:
        weight = layer.matrix("weight", torch.int8, torch.float8_e4m3fn)
        scales = scales.reshape(-1, scales.shape[1] if scales.dim() == 2 else 1)
        scales = scales.expand(len(weight), -1) if len(scales) == 1 else scales
        if weight.dtype != torch.int8:
            layer.check(scales.shape == (len(weight), 1), "has scales in blocks, not known here")
            return weight.float() * scales.float()
        bits, codes = 8, (weight.to(torch.int16) + 128).to(torch.uint8)
    else:
        words, shape = layer.matrix("weight_packed", torch.int32), layer["weight_shape"]
        layer.check(shape.shape == (2,) and shape.dtype in (torch.int32, torch.int64), "has no sizes")
        n, k = shape.tolist()
        bits = next((b for b in (4, 8, 2) if -(-k // (32 // b)) == words.shape[1]), None)
        layer.check(bits is not None and n == len(words), f"has {list(words.shape)} words for {n} x {k}")
        codes = unpack(words, bits)[:, :k]
        scales = layer.matrix("weight_scale")
    n, k = codes.shape
    zeros = torch.full_like(scales, 2 ** (bits - 1), dtype=torch.int32)
    if "weight_zero_point" in layer:
        zeros = layer["weight_zero_point"]
        if zeros.dtype == torch.int32:  # words along the outputs
            zeros = unpack(layer.matrix("weight_zero_point").T, bits).T[:n]
        else:
            layer.check(zeros.numel() in (1, scales.numel()), "has other zero points than scales")
            zeros = zeros.to(torch.int32) + 2 ** (bits - 1)
            zeros = zeros.reshape(scales.shape if zeros.numel() > 1 else (1, 1)).expand(scales.shape)
    group = -(-k // scales.shape[1])
    ordered = "weight_g_idx" not in layer or bool((layer["weight_g_idx"] < 0).all())  # -1: not used
    return layer.grid(bits, codes, scales, zeros, group, "" if ordered else "weight_g_idx")


@dataclass(frozen=True)
class _Method:
    mark: str  # the part that says that a layer is quantized
    parts: tuple[str, ...]
    read: Callable[[Layer], Grid | torch.Tensor]
    refused: tuple[str, ...] = ()  # settings that change what weights mean


_METHODS = {
    "gptq": _Method("qweight", ("qweight", "qzeros", "scales", "g_idx"), _gptq),
    "awq": _Method("qweight", ("qweight", "qzeros", "scales"), _awq),
    "compressed-tensors": _Method(
        "weight_scale",
        (
            "weight", "weight_packed", "weight_scale", "weight_zero_point", "weight_shape", "weight_g_idx",
            "input_scale", "input_zero_point",
        ),
        _compressed,
        ("transform_config",),
    ),
}  # fmt: skip


@dataclass
class Weights:
    """Parameters by name, as a plain model has them, and what keep_integers takes for some of them."""

    values: dict[str, torch.Tensor] = field(default_factory=dict)
    integers: dict[str, tuple[IntegerForm, Callable[[], IntegerRows]]] = field(default_factory=dict)

    def add(self, name: str, read: Callable[[], Grid | torch.Tensor]) -> None:
        """`read` is called again when weights are packed, so that nothing is in memory twice before."""
        weight = read()
        if not isinstance(weight, Grid):
            self.values[name] = weight
            return
        self.values[name] = weight.values()
        integers = weight.integers()
        if integers is not None:
            self.integers[name] = integers[0], lambda: read().integers()[1]


def read_weights(checkpoint, settings: dict | None) -> Weights:
    """`settings`: what a checkpoint's configuration calls quantization_config."""
    if settings is None:
        return Weights({name: checkpoint.tensor(name) for name in checkpoint})
    name = settings.get("quant_method") if isinstance(settings, dict) else None
    method = _METHODS.get(name) if isinstance(name, str) else None
    if method is None:
        raise ValueError(f"weights quantized by {name!r} are not known here; {', '.join(_METHODS)} are")
    for setting in method.refused:
        if settings.get(setting):
            raise ValueError(f"weights quantized by {name} with {setting} are not known here")
    stems = {stem for stem, _, part in (n.rpartition(".") for n in checkpoint) if part == method.mark}
    weights = Weights()
    for stem in sorted(stems):
        weights.add(f"{stem}.weight", partial(method.read, Layer(checkpoint, stem, settings)))
    for name in checkpoint:
        stem, _, part = name.rpartition(".")
        if stem not in stems or part not in method.parts:
            weights.values[name] = checkpoint.tensor(name)
    return weights
