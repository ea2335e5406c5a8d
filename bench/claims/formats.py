# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What int8 and int4 cost SmolLM2 (bench/accuracy.py), and that the file of the claims on int4 has the weights that were
measured there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from environments import BUILD, ROOT, add_paths
from report import Figure, run

add_paths()
import runs  # noqa: E402
from shapes import MODELS  # noqa: E402

FORM = "int4-scales-int8"


def weights(path) -> set[str]:
    """Names of packed weights, which are made of what they hold."""
    import rushlight

    return {name for name in rushlight.load(str(path)).named_data if name.startswith("rushlight.cpu.")}


def measure() -> Iterator[Figure]:
    subprocess.run([ROOT / "tools/setup.sh", "bench-llamacpp"], check=True)
    output, program = BUILD / "accuracy.json", runs.smollm2_int4()
    command = [sys.executable, ROOT / "bench/accuracy.py", "--formats", "int8", FORM, "--output", output]
    subprocess.run(command, check=True)
    for promise in json.loads(output.read_text(encoding="utf-8"))["promises"]:
        yield Figure(**promise)
    measured = weights(MODELS / f"smollm2-{FORM}-all-logits.pte")
    yield Figure(
        f"weights of SmolLM2 int4 ({runs.digest(program)}) that the accuracy of int4 was measured with",
        "all",
        f"{len(weights(program) & measured)} of {len(weights(program))}",
        weights(program) <= measured,
    )


if __name__ == "__main__":
    run(measure)
