# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Rushlight's own runtime, with a program exported with --all-logits."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "bench/peers"), str(ROOT / "python")]

import numpy as np  # noqa: E402
import rushlight  # noqa: E402
from adapter import Scorer, serve  # noqa: E402


class Engine:
    name = f"Rushlight {rushlight.__version__}"

    def __init__(self, model: str, threads: int):
        self.program = rushlight.load(model, threads=threads)

    def logits(self, tokens):
        ids = np.array([tokens], np.int64)
        result = self.program.forward(ids, np.arange(len(tokens), dtype=np.int64))
        return np.asarray(result[0] if isinstance(result, (list, tuple)) else result)[0]


if __name__ == "__main__":
    serve(Engine, Scorer)
