# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""From a planned method to the program builder (src/compiler/program_builder.h)."""

from __future__ import annotations

import json

import torch
from torch.utils import _pytree as pytree

from rushlight import _native
from rushlight.emit.emitter import DTYPE_NUMBER
from rushlight.emit.trees import tree_text
from rushlight.emit.values import Constant, ListValue, MethodIR, ScalarValue, TensorValue, Value
from rushlight.obstacles import source_of

DEBUG_KEY = "rushlight.debug"


class MethodSerializer:
    """Writes one method into a ProgramBuilder."""

    def __init__(self, builder: _native.ProgramBuilder, method: MethodIR):
        self.builder = builder
        self.method = method
        self.out = builder.add_method(method.name)

    def run(self, memory_sizes: list[int]) -> None:
        # Lists come after what they list.
        for value in self.method.values:
            if not isinstance(value, ListValue):
                self._value(value)
        for value in self.method.values:
            if isinstance(value, ListValue):
                self._value(value)
        delegates: dict[int, int] = {}
        jumps = []
        for instruction in self.method.instructions:
            args = [a.index for a in instruction.args]
            if instruction.kind == "kernel":
                op = self.out.add_operator(*instruction.operator)
                self.out.add_kernel_call(op, args)
            elif instruction.kind == "delegate":
                self.out.add_delegate_call(self._delegate(instruction.delegate, delegates), args)
            elif instruction.kind == "move":
                self.out.add_move(*args)
            else:
                jumps.append((self.out.add_jump_false(args[0], 0), instruction.target))
        for position, label in jumps:
            self.out.set_jump_destination(position, label.position)
        self.out.set_inputs([v.index for v in self.method.inputs])
        self.out.set_outputs([v.index for v in self.method.outputs])
        self.out.set_trees(self.method.input_tree, self.method.output_tree)
        self.out.set_memory(memory_sizes)

    def _value(self, value: Value) -> None:
        if isinstance(value, Constant):
            value.index = self._constant(value.value)
        elif isinstance(value, ScalarValue):
            value.index = self._constant(value.initial)
        elif isinstance(value, ListValue):
            items = [-1 if i is None else i.index for i in value.items]
            add = {
                "ints": self.out.add_int_list,
                "tensors": self.out.add_tensor_list,
                "optional_tensors": self.out.add_optional_tensor_list,
            }[value.kind]
            value.index = add(items)
        else:
            value.index = self.out.add_tensor(self._tensor(value))

    def _constant(self, value) -> int:
        if value is None:
            return self.out.add_null()
        if isinstance(value, bool):
            return self.out.add_bool(value)
        if isinstance(value, int):
            return self.out.add_int(value)
        if isinstance(value, float):
            return self.out.add_double(value)
        if isinstance(value, str):
            return self.out.add_string(value)
        if isinstance(value, tuple) and all(isinstance(v, bool) for v in value) and value:
            return self.out.add_bool_list(list(value))
        if isinstance(value, tuple):
            return self.out.add_double_list([float(v) for v in value])
        raise TypeError(f"a {type(value).__name__} cannot be a value of a program")

    def _tensor(self, value: TensorValue) -> _native.TensorSpec:
        spec = _native.TensorSpec()
        spec.scalar_type = DTYPE_NUMBER[value.dtype]
        spec.sizes = list(value.sizes)
        spec.dim_order = list(value.dim_order)
        spec.dynamic = value.dynamic
        spec.name = value.name
        if value.external_name:
            spec.name, spec.external = value.external_name, True
            return spec
        storage = value.storage
        if storage is not None and storage.planned and not value.rebound:
            spec.memory_id = storage.memory_id
            spec.memory_offset = storage.offset + value.offset
        if value.constant is not None:
            add = self.builder.add_constant if storage is None else self.builder.add_initial_state
            tensor = value.constant
            spec.constant = add(tensor.data_ptr(), tensor.numel() * tensor.element_size(), tensor)
        return spec

    def _delegate(self, lowered, known: dict[int, int]) -> int:
        if id(lowered) not in known:
            specs = [(s.key, bytes(s.value)) for s in lowered.compile_specs]
            known[id(lowered)] = self.builder.add_delegate(
                self.out, lowered.backend_id, bytes(lowered.processed_bytes), specs, False
            )
        return known[id(lowered)]


def debug_info(methods: list[MethodIR]) -> bytes:
    """The source line of each instruction, as include/rushlight/debug_info.h describes."""
    files: dict[str, int] = {}
    tables = {}
    for method in methods:
        entries = []
        for instruction in method.instructions:
            node = instruction.node
            source = source_of(node) if node is not None else None
            handle = node.meta.get("debug_handle", -1) if node is not None else -1
            if source is None:
                entries.append([handle, -1, 0])
            else:
                entries.append([handle, files.setdefault(source[0], len(files)), source[1]])
        if entries:
            tables[method.name] = entries
    text = {"version": 1, "files": list(files), "methods": tables}
    return json.dumps(text, separators=(",", ":")).encode()


def constant_method(builder: _native.ProgramBuilder, name: str, value) -> None:
    """A method without inputs that returns a constant: a number, a str, a tensor, or a structure of them."""
    method = MethodIR(name)
    outputs = []
    leaves, structure = pytree.tree_flatten(value)
    for v in leaves:
        if isinstance(v, torch.Tensor):
            v = v.detach().contiguous()
            outputs.append(
                TensorValue(v.dtype, tuple(v.shape), tuple(v.shape), tuple(range(v.dim())), constant=v)
            )
        elif isinstance(v, (bool, int, float, str)) or v is None:
            outputs.append(Constant(v))
        else:
            raise TypeError(
                f"constant method {name!r}: a {type(v).__name__} cannot be returned by a program; "
                "numbers, str, tensors, and lists, tuples and dicts of them can"
            )
    method.values = list(outputs)
    method.outputs = outputs
    method.input_tree = tree_text(pytree.tree_structure(((), {})))
    method.output_tree = tree_text(structure)
    MethodSerializer(builder, method).run([])
