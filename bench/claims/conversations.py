# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Eight conversations decoded at once beside one, SmolLM2 in int4 at a context of 512; and what compiling it
took.  That each answers as it would alone is a test: delegates/cpu/cpu_test.py."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator

from environments import ROOT, add_paths, run_child
from report import Figure, run

add_paths()
import models  # noqa: E402

RUSHLIGHT = ROOT / "build/release/rushlight"
BATCH = 8
ROUNDS = 5


def tokens_per_second(program, batch: int, threads: int) -> float:
    command = [RUSHLIGHT, "bench", program, "--json", "--prompt-tokens", 0, "--context", 512]
    command += ["--batch", batch, "--threads", threads, "--repeat", 2]
    return json.loads(run_child(command).output)["decode_tokens_per_second"]


def measure() -> Iterator[Figure]:
    from real_models import smollm2_path

    program = models.output_path("smollm2-int4.pte")
    used = run_child(
        [sys.executable, "-m", "rushlight", "export", "--model", smollm2_path(), "--quantize", "int4"]
        + ["-o", program],
        {"PYTHONPATH": str(ROOT / "python")},
    )
    yield Figure(
        "CPU time of rushlight export --quantize int4, SmolLM2",
        "60 s",
        f"{used.cpu_seconds:.1f} s, {program.stat().st_size / 1e6:.1f} MB",
        used.cpu_seconds <= 60,
    )
    for threads in (1, 2):
        ratios = []
        for i in range(ROUNDS):
            order = (1, BATCH) if i % 2 == 0 else (BATCH, 1)
            rate = {batch: tokens_per_second(program, batch, threads) for batch in order}
            ratios.append(rate[BATCH] / rate[1])
        median = statistics.median(ratios)
        yield Figure(
            f"{BATCH} conversations beside one, decoded at context 512, threads: {threads}",
            "3 x",
            f"{median:.2f} x ({min(ratios):.2f} to {max(ratios):.2f})",
            median >= 3,
        )


if __name__ == "__main__":
    run(measure)
