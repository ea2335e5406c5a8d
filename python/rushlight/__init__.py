# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Rushlight: compiles PyTorch and Transformers models ahead of time, and runs the files anywhere.

    program = rushlight.compile(model, (x,)); program.save("model.pte")
    y = rushlight.load("model.pte")(x)

Loading and running need no PyTorch; it is imported by the first name that compiles.
"""

from __future__ import annotations

import importlib

from rushlight.runtime import Error, LoadedProgram, load

__version__ = "0.1.0"

# Names that need PyTorch, and where they are.
_COMPILER = {
    "compile": "rushlight.compiler",
    "explain": "rushlight.compiler",
    "CompileError": "rushlight.obstacles",
    "Obstacle": "rushlight.obstacles",
    "to_edge": "rushlight.program",
    "to_edge_transform_and_lower": "rushlight.program",
    "EdgeCompileConfig": "rushlight.program",
    "EdgeProgramManager": "rushlight.program",
    "ExecutorchBackendConfig": "rushlight.program",
    "ExecutorchProgramManager": "rushlight.program",
    "MemoryPlanningPass": "rushlight.program",
    "MemoryPlan": "rushlight.memory.planning",
    "PlanRequest": "rushlight.memory.planning",
    "BackendDetails": "rushlight.delegates.backend",
    "CompileSpec": "rushlight.delegates.backend",
    "NamedData": "rushlight.delegates.backend",
    "PreprocessResult": "rushlight.delegates.backend",
    "DelegationSpec": "rushlight.delegates.partitioner",
    "Partitioner": "rushlight.delegates.partitioner",
    "PartitionResult": "rushlight.delegates.partitioner",
    "Pass": "rushlight.passes.base",
    "PassResult": "rushlight.passes.base",
}

__all__ = ["Error", "LoadedProgram", "load", *_COMPILER]


def __getattr__(name: str):
    if name in _COMPILER:
        value = getattr(importlib.import_module(_COMPILER[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'rushlight' has no attribute {name!r}")
