# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Formats of weights, and packing them (src/kernels/packed/layout.h)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatch

import torch

from rushlight import _native

FORMATS = {"float32": 0, "bfloat16": 1, "float16": 2, "int8": 3, "int4": 4}
CACHES = {"float32": 0, "bfloat16": 1, "float16": 2, "int8": 3}
_SHORT = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
SCALES = {"bfloat16": 0, "float16": 1, "float32": 2, "int8": 3}
_BITS = {"int8": 8, "int4": 4}
PANEL = 16  # outputs
_MAX_LEVELS_GROUP = 1024  # kExactInputs


@dataclass(frozen=True)
class IntegerForm:
    """Weights as integers: value = scale * code + minimum.

    format    int8: codes -128..127; int4: codes -8..7, with minimums 0..15
    group     inputs that share a scale; 0: all of a row
    scale     float16, bfloat16 or float32: which holds scales and minimums exactly
    minimum   whether there are minimums
    """

    format: str
    group: int
    scale: str
    minimum: bool


@dataclass(frozen=True)
class IntegerRows:
    codes: torch.Tensor  # int8 [n, k]
    scales: torch.Tensor  # float32 [n, groups]
    minimums: torch.Tensor | None = None  # float32 [n, groups]

    def rearranged(self, rearrange: Callable[[torch.Tensor], torch.Tensor]) -> IntegerRows:
        """With other rows: `rearrange` gets codes, scales and minimums, each with n rows."""
        return IntegerRows.joined([self], lambda parts: rearrange(parts[0]))

    @staticmethod
    def joined(rows: list[IntegerRows], join: Callable[[list[torch.Tensor]], torch.Tensor]) -> IntegerRows:
        parts = zip(*((r.codes, r.scales, r.minimums) for r in rows), strict=True)
        return IntegerRows(*(None if part[0] is None else join(list(part)) for part in parts))


@dataclass(frozen=True)
class StoredIntegers:
    """A parameter as its checkpoint has it, or, where `activations` says what it is multiplied by, as the
    graph of its model has it.  `read` is called when the weights are packed, so that nothing is in memory
    twice before."""

    form: IntegerForm
    read: Callable[[], IntegerRows]
    activations: str | None
    state: tuple[int, int]  # of the parameter's memory when it had these values


def _state(parameter: torch.Tensor) -> tuple[int, int]:
    return parameter.data_ptr(), parameter._version


def keep_integers(
    parameter: torch.Tensor,
    form: IntegerForm,
    read: Callable[[], IntegerRows],
    activations: str | None = None,
) -> None:
    """Says what integers a parameter [n, k], which holds their values, was made of.  They are packed as they
    are where as many bits are asked for, or more, unless the parameter is changed before.  `activations`: of
    a model that is quantized itself, which stays so where no integers are asked for."""
    parameter.rushlight_integers = StoredIntegers(form, read, activations, _state(parameter))


def integers_of(parameter: torch.Tensor) -> StoredIntegers | None:
    stored = getattr(parameter, "rushlight_integers", None)
    return stored if stored is not None and stored.state == _state(parameter) else None


@dataclass(frozen=True)
class Quantization:
    """How weights and caches are stored.

    weights   float32, bfloat16, float16, int8 or int4
    group     inputs that share a scale, a multiple of 16; 0: all of a row
              (what a checkpoint has in as many bits or fewer stays as it is, with its own groups; what the
              model itself has quantized stays, unless integers are asked for)
    activations    beside int8 and int4 weights: int8, quantized for each token and group when they are
              multiplied, or float32: slower, without that error; bfloat16: rounded to it beside bfloat16
              weights (int8 beside integers), faster where CPUs multiply bfloat16
    cache     float32, bfloat16, float16 or int8, with a scale for each position and head; none: bfloat16
              where weights are not float32.  Without a cache, keys and values are bfloat16 where this
              is, or float32
    scales    of groups of int4: int8, whole multiples of one float for each row, so that products add up
              integers as with int8 weights, and prefill is 1.2 to 3 x as fast; or bfloat16, in the file as
              large, slower, nearer to weights that were on such a grid before.  None: int8 where weights
              are floats, unless they were on a grid; what a checkpoint has as integers stays.  Given, that
              is quantized anew too
    modules   other formats by name of the parameter, with wildcards: {"*.lm_head.*": "int8"}
    """

    weights: str = "float32"
    group: int = 32
    activations: str = "int8"
    cache: str | None = None
    scales: str | None = None
    modules: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        full = lambda name: _SHORT.get(name, name)  # noqa: E731
        cache = self.cache or ("float32" if full(self.weights) == "float32" else "bfloat16")
        object.__setattr__(self, "weights", full(self.weights))
        object.__setattr__(self, "cache", full(cache))
        object.__setattr__(self, "activations", full(self.activations))
        object.__setattr__(self, "scales", self.scales and full(self.scales))
        object.__setattr__(self, "modules", {p: full(f) for p, f in self.modules.items()})
        for format in (self.weights, *self.modules.values()):
            if format not in FORMATS:
                raise ValueError(f"no format {format!r} for weights; there are {', '.join(FORMATS)}")
        if self.activations not in ("int8", "float32", "bfloat16"):
            raise ValueError(
                f"no format {self.activations!r} for activations; there are int8, float32, bfloat16"
            )
        if self.scales not in (None, "int8", "bfloat16"):
            raise ValueError(f"no format {self.scales!r} for scales; there are int8, bfloat16")
        if self.scales == "int8" and self.activations == "float32":
            raise ValueError("scales in int8 are for activations in int8")
        if self.cache not in CACHES:
            raise ValueError(f"no format {self.cache!r} for caches; there are {', '.join(CACHES)}")
        if self.group < 0 or self.group % 16 != 0:
            raise ValueError(f"a group of {self.group} is no multiple of 16")

    @staticmethod
    def of(value: Quantization | str | None) -> Quantization:
        """What `quantize=` means: a name, or a Quantization."""
        return value if isinstance(value, Quantization) else Quantization(value or "float32")

    def check_names(self, names: Iterable[str]) -> None:
        """Raises ValueError for a pattern that is none of these parameters'."""
        names = list(names)
        for pattern in self.modules:
            if not any(fnmatch(name, pattern) for name in names):
                raise ValueError(f"no packed parameter is named {pattern!r}; there are {_some(names)}")

    def format_of(self, name: str) -> str:
        return next((f for pattern, f in self.modules.items() if fnmatch(name, pattern)), self.weights)

    def form_of(self, name: str, parameter: torch.Tensor) -> str | IntegerForm:
        """The format of a parameter, or the form in which its checkpoint has it, if that stays."""
        format, stored = self.format_of(name), integers_of(parameter)
        if stored is None or (format == "int4" and self.scales is not None):
            return format
        keeps = _BITS[stored.form.format] <= _BITS[format] if format in _BITS else stored.activations
        return stored.form if keeps else format

    def activations_of(self, name: str, parameter: torch.Tensor) -> str:
        """What a parameter is multiplied by, if it is stored as integers."""
        stored = integers_of(parameter)
        own = stored is not None and self.format_of(name) not in _BITS and stored.activations
        return own or self.activations

    @property
    def scales_of_floats(self) -> str | None:
        """The scales of int4 that is made of floats; None: what fits better."""
        return "bfloat16" if self.activations == "float32" else self.scales


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


