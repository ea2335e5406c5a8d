# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What repeats from run to run, against budgets that are checked in: instructions, memory, code.

Instructions are counted by callgrind, which runs a processor of its own with AVX2 at most, in a fixed
workload on one thread (workload.cc): loading a small int4 decoder, 32 tokens of prefill, 8 of decoding,
loading a tokenizer, encoding a text.  Memory is what that decoder asks for.  Code is .text and .rodata of
the command line, and of the smallest programs (tools/size).

  python3 tools/budgets/budgets.py             fails where a figure grew by more than 1 %
  python3 tools/budgets/budgets.py --update    writes the figures of now to budgets.json, to be committed

Compilers differ by more than that: under another one than that of budgets.json figures are only printed.
"""

import argparse
import json
import os
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/size"))

from size import TARGETS, code_bytes, load_and_run_bytes, run, section_bytes  # noqa: E402

BUDGETS = Path(__file__).with_name("budgets.json")
RELEASE = ROOT / "build/release"
WORKLOAD = RELEASE / "tools/budgets/budgets_workload"
COUNTED = ("load", "prefill", "decode", "tokenizer", "encode")
TOLERANCE = 0.01


def compiler() -> str:
    cache = (RELEASE / "CMakeCache.txt").read_text(encoding="utf-8")
    return run(re.search(r"CMAKE_CXX_COMPILER:\w+=(.*)", cache)[1], "--version").splitlines()[0]


def instructions(what: str) -> int:
    with tempfile.NamedTemporaryFile() as counts:
        run("valgrind", "--tool=callgrind", "--toggle-collect=Measured", f"--callgrind-out-file={counts.name}",
            WORKLOAD, what)  # fmt: skip
        text = Path(counts.name).read_text(encoding="utf-8")
    return int(re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)[1])


def measure() -> dict[str, int]:
    run("cmake", "--build", RELEASE, "--target", "budgets_workload", "rushlight_cli")
    figures = {f"instructions, {what}": instructions(what) for what in COUNTED}
    for line in run(WORKLOAD, "memory").splitlines():
        name, size = line.split()
        figures[f"memory, {name}"] = int(size)
    figures["code, rushlight"] = code_bytes(section_bytes("", RELEASE / "rushlight"))
    for target in TARGETS:
        figures[f"code, load and run, {target.name}"] = load_and_run_bytes(target)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true", help="write the figures of now to budgets.json")
    update = parser.parse_args().update
    os.environ["RUSHLIGHT_ISA"] = "avx2"
    figures, now = measure(), compiler()
    if update:
        text = json.dumps({"compiler": now, "figures": figures}, indent=2)
        BUDGETS.write_text(text + "\n", encoding="utf-8")
    kept = json.loads(BUDGETS.read_text(encoding="utf-8"))
    budgets = kept["figures"]
    grown = [name for name in figures if figures[name] > budgets.get(name, 0) * (1 + TOLERANCE)]
    for name, value in figures.items():
        budget = budgets.get(name, 0)
        change = f"{100 * (value / budget - 1):+.2f} %" if budget else "new"
        print(f"{name:<32}{value:>12,} of {budget:>12,}  {change}{'  GREW' if name in grown else ''}")
    if now != kept["compiler"]:
        print(f"budgets are for {kept['compiler']}, this is {now}: not compared")
    elif grown:
        sys.exit(f"grew by more than {TOLERANCE:.0%}: {'; '.join(grown)}\n"
                 "If it is worth that: python3 tools/budgets/budgets.py --update, and commit budgets.json")  # fmt: skip


if __name__ == "__main__":
    main()
