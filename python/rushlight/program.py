# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The program managers: what to_edge and its relatives return, under the names the field knows.

edge = to_edge(torch.export.export(model, inputs))           # EdgeProgramManager
edge = edge.transform([my_pass]).to_backend(MyPartitioner())
program = edge.to_executorch()                               # ExecutorchProgramManager
program.save("model.pte")
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch.export import ExportedProgram

from rushlight import _native
from rushlight.delegates.backend import StoredWeights
from rushlight.delegates.lowering import lower_to_backend
from rushlight.delegates.partitioner import Partitioner
from rushlight.dialect.edge import finish_edge_programs, functional_program
from rushlight.dialect.state import mark_state
from rushlight.dialect.symbolic import Bounds
from rushlight.dialect.verifier import make_program
from rushlight.emit.emitter import DTYPE_NUMBER, Emitter, order_of
from rushlight.emit.serializer import DEBUG_KEY, MethodSerializer, constant_method, debug_info
from rushlight.emit.values import STATE, MethodIR, TensorValue
from rushlight.export.importer import copy_graph_module
from rushlight.memory.planning import (
    MemoryPlan,
    MemoryPlanner,
    PlanRequest,
    apply_plan,
    lower_bounds,
    make_request,
    plan_memory,
    verify_plan,
)
from rushlight.obstacles import CompileError, Obstacle, where
from rushlight.passes.base import run_passes
from rushlight.passes.pipeline import portable_passes


@dataclass(frozen=True)
class EdgeCompileConfig:
    """`preserve_ops`: operators that to_edge must not decompose."""

    preserve_ops: Sequence = ()


@dataclass(frozen=True)
class MemoryPlanningPass:
    """How memory is planned.  `memory_planning_algo`: a function PlanRequest -> MemoryPlan; none: the
    library's.  Inputs and outputs that are not allocated lie in the caller's memory."""

    memory_planning_algo: MemoryPlanner | None = None
    alloc_graph_input: bool = True
    alloc_graph_output: bool = True


@dataclass(frozen=True)
class ExecutorchBackendConfig:
    """Options of to_executorch.

    passes                    users' passes, before the library's own
    memory_planning_pass      one, or one for each method by name
    segment_alignment, constant_tensor_alignment    bytes; powers of two
    external_constants        constants go to a .ptd file, by name: rushlight.load(..., data_files=[...])
    emit_debug_info           store the source line of each instruction
    extra_operators           names of operators that the application's own tables have
    extra_delegates           the same for delegates
    """

    passes: Sequence = ()
    memory_planning_pass: MemoryPlanningPass | Mapping[str, MemoryPlanningPass] = MemoryPlanningPass()
    segment_alignment: int = 128
    constant_tensor_alignment: int = 16
    external_constants: bool = False
    emit_debug_info: bool = True
    extra_operators: Sequence[str] = ()
    extra_delegates: Sequence[str] = ()


@dataclass
class MethodMemory:
    """What a method needs at run time, in bytes.

    planned        memory ids 1, 2, ...: activations, then state
    lower_bound    what no plan for them can go below
    scratch        memory of the operators
    arena_32, arena_64    tables and instructions, with 32-bit and 64-bit pointers
    """

    planned: list[int] = field(default_factory=list)
    lower_bound: list[int] = field(default_factory=list)
    scratch: int = 0
    arena_32: int = 0
    arena_64: int = 0


def _named(programs, default: str = "forward") -> dict[str, ExportedProgram]:
    return dict(programs) if isinstance(programs, Mapping) else {default: programs}


def _per_method(value, name: str):
    """An option that may be given once, or for each method."""
    return value.get(name) if isinstance(value, Mapping) else value