@dataclass(frozen=True)
class PackedMatrix:
    key: str
    data: bytes
    format: int
    outputs: int
    inputs: int
    group: int
    minimum: bool
    scale: int
    error: float  # of the packed weights, relative to their size


def pack_as(
    form: str | IntegerForm, parameters: list[torch.Tensor], join, quantization: Quantization
) -> PackedMatrix:
    """Parameters [n, k], joined, as Quantization.form_of says."""
    if isinstance(form, IntegerForm):
        return pack_integers(IntegerRows.joined([integers_of(p).read() for p in parameters], join), form)
    return pack(join(parameters), form, quantization.group, quantization.scales_of_floats)


def pack_integers(rows: IntegerRows, form: IntegerForm) -> PackedMatrix:
    """As they are.  Raises _native.Error where `form` does not hold them."""
    n, k = rows.codes.shape
    group = form.group or k
    parts = (rows.codes, rows.scales, rows.minimums)
    codes, scales, minimums = (None if t is None else t.contiguous() for t in parts)
    data = _native.pack_integers(codes, scales, minimums, FORMATS[form.format], group, SCALES[form.scale])
    return _packed(data, form.format, n, k, group, form.minimum, form.scale, 0.0)


def _packed(data: bytes, format: str, n: int, k: int, group: int, minimum: bool, scale: str, error: float):
    name = f"{format} {n} {k} {group} {minimum} {scale}:"
    key = "rushlight.cpu." + hashlib.sha256(name.encode() + data).hexdigest()[:32]
    return PackedMatrix(key, data, FORMATS[format], n, k, group, minimum, SCALES[scale], error)


def pack(rows: torch.Tensor, format: str, group: int, scales: str | None = None) -> PackedMatrix:
    """Rows float32 [n, k].  Four-bit groups have the `scales` of Quantization; without them, floats where
    whole numbers would be clearly worse: where a row has a weight far beyond its others, or weights were on a
    grid of floats before.  Floats get a minimum where that halves the error.  Raises _native.Error where a
    weight is not finite."""
    rows = rows.detach().contiguous()
    n, k = rows.shape
    group = k if group == 0 or group >= k or format not in ("int8", "int4") else group

    def packed(rows: torch.Tensor, minimum: bool = False, scale: str = "bfloat16") -> tuple[bytes, float]:
        address, shape = rows.data_ptr(), rows.shape
        return _native.pack_weights(address, *shape, FORMATS[format], group, minimum, SCALES[scale])

    form = (False, "bfloat16")
    if format == "int4":
        sample = rows[:: max(n // 64, 1)].contiguous()
        levels, plain, grid = (True, "int8"), (False, "bfloat16"), (True, "bfloat16")
        has_levels = scales != "bfloat16" and group < k and group <= _MAX_LEVELS_GROUP
        if has_levels and scales == "int8":
            form = levels
        else:
            errors = {f: packed(sample, *f)[1] for f in ((levels,) if has_levels else ()) + (plain, grid)}
            form = levels if has_levels and errors[levels] <= 1.25 * errors[plain] else plain
            if errors[grid] < 0.5 * errors[form]:
                form = grid
    data, error = packed(rows, *form)
    minimum, scale = form
    return _packed(data, format, n, k, group, minimum, scale, error)


def stacked(tensors: list[torch.Tensor]) -> torch.Tensor:
    """Matrices [n, k], or vectors [n], below each other."""
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)


def interleaved(gate: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Two matrices [n, k], or vectors [n], panel by panel, each padded to whole panels."""
    parts = []
    for t in (gate, other):
        padding = -t.shape[0] % PANEL
        if padding:
            t = torch.cat([t, t.new_zeros(padding, *t.shape[1:])])
        parts.append(t.reshape(-1, PANEL, *t.shape[1:]))
    return torch.stack(parts, 1).reshape(-1, *gate.shape[1:])
