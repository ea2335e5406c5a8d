# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What every claim is made of: a script in this folder whose `measure` yields Figures.

    if __name__ == "__main__":
        run(measure)

Run alone it prints them; bench/claims.py asks for them as JSON with --json FILE.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the table: a promise, what it must reach, what was measured."""

    promise: str
    bar: str
    measured: str
    ok: bool

    def __str__(self) -> str:
        return f"{'pass' if self.ok else 'FAIL'}  {self.promise}: {self.measured}  (bar: {self.bar})"


def run(measure: Callable[[], Iterator[Figure]]) -> None:
    """Prints the figures as they come; exits with 1 if one misses its bar."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--json", help="also writes the figures to this file, one a line")
    arguments = parser.parse_args()
    figures = []
    for figure in measure():
        print(figure, flush=True)
        figures.append(figure)
        if arguments.json:
            with open(arguments.json, "a", encoding="utf-8") as file:
                print(json.dumps(asdict(figure)), file=file)
    sys.exit(0 if figures and all(f.ok for f in figures) else 1)
