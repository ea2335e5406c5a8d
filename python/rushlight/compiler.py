# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""rushlight.compile: a model to a program, in one call that reads from top to bottom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch.export import ExportedProgram

from rushlight.obstacles import CompileError, Obstacle, raised_at
from rushlight.program import (
    EdgeProgramManager,
    ExecutorchBackendConfig,
    ExecutorchProgramManager,
    MemoryPlanningPass,
    in_front,
    to_edge_transform_and_lower,
)


def compile(  # noqa: A001  (the name that users type)
    model,
    inputs: Sequence = (),
    *,
    kwargs: Mapping | None = None,
    dynamic_shapes=None,
    strict: bool = False,
    backend: str | None = None,
    quantize=None,
    partitioner=None,
    transform_passes=None,
    constant_methods: Mapping[str, object] | None = None,
    config: ExecutorchBackendConfig | None = None,
) -> ExecutorchProgramManager:
    """Compiles a model to a program that loads and matches it, or says why not.

    model           an nn.Module, an ExportedProgram, or a dict of either by method name
    inputs, kwargs  example inputs (for a dict of modules: dicts by method name)
    dynamic_shapes  as torch.export takes them; every dimension needs a bound
    backend         "cpu": what our CPU delegate knows runs there; "portable": nothing is delegated.
                    The default is "cpu", and "portable" where you bring a partitioner or passes
                    over the lowered program (config.passes) of your own, or want constants in a
                    file of their own
    quantize        how the CPU delegate stores weights: "int4", "int8", "bf16", "fp16", or a
                    rushlight.delegates.cpu.Quantization; implies backend="cpu"
    partitioner     delegates of your own: a Partitioner, or a list

    Raises CompileError with every obstacle at once: what, the line of the model, what would help.
    """
    exported = _export(model, inputs, kwargs, dynamic_shapes, strict)
    if backend is None and (partitioner or (config and (config.external_constants or config.passes))):
        backend = "portable"
    own = own_partitioners(backend, quantize)
    edge = to_edge_transform_and_lower(
        exported,
        transform_passes=transform_passes,
        partitioner=in_front(own, partitioner, exported) if own else partitioner,
        constant_methods=constant_methods,
    )
    return edge.to_executorch(config)


def own_partitioners(backend: str | None, quantize) -> list:
    """The library's partitioners for what a user asked for."""
    backend = backend or "cpu"
    if backend not in ("portable", "cpu"):
        raise ValueError(f"no backend {backend!r}; there are 'portable' and 'cpu'")
    if backend == "portable" and quantize is None:
        return []
    from rushlight.delegates.cpu import CpuPartitioner, Quantization

    return [CpuPartitioner(Quantization.of(quantize))]


def explain(model, inputs: Sequence = (), **options) -> list[Obstacle]:
    """What stands in the way of compiling a model; an empty list if nothing does."""
    try:
        compile(model, inputs, **options)
    except CompileError as error:
        return error.obstacles
    return []


def _export(model, inputs, kwargs, dynamic_shapes, strict):
    if isinstance(model, Mapping):
        return {
            name: _export(
                m,
                inputs[name] if isinstance(inputs, Mapping) else inputs,
                (kwargs or {}).get(name),
                dynamic_shapes.get(name) if isinstance(dynamic_shapes, Mapping) else dynamic_shapes,
                strict,
            )
            for name, m in model.items()
        }
    if isinstance(model, ExportedProgram):
        return model
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"expected an nn.Module or an ExportedProgram, not a {type(model).__name__}")
    return capture(model.eval(), inputs, kwargs, dynamic_shapes, strict)


def capture(model: torch.nn.Module, inputs, kwargs, dynamic_shapes, strict: bool = False) -> ExportedProgram:
    """torch.export.export without gradients; raises CompileError."""
    try:
        with torch.no_grad():
            return torch.export.export(
                model, tuple(inputs), dict(kwargs or {}), dynamic_shapes=dynamic_shapes, strict=strict
            )
    except Exception as error:
        raise CompileError([_export_obstacle(error)]) from error


def _export_obstacle(error: Exception) -> Obstacle:
    """What torch.export says, without its advertisements."""
    text = str(error).strip()
    advice = ""
    lines = [line for line in text.splitlines() if line.strip()]
    for i, line in enumerate(lines):
        if line.startswith("Suggested fix"):
            advice = " ".join(part.strip() for part in lines[i : i + 3])
    head = next((line for line in lines if not line.startswith("While executing")), repr(error))
    reasons = [line.strip().removeprefix("- ") for line in lines if line.strip().startswith("- ")]
    head = " ".join([head.partition(" For more information, run with")[0], *reasons])
    location = ""
    for i, line in enumerate(lines):
        if line.strip().startswith('File "') and "torch/" not in line:
            location = line.strip() + (": " + lines[i + 1].strip() if i + 1 < len(lines) else "")
    return Obstacle(f"torch.export cannot capture the model: {head}", location or raised_at(error), advice)


__all__ = ["CompileError", "EdgeProgramManager", "MemoryPlanningPass", "compile", "explain"]
