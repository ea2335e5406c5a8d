# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""SmolLM2 in int4 beside other runtimes (bench/peers/run.py): medians of ratios of neighbouring runs, to the fastest of
the peers that a bar names, whatever its setting."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from environments import BUILD, ROOT, add_paths
from report import Figure, run

add_paths()
import runs  # noqa: E402
from shapes import SHAPES  # noqa: E402
from summary import ratios  # noqa: E402

ROUNDS = 3


@dataclass(frozen=True)
class Bar:
    case: str
    peers: str  # what their labels begin with
    times: dict[str, float]  # by threads


def both(times: float) -> dict[str, float]:
    return {"1": times, "2": times}


BARS = (
    Bar("decode at 0", "llama.cpp Q4", {"1": 2.1, "2": 3.0}),
    Bar("decode at 0", "ExecuTorch", {"1": 1.7, "2": 2.0}),
    Bar("decode at 990", "ExecuTorch", both(3.0)),
    Bar("prefill 128", "", both(2.0)),
    Bar("prefill 512", "", both(2.5)),
)


def compare(program: Path, bars: Sequence[Bar], *options: str) -> Iterator[Figure]:
    output = BUILD / "peers.json"
    command = [sys.executable, ROOT / "bench/peers/run.py", "--ours", program, "--rounds", str(ROUNDS)]
    subprocess.run([*command, "--output", output, *options], check=True)
    report = json.loads(output.read_text(encoding="utf-8"))
    for threads, result in report["threads"].items():
        for bar in bars:
            seconds = dict(result["seconds"][bar.case])
            ours = seconds.pop("Rushlight")
            peers = {label: s for label, s in seconds.items() if label.startswith(bar.peers)}
            fastest = min(peers, key=lambda label: statistics.median(peers[label]))
            times = ratios(peers[fastest], ours)
            yield Figure(
                f"{program.stem} ({runs.digest(program)}), {bar.case}, beside {bar.peers or 'all peers'}, "
                f"threads: {threads}",
                f"{bar.times[threads]:g} x the fastest",
                f"{times:.2f} x {fastest}",
                times.median >= bar.times[threads],
            )


def measure() -> Iterator[Figure]:
    subprocess.run([ROOT / "tools/setup.sh", "bench-peers"], check=True)
    yield from compare(runs.smollm2_int4(), BARS)
    # Its cache has 32 bits.
    wide = runs.program(SHAPES[0], "int4", "--kv-cache", "fp32")
    yield from compare(wide, [Bar("decode at 990", "ExecuTorch", both(1.0))], "--only", "ExecuTorch")


if __name__ == "__main__":
    run(measure)
