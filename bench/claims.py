# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Every promise, measured: runs the claims, prints one table, exits with 1 if one misses its bar.

    python bench/claims.py                     all; make claims
    python bench/claims.py --list              their names
    python bench/claims.py --only NAME ...     these

A claim is a script in bench/claims/ that can be run alone, or another tool of the project whose exit status
counts.  Times are compared with a peer's in the same run, never with a clock.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "bench/claims"
PYTHON = (
    os.path.relpath(sys.executable, ROOT) if Path(sys.executable).is_relative_to(ROOT) else sys.executable
)
sys.path.insert(0, str(HERE))

from report import Figure  # noqa: E402


@dataclass(frozen=True)
class Script:
    """bench/claims/NAME.py, which reports Figures."""

    name: str

    @property
    def command(self) -> str:
        return f"python bench/claims/{self.name}.py"

    def run(self) -> list[Figure]:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder, "figures")
            status = subprocess.run([sys.executable, HERE / f"{self.name}.py", "--json", report]).returncode
            lines = report.read_text(encoding="utf-8").splitlines() if report.exists() else []
        figures = [Figure(**json.loads(line)) for line in lines]
        if status != 0 and all(f.ok for f in figures):
            figures.append(Figure(self.name, "runs to its end", f"status {status}", False))
        return figures


@dataclass(frozen=True)
class Tool:
    """A command that keeps a promise by its exit status; its last line is what it measured."""

    name: str
    promise: str
    bar: str
    command: str

    def run(self) -> list[Figure]:
        command = self.command.replace("python ", f"{PYTHON} ")
        done = subprocess.run(["bash", "-c", command], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)  # fmt: skip
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        if done.returncode != 0:
            print("\n".join(lines[-40:]))
        figure = Figure(self.promise, self.bar, lines[-1] if lines else "done", done.returncode == 0)
        print(figure, flush=True)
        return [figure]


CLAIMS = (
    Tool(
        "demo",
        "SmolLM2 answers in the terminal",
        "names Paris",
        'build/release/rushlight chat build/models/smollm2-135m-instruct.pte -p "What is the capital of France?" '
        "| grep Paris",
    ),
    Script("export"),
    Script("accuracy"),
    Script("formats"),
    Script("greedy"),
    Tool(
        "programs",
        "models of all kinds compile, run and agree with eager",
        "all of them",
        "python -m pytest tests/programs_test.py",
    ),
    Script("interop"),
    Script("planning"),
    Script("memory"),
    Script("loading"),
    Script("compile_cost"),
    Script("decode"),
    Script("decode_shapes"),
    Script("products"),
    Script("step_profile"),
    Script("conversations"),
    Script("neighbours"),
    Script("first_token"),
    Script("peers"),
    Script("encoders"),
    Tool(
        "hostile",
        "damaged program files end in an Error or a normal run, under sanitizers",
        "0 findings in 200,000 mutants",
        "cmake --preset asan >/dev/null && cmake --build build/asan --target hostile >/dev/null && "
        "build/asan/tests/hostile/hostile --mutants 200000 --jobs 2",
    ),
    Tool(
        "validator",
        "branches of the validator that tests take",
        "95 %",
        "tests/hostile/coverage.sh",
    ),
    Tool(
        "deleted_checks",
        "checks of the loader that could be deleted without a test failing",
        "none",
        "python tests/hostile/deleted_checks.py",
    ),
    Tool("wheel", "the wheel where there is no torch", "runs", "tools/test.sh wheel"),
    Tool(
        "install",
        "projects that know only what is installed, in C++ and C",
        "build and run",
        "tools/test.sh install",
    ),
    Tool("size", "bytes of the runtime", "within their budgets", "python tools/size/size.py"),
    Tool("layers", "includes and imports point one way", "no exception", "python tools/check_layers.py"),
    Tool("aarch64", "the C++ tests on 64-bit Arm (qemu)", "all pass", "tools/test_aarch64.sh"),
)


def print_table(rows: list[tuple[str, Figure]]) -> None:
    """As Markdown, with columns aligned."""
    cells = [("promise", "bar", "measured", "command", "")]
    cells += [
        (f.promise, f.bar, f.measured, f"`{command}`", "pass" if f.ok else "**FAIL**") for command, f in rows
    ]
    cells = [tuple(c.replace("|", "\\|") for c in row) for row in cells]
    widths = [max(len(row[i]) for row in cells) for i in range(5)]
    cells.insert(1, tuple("-" * w for w in widths))
    for row in cells:
        print("| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [claim.name for claim in CLAIMS]
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, default=names)
    parser.add_argument("--list", action="store_true", help="print the names and commands")
    arguments = parser.parse_args()
    if arguments.list:
        for claim in CLAIMS:
            print(f"{claim.name:14} {claim.command}")
        return 0
    rows = []
    for claim in CLAIMS:
        if claim.name in arguments.only:
            print(f"\n==> {claim.name}: {claim.command}", flush=True)
            rows += [(claim.command, figure) for figure in claim.run()]
    print()
    print_table(rows)
    missed = sum(not figure.ok for _, figure in rows)
    print(f"\n{len(rows) - missed} of {len(rows)} hold")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
