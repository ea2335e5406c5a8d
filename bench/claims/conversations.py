# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Eight conversations decoded at once beside one, SmolLM2 in int4 at a context of 512.  That each answers as it
would alone is a test: delegates/cpu/cpu_test.py."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from environments import add_paths
from report import Figure, run

add_paths()
import runs  # noqa: E402

BATCH = 8
ROUNDS = 5


def tokens_per_second(program, threads: int, batch: int) -> float:
    options = {"prompt_tokens": 0, "context": 512, "batch": batch, "repeat": 2}
    return runs.bench(program, threads, **options)["decode_tokens_per_second"]


def measure() -> Iterator[Figure]:
    program = runs.smollm2_int4()
    for threads in (1, 2):
        ratios = []
        for i in range(ROUNDS):
            order = (1, BATCH) if i % 2 == 0 else (BATCH, 1)
            rate = {batch: tokens_per_second(program, threads, batch) for batch in order}
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
