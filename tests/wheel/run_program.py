# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Runs make_program.py's program where the wheel is installed and PyTorch is not."""

import importlib.util
import sys

import numpy as np

import rushlight

assert importlib.util.find_spec("torch") is None, "this environment has torch"
program = rushlight.load(sys.argv[1])
for call in range(1, 4):
    x = np.arange(6, dtype=np.float32).reshape(-1, 3) * call
    result = program(x)
    assert np.array_equal(result["y"], 3 * x + 1), result
    assert result["calls"] == [call], result
try:
    program(np.zeros((9, 3), np.float32))
except Exception as error:
    assert "does not fit" in str(error), error
else:
    raise AssertionError("9 rows were taken, the most is 8")
try:
    rushlight.compile
except ImportError as error:
    assert "torch" in str(error), error
else:
    raise AssertionError("the compiler is there without torch")
print(f"rushlight {rushlight.__version__} runs without torch, from {rushlight.__file__}")
