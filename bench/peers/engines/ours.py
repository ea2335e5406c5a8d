# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Rushlight's own runtime, with a program that `rushlight export` wrote."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "bench/peers"), str(ROOT / "python")]

from adapter import serve  # noqa: E402
from rushlight import __version__, _native  # noqa: E402


class Engine:
    name = f"Rushlight {__version__}"

    def __init__(self, model: str, threads: int):
        self.session = _native.Engine.load(model, threads=threads).session()

    def feed(self, tokens):
        return self.session.feed(tokens)

    def rewind(self, position):
        self.session.rewind(position)


if __name__ == "__main__":
    serve(Engine)
