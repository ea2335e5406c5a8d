#!/usr/bin/env python3
# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The deletion test: takes each check of the loader away, one at a time; some test must then fail.

    tests/hostile/deleted_checks.py          exit code 1, and a list, where a check is not missed

Builds into build/checks, with check_hook.h in front of the sources of src/program.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/checks"
TESTS = [BUILD / "program_test", BUILD / "tests/hostile/hostile_test"]


def build() -> None:
    hook = f"-include;{ROOT}/tests/hostile/check_hook.h"
    configure = ["cmake", "-S", ROOT, "-B", BUILD, "-G", "Ninja"]
    configure += [f"-DRUSHLIGHT_PROGRAM_OPTIONS={hook}", "-DRUSHLIGHT_BUILD_TOOLS=OFF"]
    subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
    targets = [test.name for test in TESTS]
    subprocess.run(["cmake", "--build", BUILD, "--target", *targets], check=True)


def checks(path: Path) -> list[tuple[int, int, str]]:
    """First line, last line and text of each check in a file."""
    text = path.read_text()
    found = []
    for match in re.finditer(r"\bRL_CHECK\(", text):
        end, depth = match.end(), 1
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        first = text.count("\n", 0, match.start()) + 1
        source = " ".join(text[match.start() : end].split())
        found.append((first, text.count("\n", 0, end) + 1, source))
    return found


def is_missed(off: str) -> bool:
    environment = {**os.environ, "RUSHLIGHT_CHECK_OFF": off}
    for test in TESTS:
        command = [test, "--gtest_brief=1", "--gtest_fail_fast"]
        try:
            run = subprocess.run(command, env=environment, capture_output=True, timeout=120)
        except subprocess.TimeoutExpired:
            return True
        if run.returncode != 0:
            return True
    return False


def main() -> int:
    build()
    assert not is_missed(""), "the tests fail as it is"
    survivors, total = [], 0
    for path in sorted((ROOT / "src/program").glob("*.*")):
        if path.suffix not in (".cc", ".h") or path.stem.endswith("_test"):
            continue
        for first, last, source in checks(path):
            total += 1
            if not is_missed(f"{path.name}:{first}-{last}"):
                survivors.append(f"{path.relative_to(ROOT)}:{first}: {source}")
    print(f"{total} checks, {len(survivors)} of them not missed by any test")
    print("\n".join(survivors))
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
