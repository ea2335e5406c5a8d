# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Planned memory beside stock ExecuTorch's, for the same exported programs with the same bounds, inputs
and outputs planned by both; and beside what no plan can go below."""

from __future__ import annotations

from collections.abc import Iterator

import models
from environments import run_peer
from report import Figure, run


def measure() -> Iterator[Figure]:
    import rushlight

    for model in (*models.REAL, *models.SMALL):
        program = rushlight.compile(model.export(), backend="portable")
        memory = program.memory["forward"]
        ours, bound = sum(memory.planned), sum(memory.lower_bound)
        output = models.output_path(f"stock-{model.name.replace(' ', '-')}.pte")
        theirs = sum(run_peer("stock.py", "compile", model.name, output).answer["planned"])
        output.unlink()
        yield Figure(
            f"planned bytes of {model.name}",
            "at most stock's, and 5 % above the lower bound",
            f"{ours:,}; stock {theirs:,}; lower bound {bound:,} (+{100 * (ours / bound - 1):.1f} %)",
            ours <= theirs and ours <= 1.05 * bound,
        )


if __name__ == "__main__":
    run(measure)
