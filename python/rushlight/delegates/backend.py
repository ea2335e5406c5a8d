# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What a delegate brings to the compiler.

    class MyBackend(BackendDetails):
        @staticmethod
        def preprocess(edge_program, compile_specs):
            return PreprocessResult(processed_bytes=b"...")

The payload comes back at run time, in the delegate of the same name (include/rushlight/delegate.h).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch.export import ExportedProgram


@dataclass(frozen=True)
class CompileSpec:
    """An option that travels with the payload: a name and bytes."""

    key: str
    value: bytes


@dataclass
class NamedData:
    """Bytes that the runtime hands to delegates by key; equal bytes are stored once."""

    key: str
    data: bytes
    alignment: int = 64


@dataclass(frozen=True)
class StoredWeights:
    """Parameters as a delegate stored them.  `error`: root mean square of what they differ by from the
    float weights, relative to that of the weights."""

    names: tuple[str, ...]
    format: str
    numbers: int
    stored_bytes: int
    error: float


@dataclass
class PreprocessResult:
    """What `preprocess` returns.  `debug_handle_map`: a delegate's own ids to the debug handles of the
    nodes they stand for.  `weights`: what became of them, for reports."""

    processed_bytes: bytes = b""
    debug_handle_map: dict[int, tuple[int, ...]] | None = None
    named_data: list[NamedData] = field(default_factory=list)
    weights: list[StoredWeights] = field(default_factory=list)


class BackendDetails:
    """A compiler for the parts of a program that a partitioner gave it.  Its name is the class's
    name; the methods are static."""

    @staticmethod
    def preprocess(edge_program: ExportedProgram, compile_specs: list[CompileSpec]) -> PreprocessResult:
        """Compiles one partition.  Its inputs and outputs are those of the delegate call, in order;
        the constants it took are in its state_dict.  Raise to refuse."""
        raise NotImplementedError


class LoweredBackendModule(torch.nn.Module):
    """A compiled partition, in place of the nodes it replaced."""

    def __init__(
        self,
        backend_id: str,
        processed_bytes: bytes,
        compile_specs: list[CompileSpec],
        original_module: ExportedProgram,
        named_data: list[NamedData] | None = None,
        debug_handle_map: dict | None = None,
        weights: list[StoredWeights] | None = None,
    ):
        super().__init__()
        self.backend_id = backend_id
        self.processed_bytes = processed_bytes
        self.compile_specs = compile_specs
        self.original_module = original_module
        self.named_data = named_data or []
        self.debug_handle_map = debug_handle_map or {}
        self.weights = weights or []

    def forward(self, *args):
        return call_delegate(self, *args)


class _CallDelegate(torch._ops.HigherOrderOperator):
    """executorch_call_delegate(lowered_module, *inputs) -> a tuple of outputs.  Run in Python it runs
    the partition as it was before."""

    def __init__(self):
        super().__init__("rushlight_call_delegate")

    def __call__(self, lowered: LoweredBackendModule, *args):
        out = lowered.original_module.module()(*args)
        return out if isinstance(out, tuple) else (out,)


call_delegate = _CallDelegate()
