# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Two threads beside one, SmolLM2 in int4: alone; while another program keeps the last CPU busy, with a loop, then
with a stream through memory.  Runs of the two by turns; medians of the ratios."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from environments import add_paths
from report import Figure, run

add_paths()
import runs  # noqa: E402

ROUNDS = 5
# Code of the neighbour, and how many times as fast as one two threads have to be.
NEIGHBOURS = {
    "": ("", {"prefill": 1.7, "decode": 1.5}),
    "a busy loop": ("while True: pass", {"prefill": 0.9, "decode": 0.9}),
    "a stream through memory": (
        "a = bytearray(1 << 27)\nb = bytearray(1 << 27)\nwhile True: b[:] = a",
        {"prefill": 0.9, "decode": 0.9},
    ),
}


@contextmanager
def neighbour(code: str):
    if not code:
        yield
        return
    cpu = max(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{cpu}])\n{code}"
    child = subprocess.Popen([sys.executable, "-c", code])
    try:
        yield
    finally:
        child.kill()
        child.wait()


def tokens_per_second(program, threads: int) -> dict[str, float]:
    answer = runs.bench(program, threads, prompt_tokens=128, decode_tokens=64, repeat=2)
    return {what: answer[f"{what}_tokens_per_second"] for what in ("decode", "prefill")}


def measure() -> Iterator[Figure]:
    program = runs.smollm2_int4()
    for name, (code, bars) in NEIGHBOURS.items():
        ratios = {"decode": [], "prefill": []}
        with neighbour(code):
            for i in range(ROUNDS):
                order = (1, 2) if i % 2 == 0 else (2, 1)
                rates = {threads: tokens_per_second(program, threads) for threads in order}
                for what, values in ratios.items():
                    values.append(rates[2][what] / rates[1][what])
        for what, values in ratios.items():
            median = statistics.median(values)
            yield Figure(
                f"two threads beside one, {what}" + (f", with {name} on one CPU" if name else ""),
                f"{bars[what]} x",
                f"{median:.2f} x ({min(values):.2f} to {max(values):.2f})",
                median >= bars[what],
            )


if __name__ == "__main__":
    run(measure)
