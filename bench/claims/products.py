# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Products of 128 and 512 rows as a share of what registers give at the same moment, one thread; the (n, k) of
three models.  Medians of several runs of packed_bench; the worst shape is what counts."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator

from environments import ROOT, add_paths, run_child
from report import Figure, run

add_paths()
from summary import Spread  # noqa: E402

BENCH = ROOT / "build/release/packed_bench"
RUNS = 3
BARS = {"f32": 0.85, "bf16": 0.75, "u8": 0.70}
TILES = {"u8": 0.50}  # of AMX's peak


def shares_of(isa: str, bars: dict[str, float]) -> Iterator[Figure]:
    """Of an instruction set that the CPU has, or is capped at."""
    shares, peaks = defaultdict(list), defaultdict(list)
    for _ in range(RUNS):
        for of in json.loads(run_child([BENCH, "--json", *bars], {"RUSHLIGHT_ISA": isa}).output):
            if of["m"] > 1:
                shares[of["format"], of["m"], f"{of['model']} {of['what']}"].append(of["of_peak"])
                peaks[of["format"]].append(of["peak_gops"])
    for form, bar in bars.items():
        for m in sorted({m for _, m, _ in shares}):
            found = {shape: Spread.of(s) for (f, rows, shape), s in shares.items() if (f, rows) == (form, m)}
            worst, best = (choose(found, key=lambda s: found[s].median) for choose in (min, max))
            yield Figure(
                f"products of {m} rows, {form}, {isa}",
                f"{bar:.0%} of the peak at every shape",
                f"{found[worst]:.0%} ({worst}) to {found[best].median:.0%} ({best}); "
                f"peak {Spread.of(peaks[form]).median:.0f} GOPS",
                found[worst].median >= bar,
            )


def measure() -> Iterator[Figure]:
    isa = json.loads(run_child([BENCH, "--peaks"]).output)["isa"]
    if isa != "amx":
        yield from shares_of(isa, BARS)
        return
    yield from shares_of(isa, BARS | TILES)
    yield from shares_of("avx512vnni", {"u8": BARS["u8"]})


if __name__ == "__main__":
    run(measure)
