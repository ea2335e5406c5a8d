# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Loading does not grow with the model: programs of 50 MB, 540 MB and 4 GB that differ in nothing but the
size of their weights (sparse files, made here), loaded with their method, by turns in one process.  Then a program of
the shape of Llama-3.2-1B in int4: the time, what loading does, and the peak of memory of running it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from environments import BUILD, ROOT, add_paths, run_child
from report import Figure, run
from sampling import samples

add_paths()
import runs  # noqa: E402
from shapes import SHAPES  # noqa: E402
from summary import Spread  # noqa: E402

BENCH = ROOT / "build/release/load_bench"
SIZES = (50_000_000, 540_000_000, 4_000_000_000)
GROWTH = 1_000_000
MOST_MS, MOST_BESIDE = 20, 12_000_000
RUSHLIGHT = ROOT / "build/release/rushlight"


def load(programs) -> list[tuple[float, int]]:
    """Milliseconds, and bytes of the file that are resident afterwards."""
    lines = [line.split() for line in run_child([BENCH, "time", *programs]).output.splitlines()]
    return [(float(milliseconds), int(grown)) for _, milliseconds, grown in lines]


def large() -> Iterator[Figure]:
    shape = next(s for s in SHAPES if s.name == "Llama-3.2-1B")
    program = runs.program(shape, "int4")
    size = program.stat().st_size
    ((milliseconds, grown),) = load([program])
    yield Figure(
        f"time to load {shape.name} in int4, {size / 1e6:.0f} MB, no tokenizer",
        f"{MOST_MS} ms",
        f"{milliseconds:.2f} ms",
        milliseconds <= MOST_MS,
    )
    loads = [
        runs.bench(runs.smollm2_int4(), 1, prompt_tokens=1, decode_tokens=0, repeat=1)["load_ms"]
        for _ in range(9)
    ]
    yield Figure(
        "time to load SmolLM2 in int4 as a language model, tokenizer and template included, in a new process",
        f"{MOST_MS} ms",
        f"{Spread.of(loads):.1f} ms",
        Spread.of(loads).median <= MOST_MS,
    )
    profile = samples([BENCH, "time", program])
    packing = sum(n for name, n in profile.items() if re.search(r"kernels::.*(Pack|Matmul)", name))
    yield Figure(
        f"packing while {shape.name} is loaded",
        f"no sample in a function that packs; at most {GROWTH / 1e6:g} MB of the file read",
        f"{packing} of {sum(profile.values())} samples; {grown / 1e3:,.0f} kB",
        packing == 0 and grown <= GROWTH,
    )
    # Its cache grows with the context, so that what is planned depends on how much is used.
    said = run_child([RUSHLIGHT, "inspect", program, "--state", 1, "--threads", 1]).output
    planned = sum(map(arena_bytes, re.findall(r"(?:activations|state) ([\d.]+ \w+)", said)))
    planned += sum(map(int, re.findall(r"scratch: (\d+)", said)))
    full = runs.bench(program, 1, prompt_tokens=0, decode_tokens=16, context=2032, repeat=1)
    yield Figure(
        f"peak memory of {shape.name}, 2,048 tokens",
        "file + planned arenas + 12 MB",
        f"{full['peak_rss_bytes'] / 1e6:.1f} MB; {size / 1e6:.1f} + {planned / 1e6:.1f} MB",
        full["peak_rss_bytes"] <= size + planned + MOST_BESIDE,
    )
    program.unlink()


def arena_bytes(text: str) -> float:
    number, unit = text.split()
    return float(number) * {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]


def measure() -> Iterator[Figure]:
    BUILD.mkdir(parents=True, exist_ok=True)
    programs = [BUILD / f"table-{size}.pte" for size in SIZES]
    for size, path in zip(SIZES, programs, strict=True):
        run_child([BENCH, "make", size, path])
    times, growth = zip(*load(programs), strict=True)
    for path in programs:
        path.unlink()
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
    yield from large()


if __name__ == "__main__":
    run(measure)
