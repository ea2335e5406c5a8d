# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Decoding as a share of what memory allows: tokens a second, times the bytes that a token reads (all weights,
and the filled part of the cache), beside threads that only read as many bytes.  By turns; medians."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from environments import add_paths
from report import Figure, run

add_paths()
import runs  # noqa: E402
from shapes import SHAPES, Shape  # noqa: E402
from summary import Spread, turns  # noqa: E402

ROUNDS, TOKENS = 3, 64


@dataclass(frozen=True)
class Bar:
    form: str
    threads: int
    context: int
    share: float


SMOLLM2 = (
    Bar("int4", 1, 0, 0.85),
    Bar("int4", 2, 0, 0.70),
    Bar("int4", 1, 990, 0.85),
    Bar("int4", 2, 990, 0.85),
    Bar("int8", 1, 0, 0.85),
    Bar("bf16", 1, 0, 0.85),
)
# Within 10 % of these.
OTHERS = tuple(Bar(b.form, b.threads, b.context, 0.9 * b.share) for b in SMOLLM2 if b.form == "int4")


def figure(shape: Shape, program, bar: Bar) -> Figure:
    weights = runs.packed_bytes(program)
    read = weights + shape.cache_bytes(bar.context + TOKENS // 2)
    options = {"prompt_tokens": 0, "decode_tokens": TOKENS, "context": bar.context, "repeat": 2}
    rates, limits = [], []
    for order in turns(2, ROUNDS):
        for i in order:
            if i == 0:
                limits.append(runs.bandwidth(weights, bar.threads))
            else:
                found = runs.bench(program, bar.threads, **options)
                rates.append(found["decode_tokens_per_second"])
    share = Spread.of([rate * read / limit for rate, limit in zip(rates, limits, strict=True)])
    rate, limit = Spread.of(rates).median, Spread.of(limits).median
    return Figure(
        f"decoding, {shape.name} {bar.form} at {bar.context}, threads: {bar.threads}",
        f"{100 * bar.share:.3g} % of what reading gives",
        f"{share:.0%}: {rate:.1f} tokens/s, {read / 1e6:.1f} MB each; reading {limit / 1e9:.1f} GB/s",
        share.median >= bar.share,
    )


def measure() -> Iterator[Figure]:
    programs = {"int4": runs.smollm2_int4()}
    for bar in SMOLLM2:
        if bar.form not in programs:
            programs[bar.form] = runs.program(SHAPES[0], bar.form)
        yield figure(SHAPES[0], programs[bar.form], bar)


if __name__ == "__main__":
    run(measure)
