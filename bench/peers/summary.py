# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What is said about a series of runs: medians, and quartiles of ratios between runs that were neighbours."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    low: float  # lower quartile
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        return cls(*statistics.quantiles(values, n=4, method="inclusive"))

    def __format__(self, form: str) -> str:
        """The median, with the quartiles in brackets, each in that format."""
        return f"{self.median:{form}} ({self.low:{form}}–{self.high:{form}})"


def turns(count: int, rounds: int) -> Iterator[range]:
    """The order of `count` engines in each pass: forward, backward, ... so that a drift of the machine
    falls on all of them alike.  For two engines this is ABBA."""
    for _ in range(rounds):
        yield range(count)
        yield range(count)[::-1]


def ratios(seconds: Sequence[float], reference: Sequence[float]) -> Spread:
    """How many times as fast the reference is: pass by pass."""
    return Spread.of([a / b for a, b in zip(seconds, reference, strict=True)])


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned Markdown; the first is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows = [rows[0], ["-" * w for w in widths], *rows[1:]]
    return "\n".join(
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows
    )
