# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""A matrix as most formats quantize it: integers, with a scale and a zero point for each group of inputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rushlight.delegates.cpu.weights import IntegerForm, IntegerRows


@dataclass(frozen=True)
class Grid:
    """Weights scale * (code - zero)."""

    bits: int  # of a code
    codes: torch.Tensor  # uint8 [n, k]
    scales: torch.Tensor  # floats [n, groups]
    zeros: torch.Tensor  # integers [n, groups]
    group: int  # inputs that share a scale
    group_of: torch.Tensor  # [k]: which scale an input has

    def values(self) -> torch.Tensor:
        """float32 [n, k]"""
        values = self.codes.float() - self.zeros.float()[:, self.group_of]
        return values.mul_(self.scales.float()[:, self.group_of])

    def integers(self) -> tuple[IntegerForm, IntegerRows] | None:
        """As the CPU delegate packs them; None where groups are too small or not in order."""
        inputs = self.codes.shape[1]
        if not torch.equal(self.group_of, torch.arange(inputs) // self.group):
            return None
        if self.group < inputs and self.group % 16 != 0:
            return None
        format, half = ("int4", 8) if self.bits <= 4 else ("int8", 128)
        scales, zeros = self.scales.float(), self.zeros.int()
        zero = int(zeros.flatten()[0])
        if bool((zeros == zero).all()) and 2**self.bits - half <= zero <= half:
            shift, minimums = zero, None
        else:
            shift = 0 if format == "int4" else half
            minimums = scales * (shift - zeros)
        rows = IntegerRows((self.codes.to(torch.int16) - shift).to(torch.int8), scales, minimums)
        group = self.group if self.group < inputs else 0
        return IntegerForm(format, group, _type_of(scales, minimums), minimums is not None), rows


def _type_of(*numbers: torch.Tensor | None) -> str:
    """The smallest type that holds all of them exactly."""
    for name in ("bfloat16", "float16"):
        if all(n is None or torch.equal(n.to(getattr(torch, name)).float(), n) for n in numbers):
            return name
    return "float32"
