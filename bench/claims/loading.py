# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Loading does not grow with the model: programs of 50 MB, 540 MB and 4 GB that differ in nothing but the
size of their weights (sparse files, made here), loaded with their method, by turns in one process."""

from __future__ import annotations

from collections.abc import Iterator

from environments import BUILD, ROOT, run_child
from report import Figure, run

BENCH = ROOT / "build/release/load_bench"
SIZES = (50_000_000, 540_000_000, 4_000_000_000)
GROWTH = 1_000_000


def measure() -> Iterator[Figure]:
    BUILD.mkdir(parents=True, exist_ok=True)
    programs = [BUILD / f"table-{size}.pte" for size in SIZES]
    for size, path in zip(SIZES, programs, strict=True):
        run_child([BENCH, "make", size, path])
    lines = [line.split() for line in run_child([BENCH, "time", *programs]).output.splitlines()]
    for path in programs:
        path.unlink()
    times = [float(milliseconds) for _, milliseconds, _ in lines]
    growth = [int(b) for _, _, b in lines]
    yield Figure(
        "time to load 50 MB, 540 MB and 4 GB",
        "within 2 ms of each other",
        ", ".join(f"{t:.3f} ms" for t in times),
        max(times) - min(times) <= 2,
    )
    yield Figure(
        "file pages resident after loading them",
        f"at most {GROWTH / 1e6:g} MB more, whatever the size",
        ", ".join(f"{b / 1e3:,.0f} kB" for b in growth),
        max(growth) <= GROWTH,
    )


if __name__ == "__main__":
    run(measure)