class EdgeProgramManager:
    """Methods in the edge dialect."""

    def __init__(
        self,
        programs: ExportedProgram | Mapping[str, ExportedProgram],
        constant_methods: Mapping[str, object] | None = None,
        named_data: Mapping[str, bytes] | None = None,
    ):
        self._programs = _named(programs)
        self._constant_methods = dict(constant_methods or {})
        self._named_data = dict(named_data or {})

    @property
    def methods(self) -> set[str]:
        return set(self._programs)

    @property
    def config_methods(self) -> set[str]:
        return set(self._constant_methods)

    def exported_program(self, method_name: str = "forward") -> ExportedProgram:
        return self._programs[method_name]

    def _with(self, programs) -> EdgeProgramManager:
        return EdgeProgramManager(programs, self._constant_methods, self._named_data)

    def transform(self, passes) -> EdgeProgramManager:
        """A manager whose programs went through `passes` (a list, or a dict of lists by method)."""
        programs = {}
        for name, program in self._programs.items():
            program = _copy(program)
            run_passes(program, _per_method(passes, name) or ())
            program.validate()
            programs[name] = program
        return self._with(programs)

    def to_backend(self, partitioner) -> EdgeProgramManager:
        """A manager in whose programs delegates have taken what the partitioner (or one for each
        method by name, or a list of them) gave them."""
        programs = {}
        for name, program in self._programs.items():
            program = _copy(program)
            for p in _partitioners(_per_method(partitioner, name)):
                program = lower_to_backend(program, p)
            programs[name] = program
        return self._with(programs)

    def to_executorch(self, config: ExecutorchBackendConfig | None = None) -> ExecutorchProgramManager:
        """The program file.  Raises CompileError with everything that stands in the way."""
        return ExecutorchProgramManager(
            self._programs,
            self._constant_methods,
            self._named_data,
            config or ExecutorchBackendConfig(),
        )


def _copy(program: ExportedProgram) -> ExportedProgram:
    module = copy_graph_module(program.graph_module)
    return make_program(
        program,
        module,
        copy.deepcopy(program.graph_signature),
        state_dict=dict(program.state_dict),
        constants=dict(program.constants),
    )


def _partitioners(value) -> list[Partitioner]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def in_front(own: list[Partitioner], given, programs) -> dict[str, list[Partitioner]]:
    """For each method of `programs`, `own` and behind them the partitioners that are given for it."""
    return {name: [*own, *_partitioners(_per_method(given, name))] for name in _named(programs)}


def to_edge(
    programs: ExportedProgram | Mapping[str, ExportedProgram],
    constant_methods: Mapping[str, object] | None = None,
    compile_config: EdgeCompileConfig | None = None,
) -> EdgeProgramManager:
    """Exported programs in the edge dialect: core ATen operators, and composites that are worth keeping
    (linear, scaled_dot_product_attention, silu, gelu, rms_norm, layer_norm)."""
    return to_edge_transform_and_lower(
        programs, constant_methods=constant_methods, compile_config=compile_config
    )


def to_edge_transform_and_lower(
    programs: ExportedProgram | Mapping[str, ExportedProgram],
    transform_passes=None,
    partitioner=None,
    constant_methods: Mapping[str, object] | None = None,
    compile_config: EdgeCompileConfig | None = None,
    named_data: Mapping[str, bytes] | None = None,
) -> EdgeProgramManager:
    """to_edge, then users' passes, then each partitioner in order, in one call.  Passes and partitioners
    are lists, or dicts of lists by method.  `named_data`: bytes that travel in the file, by key."""
    preserve = frozenset(compile_config.preserve_ops if compile_config else ())
    edge, obstacles = {}, []
    for name, program in _named(programs).items():
        whole, keep = _kept_whole(program, _partitioners(_per_method(partitioner, name)))
        try:
            edge[name] = functional_program(program, preserve=preserve | whole, keep=keep)
        except CompileError as error:
            obstacles.extend(replace(o, method=name) for o in error.obstacles)
    if obstacles:
        raise CompileError(obstacles)
    finish_edge_programs(edge)
    manager = EdgeProgramManager(edge, constant_methods, named_data)
    if transform_passes:
        manager = manager.transform(transform_passes)
    if partitioner:
        manager = manager.to_backend(partitioner)
    return manager


def _kept_whole(program: ExportedProgram, partitioners: list[Partitioner]):
    """What partitioners ask to_edge not to decompose: operators, and a test for the nodes of others."""
    operators, conditions = set(), []
    for p in partitioners:
        ops, condition = p.ops_to_not_decompose(program)
        if condition is None:
            operators |= set(ops)
        else:
            conditions.append((frozenset(ops), condition))

    def keep(node) -> bool:
        return any(node.target in ops and condition(node) for ops, condition in conditions)

    return frozenset(operators), keep


