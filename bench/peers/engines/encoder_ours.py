# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Rushlight's own runtime, with a program of an encoder."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "bench/peers"), str(ROOT / "python")]

import rushlight  # noqa: E402
from adapter import Encoder, serve  # noqa: E402


class Engine:
    name = f"Rushlight {rushlight.__version__}"

    def __init__(self, model: str, threads: int):
        self.program = rushlight.load(model, threads=threads)

    def run(self, inputs):
        return self.program(*inputs)


if __name__ == "__main__":
    serve(Engine, Encoder)
