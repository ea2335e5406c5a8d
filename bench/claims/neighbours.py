# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Two threads beside one, SmolLM2 in int4, while another program keeps the last CPU busy: with a loop, then
with a stream through memory.  Runs of the two by turns; medians of the ratios."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from environments import ROOT, add_paths, run_child
from report import Figure, run

add_paths()
import models  # noqa: E402

RUSHLIGHT = ROOT / "build/release/rushlight"
ROUNDS = 5
NEIGHBOURS = {
    "a busy loop": "while True: pass",
    "a stream through memory": "a = bytearray(1 << 27)\nb = bytearray(1 << 27)\nwhile True: b[:] = a",
}


@contextmanager
def neighbour(code: str):
    cpu = max(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{cpu}])\n{code}"
    child = subprocess.Popen([sys.executable, "-c", code])
    try:
        yield
    finally:
        child.kill()
        child.wait()


def tokens_per_second(program, threads: int) -> dict[str, float]:
    command = [RUSHLIGHT, "bench", program, "--json", "--prompt-tokens", 128, "--decode-tokens", 64]
    answer = json.loads(run_child([*command, "--threads", threads, "--repeat", 2]).output)
    return {what: answer[f"{what}_tokens_per_second"] for what in ("decode", "prefill")}


def measure() -> Iterator[Figure]:
    from real_models import smollm2_path

    program = models.output_path("smollm2-int4.pte")
    run_child(
        [sys.executable, "-m", "rushlight", "export", "--model", smollm2_path(), "--quantize", "int4"]
        + ["-o", program],
        {"PYTHONPATH": str(ROOT / "python")},
    )
    for name, code in NEIGHBOURS.items():
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
                f"two threads beside one, {what}, with {name} on one CPU",
                "0.9 x",
                f"{median:.2f} x ({min(values):.2f} to {max(values):.2f})",
                median >= 0.9,
            )


if __name__ == "__main__":
    run(measure)