class ExecutorchProgramManager:
    """A finished program: bytes, and what is known about them."""

    def __init__(self, programs, constant_methods, named_data, config: ExecutorchBackendConfig):
        self._programs = {name: _copy(p) for name, p in programs.items()}
        self._config = config
        self.memory: dict[str, MethodMemory] = {}
        self.weights: list[StoredWeights] = []  # what delegates stored, of all methods, once each
        self._buffer: bytes | None = None
        self._builder = _native.ProgramBuilder(config.segment_alignment, config.constant_tensor_alignment)
        mark_state(self._programs)
        methods = self._emit()
        self._plan(methods)
        self._data = _external_data(methods, config.segment_alignment)
        self._serialize(methods, constant_methods, named_data)
        self._check(methods)

    # -- What a user asks for --

    @property
    def methods(self) -> set[str]:
        return set(self._programs)

    def exported_program(self, method_name: str = "forward") -> ExportedProgram:
        """The program as it was emitted."""
        return self._programs[method_name]

    @property
    def buffer(self) -> bytes:
        if self._buffer is None:
            self._buffer = self._builder.to_bytes()
        return self._buffer

    def save(self, path) -> None:
        """Writes the program file, weights straight from their tensors.  External constants go to a .ptd
        file of the same name beside it."""
        self._builder.write_file(str(path))
        if self._data is not None:
            self._data.write_file(str(Path(path).with_suffix(".ptd")))

    def write_to_file(self, file) -> None:
        file.write(self.buffer)

    def write_tensor_data_to_file(self, directory) -> None:
        """Writes the external constants, if there are any, to _default_external_constant.ptd."""
        if self._data is not None:
            self._data.write_file(str(Path(directory) / "_default_external_constant.ptd"))

    # -- How it is made --

    def _options(self, name: str) -> MemoryPlanningPass:
        return _per_method(self._config.memory_planning_pass, name) or MemoryPlanningPass()

    def _emit(self) -> list[MethodIR]:
        methods, obstacles = [], []
        for name in sorted(self._programs):
            program = self._programs[name]
            run_passes(program, [*self._config.passes, *portable_passes()])
            options = _EmitOptions(self._options(name), self._config.external_constants)
            emitter = Emitter(name, program, Bounds(dict(program.range_constraints)), options)
            methods.append(emitter.run())
            obstacles.extend(replace(o, method=name) for o in emitter.obstacles)
        if obstacles:
            raise CompileError(obstacles)
        return methods

    def _plan(self, methods: list[MethodIR]) -> None:
        requests = [make_request(m) for m in methods]
        _place_state(methods, [storages for _, storages in requests])
        self._memory_sizes = {}
        for method, (_, storages) in zip(methods, requests, strict=True):
            request, storages = make_request(method)  # state has its place now
            planner = self._options(method.name).memory_planning_algo
            plan = (planner or plan_memory)(request)
            if planner is not None:
                _verify_plan(request, plan, method.name)
            apply_plan(storages, plan)
            self._memory_sizes[method.name] = plan.sizes
            self.memory[method.name] = MethodMemory(plan.sizes, lower_bounds(request))

    def _serialize(self, methods, constant_methods, named_data) -> None:
        for method in methods:
            MethodSerializer(self._builder, method).run(self._memory_sizes[method.name])
        for name, value in constant_methods.items():
            constant_method(self._builder, name, value)
        added = set()
        for method in methods:
            for instruction in method.instructions:
                if instruction.delegate is None:
                    continue
                self.weights += [w for w in instruction.delegate.weights if w not in self.weights]
                for data in instruction.delegate.named_data:
                    if data.key not in added:
                        added.add(data.key)
                        self._builder.add_named_data(data.key, data.data, data.alignment)
        for key, data in named_data.items():
            self._builder.add_named_data(key, data, 64)
        if self._config.emit_debug_info and any(m.instructions for m in methods):
            self._builder.add_named_data(DEBUG_KEY, debug_info(methods), 16)

    def _check(self, methods: list[MethodIR]) -> None:
        """Loads the program as a device would: what is refused there is refused here."""
        report = self._builder.check()
        by_position = {i: m for i, m in enumerate(methods)}
        obstacles = []
        for o in report["obstacles"]:
            method = by_position.get(o["method"])
            node = None
            if method is not None and o["instruction"] is not None:
                instruction = method.instructions[o["instruction"]]
                node = instruction.node
                name = ".".join(instruction.operator) if instruction.operator else ""
                if o["reason"] == _native.NO_KERNEL and name in self._config.extra_operators:
                    continue
            if o["code"] == "ExternalData" and self._data is not None:
                continue  # it is in the other file
            if o["reason"] == _native.NO_DELEGATE:
                if any(f"'{d}'" in o["text"] for d in self._config.extra_delegates):
                    continue
            obstacles.append(Obstacle(o["text"], where(node), _advice(o), method.name if method else ""))
        if obstacles:
            raise CompileError(obstacles)
        for name, numbers in report["methods"].items():
            if name in self.memory:
                memory = self.memory[name]
                memory.scratch = numbers["scratch_bytes"]
                memory.arena_32 = numbers["arena_bytes_32"]
                memory.arena_64 = numbers["arena_bytes_64"]
        self.metadata_bytes = report["metadata_bytes"]
        self.file_bytes = report["file_bytes"]


