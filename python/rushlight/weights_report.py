# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What storing weights in fewer bits lost, in lines."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from rushlight.delegates.backend import StoredWeights


def error_of(weights: Iterable[StoredWeights]) -> float:
    """Of several matrices: the root mean square of their errors, by the numbers they hold."""
    weights = list(weights)
    numbers = sum(w.numbers for w in weights)
    return math.sqrt(sum(w.numbers * w.error**2 for w in weights) / numbers) if numbers else 0.0


def layer_of(name: str) -> str:
    """The numbered layer that a parameter belongs to ("model.layers.3"), or its module."""
    layer = re.match(r"(.*?\.\d+)\.", name)
    return layer[1] if layer else name.rpartition(".")[0] or name


def report(weights: Iterable[StoredWeights]) -> list[str]:
    """A line for each layer, with the matrix that lost most, and one for all; nothing where no weight
    differs from what it was."""
    weights = list(weights)
    if not any(w.error > 0 for w in weights):
        return []
    layers: dict[str, list[StoredWeights]] = {}
    for w in weights:
        layers.setdefault(layer_of(w.names[0]), []).append(w)
    width = max(map(len, layers))
    lines = [f"{'error of weights':{width}}   {_percent(error_of(weights))}   {_size(weights)}"]
    for layer, parts in layers.items():
        worst = max(parts, key=lambda w: w.error)
        detail = f", most in {_short(worst, layer)} {_percent(worst.error)}"
        detail = detail if len(parts) > 1 and worst.error > 0 else ""
        formats = ", ".join(dict.fromkeys(w.format for w in parts))
        lines.append(f"{layer:{width}}   {_percent(error_of(parts))}   {formats}{detail}")
    return lines


def _short(weights: StoredWeights, layer: str) -> str:
    names = [n.removeprefix(layer + ".").removesuffix(".weight") for n in weights.names]
    return " + ".join(names)


def _percent(error: float) -> str:
    return f"{100 * error:5.2f} %"


def _size(weights: list[StoredWeights]) -> str:
    stored, numbers = sum(w.stored_bytes for w in weights), sum(w.numbers for w in weights)
    return f"{stored / 1e6:.1f} MB, {8 * stored / numbers:.2f} bits a weight"
