# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What compiling SmolLM2 costs, beside stock ExecuTorch: CPU time (user and system, all threads, one
thread allowed), runs of the two by turns, medians; and the peak of memory.

    python bench/claims/compile_cost.py
    python bench/claims/compile_cost.py --ours OUTPUT     one run of ours; prints JSON
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from collections.abc import Iterator

from environments import add_paths, cpu_seconds, peak_rss_bytes, run_child, run_peer
from report import Figure, run

ROUNDS = 3
WEIGHT_BYTES = 134_515_008 * 4


def ours(output: str) -> None:
    """GGUF to a program file, as `rushlight export` does it."""
    add_paths()
    import models
    from real_models import smollm2_path
    from rushlight.transformers.loading import load_text_model
    from rushlight.transformers.text_generation import compile_text_generation

    begin = {}
    model, assets = load_text_model(smollm2_path())
    program = compile_text_generation(
        model,
        assets=assets,
        max_context_len=models.CONTEXT,
        max_seq_len=models.TOKENS,
        backend="portable",
        progress=lambda what: begin.__setitem__(what, cpu_seconds()),
    )
    program.save(output)
    print(json.dumps({"cpu_seconds": cpu_seconds() - begin["lowering"], "peak": peak_rss_bytes()}))


def measure() -> Iterator[Figure]:
    from environments import BUILD

    BUILD.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    mine, stocks = [], []
    for _ in range(ROUNDS):
        mine.append(run_child([sys.executable, __file__, "--ours", BUILD / "cost.pte"]))
        stocks.append(run_peer("stock.py", "cost", BUILD / "stock-cost.pte"))
    for what, most, seconds in (
        ("ExportedProgram to file", 1 / 4, lambda u: u.answer["cpu_seconds"]),
        ("GGUF to file, whole process", 1 / 2, lambda u: u.cpu_seconds),
    ):
        us, them = (statistics.median(map(seconds, runs)) for runs in (mine, stocks))
        yield Figure(
            f"CPU time of compiling SmolLM2: {what}",
            f"at most {most:g} of stock's",
            f"{us:.1f} s; stock {them:.1f} s; {us / them:.2f}",
            us <= most * them,
        )
    peak = max(u.answer["peak"] for u in mine)
    stock_peak = stocks[0].answer["peak"]
    yield Figure(
        "peak memory of compiling SmolLM2",
        "at most 4 × its fp32 weights",
        f"{peak / 1e6:,.0f} MB, {peak / WEIGHT_BYTES:.2f} × (stock {stock_peak / 1e6:,.0f} MB)",
        peak <= 4 * WEIGHT_BYTES,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ours"]:
        ours(sys.argv[2])
    else:
        run(measure)