def _advice(obstacle: dict) -> str:
    if obstacle["code"] == "OperatorMissing":
        return (
            "rewrite that line with other operators, or bring a kernel and name it in "
            "ExecutorchBackendConfig(extra_operators=[...])"
        )
    if obstacle["code"] == "DelegateMissing":
        return "name the application's own delegates in ExecutorchBackendConfig(extra_delegates=[...])"
    return ""


@dataclass(frozen=True)
class _EmitOptions:
    memory: MemoryPlanningPass
    external_constants: bool

    @property
    def alloc_graph_input(self) -> bool:
        return self.memory.alloc_graph_input

    @property
    def alloc_graph_output(self) -> bool:
        return self.memory.alloc_graph_output


def _verify_plan(request: PlanRequest, plan: MemoryPlan, method: str) -> None:
    """Refuses what a user's planner answered where it is wrong."""
    try:
        verify_plan(request, plan)
    except (_native.Error, ValueError, TypeError) as error:
        raise CompileError([Obstacle(f"the memory plan is wrong: {error}", method=method)]) from error


def _external_data(methods: list[MethodIR], alignment: int) -> _native.DataFileBuilder | None:
    """The .ptd file of the constants that have external names.  Constants of several methods may share a
    name by chance (what the compiler folded): then all but the first get another."""
    data, tensors = _native.DataFileBuilder(alignment), {}
    for method in methods:
        for value in method.values:
            if not isinstance(value, TensorValue) or not value.external_name:
                continue
            tensor = value.constant
            if tensors.setdefault(value.external_name, tensor).data_ptr() != tensor.data_ptr():
                value.external_name = f"{method.name}.{value.external_name}"
                tensors[value.external_name] = tensor
    for name, tensor in tensors.items():
        order = list(order_of(tensor))
        data.add_tensor(
            name,
            tensor.data_ptr(),
            tensor.nbytes,
            tensor,
            DTYPE_NUMBER[tensor.dtype],
            list(tensor.shape),
            order,
        )
    return data if tensors else None


def _place_state(methods: list[MethodIR], storages: list[list]) -> None:
    """Gives state of the same name the same place in every method."""
    places: dict[str, tuple[int, int]] = {}  # name -> offset, bytes
    end = 0
    for method in methods:
        for value in method.values:
            storage = getattr(value, "storage", None)
            if storage is None or storage.memory_id != STATE or not value.name:
                continue
            if value.name not in places:
                places[value.name] = (end, storage.nbytes)
                end = (end + storage.nbytes + 15) // 16 * 16
            offset, nbytes = places[value.name]
            if nbytes != storage.nbytes:
                raise CompileError(
                    [
                        Obstacle(
                            f"buffer {value.name} has {storage.nbytes} bytes in {method.name}, "
                            f"{nbytes} elsewhere"
                        )
                    ]
                )
            storage.offset = offset


__all__ = [
    "EdgeCompileConfig",
    "EdgeProgramManager",
    "ExecutorchBackendConfig",
    "ExecutorchProgramManager",
    "MemoryPlanningPass",
    "MethodMemory",
    "PlanRequest",
    "to_edge",
    "to_edge_transform_and_lower",
]
