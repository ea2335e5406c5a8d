# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""MiniLM and BERT-base beside other runtimes (bench/peers/encoders.py), in three formats."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator

from environments import BUILD, ROOT, add_paths
from report import Figure, run

add_paths()
from summary import ratios  # noqa: E402

ROUNDS = 3
CASES = ("MiniLM", "BERT-base 128")
# Format, what the peers' labels begin with, how many times as fast as the fastest of them.
BARS = (
    ("fp32", "OpenVINO", 1.0),
    ("fp32", "ONNX Runtime", 1.3),
    ("bf16", "OpenVINO", 1.0),
    ("int8", "", 1.2),
)


def measure() -> Iterator[Figure]:
    subprocess.run([ROOT / "tools/setup.sh", "bench-peers"], check=True)
    output = BUILD / "encoders.json"
    command = [sys.executable, ROOT / "bench/peers/encoders.py", "--only", *CASES, "--rounds", str(ROUNDS)]
    subprocess.run([*command, "--output", output], check=True)
    for group in json.loads(output.read_text(encoding="utf-8")):
        for form, begin, bar in BARS:
            for case, found in group["cases"].items() if form == group["format"] else ():
                seconds = {label: of["seconds"] for label, of in found.items()}
                ours = seconds.pop("Rushlight")
                peers = {label: s for label, s in seconds.items() if label.startswith(begin)}
                fastest = min(peers, key=lambda label: statistics.median(peers[label]))
                times = ratios(peers[fastest], ours)
                yield Figure(
                    f"{case} {form} beside {begin or 'all peers'}, threads: {group['threads']}",
                    f"{bar:g} x the fastest",
                    f"{times:.2f} x {fastest}; {1e3 * statistics.median(ours):.2f} ms, "
                    f"{found['Rushlight']['of_peak']:.0%} of the peak",
                    times.median >= bar,
                )


if __name__ == "__main__":
    run(measure)
