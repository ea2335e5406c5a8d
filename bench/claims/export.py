# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What `rushlight export --quantize int4 --scales int8` of SmolLM2 costs.  The file it writes is the one of all claims on SmolLM2
in 4 bits: its digest tells."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from environments import ROOT, add_paths, run_child
from report import Figure, run

add_paths()
import runs  # noqa: E402
from shapes import SHAPES  # noqa: E402


def measure() -> Iterator[Figure]:
    target = runs.SMOLLM2_INT4
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "rushlight", "export", "--model", SHAPES[0].source()]
    command += ["--task", "text-generation", "--quantize", "int4", *runs.INT4_OPTIONS, "-o", target]
    used = run_child(command, {"PYTHONPATH": str(ROOT / "python")})
    yield Figure(
        "CPU time of rushlight export --quantize int4 --scales int8, SmolLM2, to the file of the claims on int4",
        "60 s",
        f"{used.cpu_seconds:.1f} s; {target.stat().st_size / 1e6:.1f} MB, SHA-256 {runs.digest(target)}",
        used.cpu_seconds <= 60,
    )


if __name__ == "__main__":
    run(measure)
