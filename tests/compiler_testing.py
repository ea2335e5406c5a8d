# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Compares compiled programs with eager PyTorch, call by call.

    check(model, (x,), (y,))        # the example inputs, then further calls: state is compared too

The program runs in our runtime, with inputs and outputs in planned memory and in the caller's.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence

import rushlight
import torch
from torch import nn
from torch.utils import _pytree as pytree

# Relative and absolute, for a few roundings of results of the order of one.
TOLERANCE = {
    torch.float64: (1e-10, 1e-10),
    torch.float32: (1e-4, 1e-5),
    torch.float16: (1e-2, 1e-2),
    torch.bfloat16: (5e-2, 5e-2),
}

UNPLANNED = rushlight.MemoryPlanningPass(alloc_graph_input=False, alloc_graph_output=False)


class Wrap(nn.Module):
    """A function as a module; tensors given by name become its buffers."""

    def __init__(self, function: Callable, **buffers: torch.Tensor):
        super().__init__()
        self.function = function
        for name, tensor in buffers.items():
            self.register_buffer(name, tensor)
        self._has_state = bool(buffers)

    def forward(self, *args, **kwargs):
        return self.function(*((self,) if self._has_state else ()), *args, **kwargs)


def as_module(model) -> nn.Module:
    return model if isinstance(model, nn.Module) else Wrap(model)


def export(model, call, dynamic_shapes=None, strict=False) -> torch.export.ExportedProgram:
    args, kwargs = split(call)
    module = copy.deepcopy(as_module(model)).eval()
    if isinstance(module, Wrap) and isinstance(dynamic_shapes, tuple):
        dynamic_shapes = {"args": dynamic_shapes}
    with torch.no_grad():
        return torch.export.export(module, args, kwargs, dynamic_shapes=dynamic_shapes, strict=strict)


def split(call) -> tuple[tuple, dict]:
    """A call is a tuple of arguments, or a dict of keyword arguments."""
    call = pytree.tree_map(lambda x: x.clone() if isinstance(x, torch.Tensor) else x, call)
    return ((), call) if isinstance(call, dict) else (tuple(call), {})


def compile_all(exported, config: dict | None = None) -> list[rushlight.ExecutorchProgramManager]:
    """The program with inputs and outputs planned, and with both in the caller's memory."""
    edge = rushlight.to_edge(exported)
    programs = []
    for memory in (rushlight.MemoryPlanningPass(), UNPLANNED):
        options = rushlight.ExecutorchBackendConfig(memory_planning_pass=memory, **(config or {}))
        programs.append(edge.to_executorch(options))
    return programs


def check(
    model,
    *calls,
    dynamic_shapes=None,
    strict: bool = False,
    config: dict | None = None,
    tolerance: tuple[float, float] | None = None,
) -> rushlight.ExecutorchProgramManager:
    """Compiles `model` for its first call and compares all calls, in order, with eager.  Returns the
    program with planned inputs and outputs."""
    model = as_module(model).eval()
    exported = export(model, calls[0], dynamic_shapes, strict)
    programs = compile_all(exported, config)
    for program in programs:
        compare(copy.deepcopy(model), rushlight.load(program.buffer), calls, tolerance)
    return programs[0]


def compare(eager, loaded, calls: Sequence, tolerance=None) -> None:
    """Calls two models with the same arguments, one call after the other."""
    for i, call in enumerate(calls):
        args, kwargs = split(call)
        with torch.no_grad():
            expected = eager(*args, **kwargs)
        args, kwargs = split(call)
        expect_equal(loaded(*args, **kwargs), expected, f"call {i}", tolerance)


def expect_equal(actual, expected, what: str = "", tolerance=None) -> None:
    """Same structure, dtypes, sizes and values."""
    actual_leaves, actual_tree = pytree.tree_flatten(actual)
    leaves, tree = pytree.tree_flatten(expected)
    assert actual_tree == tree, f"{what}: structure {actual_tree}, expected {tree}"
    for i, (a, e) in enumerate(zip(actual_leaves, leaves, strict=True)):
        where = f"{what}: output {i}"
        if not isinstance(e, torch.Tensor):
            assert type(a) is type(e) and (a == e or math.isclose(a, e)), f"{where}: {a!r}, expected {e!r}"
            continue
        a = torch.as_tensor(a)  # NumPy, where no input was a tensor
        assert a.dtype == e.dtype, f"{where}: {a.dtype}, expected {e.dtype}"
        assert a.shape == e.shape, f"{where}: {tuple(a.shape)}, expected {tuple(e.shape)}"
        rtol, atol = tolerance or TOLERANCE.get(e.dtype, (0, 0))
        torch.testing.assert_close(
            a, e, rtol=rtol, atol=atol, equal_nan=True, msg=lambda m, w=where: f"{w}: {m}"
        )


def nodes_of(program, target, method: str = "forward") -> list[torch.fx.Node]:
    """Nodes of a program's graph with this target; `program` may be a manager or an ExportedProgram."""
    if not isinstance(program, torch.export.ExportedProgram):
        program = program.exported_program(method)
    return [
        n
        for m in program.graph_module.modules()
        if isinstance(m, torch.fx.GraphModule)
        for n in m.graph.nodes
        if n.target == target
    ]


def operators(program: rushlight.ExecutorchProgramManager, method: str = "forward") -> list[str]:
    """Names of the operators in the file, in the order of their first use."""
    return rushlight.load(program.buffer).method(method).meta["operators"]
