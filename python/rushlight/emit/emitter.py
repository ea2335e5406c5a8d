# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""From a graph to the instructions of a method.

Each node becomes values and instructions (emit/values.py); addresses come later (memory/planning.py).
Tensors that are only another shape of the same memory cost nothing where their sizes are fixed, and one
`et_view` where they are dynamic.  Buffers that the method changes are updated where they lie, if nobody
needs their old contents afterwards.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import ConstantArgument, InputKind, OutputKind
from torch.utils import _pytree as pytree

from rushlight.delegates.backend import call_delegate
from rushlight.dialect.quantization import instead_of
from rushlight.dialect.state import state_of
from rushlight.dialect.symbolic import (
    SIZE_OPERATORS,
    Bounds,
    UnboundedError,
    expr_of,
    has_symbols,
    is_symbolic,
)
from rushlight.emit import control_flow
from rushlight.emit.out_variants import out_variant
from rushlight.emit.trees import tree_text
from rushlight.emit.values import (
    STATE,
    Constant,
    Instruction,
    Label,
    ListValue,
    MethodIR,
    ScalarValue,
    Storage,
    TensorValue,
    Value,
)
from rushlight.export.importer import tensor_of
from rushlight.obstacles import CompileError, Obstacle, cannot, unbounded, where
from rushlight.passes.base import input_specs

aten = torch.ops.aten

DTYPE_NUMBER = {
    torch.uint8: 0, torch.int8: 1, torch.int16: 2, torch.int32: 3, torch.int64: 4,
    torch.float16: 5, torch.float32: 6, torch.float64: 7, torch.complex32: 8,
    torch.complex64: 9, torch.complex128: 10, torch.bool: 11, torch.bfloat16: 15,
    torch.float8_e5m2: 23, torch.float8_e4m3fn: 24, torch.float8_e5m2fnuz: 25,
    torch.float8_e4m3fnuz: 26, torch.uint16: 27, torch.uint32: 28, torch.uint64: 29,
}  # fmt: skip

# Another shape of the same memory, where the tensor lies in the order of its dimensions.
_RESHAPES = {
    aten.view.default,
    aten._unsafe_view.default,
    aten.unsqueeze.default,
    aten.squeeze.default,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.alias.default,
    aten.detach.default,
}


def order_of(value: torch.Tensor) -> tuple[int, ...]:
    """Dimensions in the order of memory, outermost first."""
    dims = range(value.dim())
    if any(is_symbolic(s) for s in value.stride()) or value.is_contiguous():
        return tuple(dims)
    order = sorted(dims, key=lambda d: (-value.stride(d), d))
    expected = 1
    for d in reversed(order):
        if value.shape[d] != 1 and value.stride(d) != expected:
            return tuple(dims)  # not dense: a view's strides, which a copy will not have
        expected *= value.shape[d]
    return tuple(order)


def _same_sizes(a: Sequence, b: Sequence) -> bool:
    return len(a) == len(b) and all(x == y for x, y in zip(a, b, strict=True))


class Emitter:
    """Builds the MethodIR of one exported program."""

    def __init__(self, name: str, program: ExportedProgram, bounds: Bounds, options):
        self.method = MethodIR(name)
        self.program = program
        self.bounds = bounds
        self.options = options
        self.obstacles: list[Obstacle] = []
        self._constants: dict[object, Constant] = {}
        self._lists: dict[object, ListValue] = {}
        self._tensors: dict[object, TensorValue] = {}
        self._env: dict[fx.Node, object] = {}  # of the graph that is being emitted

    # ---------------------------------------------------------------------------------------------
    # The method

    def run(self) -> MethodIR:
        graph = self.program.graph
        env: dict[fx.Node, object] = {}
        buffers: dict[str, tuple[fx.Node, TensorValue]] = {}  # changed inputs, by target or name
        signature = self.program.graph_signature
        changed = {
            (s.kind, s.target): i
            for i, s in enumerate(signature.output_specs)
            if s.kind
            in (
                OutputKind.BUFFER_MUTATION,
                OutputKind.PARAMETER_MUTATION,
                OutputKind.USER_INPUT_MUTATION,
            )
        }
        changed_targets = {t for _, t in changed} | set(state_of(self.program))
        for node, spec in input_specs(self.program).items():
            is_user = spec.kind == InputKind.USER_INPUT
            if not is_user and not node.users and spec.target not in changed_targets:
                continue
            env[node] = self._input(node, spec, spec.target in changed_targets)
            if is_user:
                self.method.inputs.append(env[node])
            key = node.name if is_user else spec.target
            buffers[key] = (node, env[node])

        outputs = list(graph.output_node().args[0])
        finals = {
            buffers[target][0]: outputs[i] for (_, target), i in changed.items()
        }  # placeholder -> the node of its final value
        in_place = _InPlace(graph, finals)
        with self.scope(env):
            self.emit_graph(graph, env, in_place)

        pending = [(env[p], env[f], f) for p, f in finals.items() if env[f] is not env[p]]
        overwritten = {id(buffer.storage) for buffer, _, _ in pending}
        for spec, out in zip(signature.output_specs, outputs, strict=True):
            if spec.kind in (OutputKind.USER_OUTPUT, OutputKind.LOSS_OUTPUT):
                self.method.outputs.append(self._output(out, env, overwritten))
        self._write_back(pending, overwritten)
        spec = self.program.call_spec
        self.method.input_tree, self.method.output_tree = tree_text(spec.in_spec), tree_text(spec.out_spec)
        return self.method

    @contextmanager
    def scope(self, env: dict[fx.Node, object]):
        """While a graph with these values is being emitted."""
        outer, self._env = self._env, env
        yield
        self._env = outer

    def emit_graph(self, graph: fx.Graph, env: dict[fx.Node, object], in_place: _InPlace | None = None):
        """Emits the nodes of a graph whose placeholders are in `env` already."""
        for node in graph.nodes:
            if node.op == "call_function":
                try:
                    env[node] = self._call(node, env, in_place)
                except (CompileError, UnboundedError) as error:
                    self._report(node, error)
                    env[node] = self._stand_in(node)
            elif node.op == "get_attr":
                attribute = getattr(graph.owning_module, node.target)
                env[node] = (
                    self.constant_tensor(attribute) if isinstance(attribute, torch.Tensor) else attribute
                )

    def _report(self, node: fx.Node, error: CompileError | UnboundedError) -> None:
        if isinstance(error, UnboundedError):
            error = unbounded(node, error)
        self.obstacles.extend(o if o.where else replace(o, where=where(node)) for o in error.obstacles)

    def _stand_in(self, node: fx.Node):
        """Something for the users of a node that failed, so that they can be looked at too."""

        def one(v):
            if isinstance(v, torch.Tensor):
                sizes = tuple(s if isinstance(s, int) else 1 for s in v.shape)
                return self._add(
                    TensorValue(v.dtype, sizes, sizes, tuple(range(len(sizes))), storage=Storage(0))
                )
            return self.constant(0)

        value = node.meta.get("val")
        return pytree.tree_map(one, value) if isinstance(value, (tuple, list)) else one(value)

    # ---------------------------------------------------------------------------------------------
    # Values

    def _add(self, value: Value) -> Value:
        self.method.values.append(value)
        return value

    def constant(self, value) -> Constant:
        """None, a number, a str, or a tuple of floats or bools; equal ones are one entry."""
        key = (type(value), tuple(map(repr, value)) if isinstance(value, tuple) else repr(value))
        if key not in self._constants:
            self._constants[key] = self._add(Constant(value))
        return self._constants[key]

    def list_of(self, kind: str, items: Sequence[Value | None]) -> ListValue:
        key = (kind, tuple(id(i) for i in items))
        if key not in self._lists:
            self._lists[key] = self._add(ListValue(kind, tuple(items)))
        return self._lists[key]

    def scalar(self, like) -> ScalarValue:
        """A number that an instruction will write."""
        if isinstance(like, (bool, torch.SymBool)):
            return self._add(ScalarValue(False))
        if isinstance(like, (float, torch.SymFloat)):
            return self._add(ScalarValue(0.0))
        return self._add(ScalarValue(0))

    def tensor(
        self,
        value: torch.Tensor,
        *,
        order: tuple[int, ...] | None = None,
        storage: Storage | None = None,
    ) -> TensorValue:
        """A tensor with memory of its own (or the storage given)."""
        shape = tuple(expr_of(s) for s in value.shape)
        sizes = tuple(self.bounds.upper(s) for s in value.shape)
        tensor = TensorValue(
            value.dtype,
            sizes,
            shape,
            tuple(range(len(sizes))) if order is None else order,
            dynamic=has_symbols(value),
        )
        if value.dtype not in DTYPE_NUMBER:
            raise cannot(None, f"dtype {value.dtype} has no place in a program file")
        tensor.storage = Storage(tensor.nbytes) if storage is None else storage
        return self._add(tensor)

    def constant_tensor(self, tensor: torch.Tensor, name: str = "") -> TensorValue:
        order = order_of(tensor)
        key = (tensor.data_ptr(), tuple(tensor.shape), tuple(tensor.stride()), tensor.dtype)
        if key in self._tensors and tensor.numel() > 0:
            return self._tensors[key]
        if not tensor.is_contiguous() and order == tuple(range(tensor.dim())):
            tensor = tensor.contiguous()
        value = TensorValue(
            tensor.dtype,
            tuple(tensor.shape),
            tuple(map(expr_of, tensor.shape)),
            order,
            constant=tensor.detach(),
        )
        if self.options.external_constants and name:
            value.external_name = name
        self._tensors[key] = value
        return self._add(value)

    def _input(self, node: fx.Node, spec, is_changed: bool) -> Value | None:
        if isinstance(spec.arg, ConstantArgument):
            return self.constant(spec.arg.value)
        value = node.meta["val"]
        if not isinstance(value, torch.Tensor):
            if is_symbolic(value):
                self.obstacles.append(
                    Obstacle(
                        f"input {node.name} is a number that may change from call to call",
                        advice="pass it as a tensor, torch.tensor(n), and use .item() where a number is "
                        "needed",
                    )
                )
            return self.constant(value if isinstance(value, (int, float, bool, str)) else 0)
        try:
            if spec.kind == InputKind.USER_INPUT:
                storage = Storage(0, planned=self.options.alloc_graph_input)
                tensor = self.tensor(value, order=order_of(value), storage=storage)
                storage.nbytes = tensor.nbytes
                return tensor
            real = tensor_of(self.program, spec)
            if not is_changed:
                return self.constant_tensor(real, spec.target)
            tensor = self.tensor(value, storage=Storage(0, STATE, persistent=True))
            tensor.storage.nbytes = tensor.nbytes
            tensor.name = state_of(self.program).get(spec.target, spec.target)
            if bool((real != 0).any()):
                tensor.constant = real.detach().contiguous()
            return tensor
        except (CompileError, UnboundedError) as error:
            self._report(node, error)
            return self._stand_in(node)

    # ---------------------------------------------------------------------------------------------
    # Instructions

    def emit(self, instruction: Instruction) -> None:
        self.method.instructions.append(instruction)

    def place(self, label: Label) -> None:
        label.position = len(self.method.instructions)

    def kernel(
        self,
        name: str,
        args: Sequence[Value],
        *,
        reads: Sequence[TensorValue] = (),
        writes: Sequence[TensorValue] = (),
        node: fx.Node | None = None,
    ) -> None:
        """A kernel call; `args` as they stand in the file, the return slot included."""
        base, _, overload = name.partition(".")
        self.emit(
            Instruction(
                "kernel",
                list(args),
                (base, overload),
                reads=tuple(reads),
                writes=tuple(writes),
                node=node,
            )
        )

    def move(self, source: Value, to: Value, node: fx.Node | None = None) -> None:
        self.emit(Instruction("move", [source, to], node=node))

    def jump_false(self, condition: Value, target: Label, node: fx.Node | None = None) -> None:
        reads = (condition,) if isinstance(condition, TensorValue) else ()
        self.emit(Instruction("jump_false", [condition], target=target, reads=reads, node=node))

    def clone(
        self, source: TensorValue, node: fx.Node | None, into: TensorValue | None = None
    ) -> TensorValue:
        """A copy of a tensor, in a tensor of its own or in `into`."""
        if into is None:
            into = self._like(source)
        self.kernel(
            "aten::clone.out",
            [source, self.constant(None), into, into],
            reads=[source],
            writes=[into],
            node=node,
        )
        return into

    def _like(self, source: TensorValue, order: tuple[int, ...] | None = None) -> TensorValue:
        return self._add(
            TensorValue(
                source.dtype,
                source.sizes,
                source.shape,
                source.dim_order if order is None else order,
                source.dynamic,
                Storage(source.nbytes),
            )
        )

    def contiguous(self, source: TensorValue, node: fx.Node | None) -> TensorValue:
        if source.contiguous:
            return source
        return self._reordered(source, tuple(range(len(source.sizes))), node)

    def _reordered(self, source: TensorValue, order: tuple[int, ...], node: fx.Node | None) -> TensorValue:
        out = self._like(source, order)
        order_list = self.list_of("ints", [self.constant(d) for d in order])
        self.kernel(
            "dim_order_ops::_to_dim_order_copy.out",
            [source, self.constant(False), order_list, out, out],
            reads=[source],
            writes=[out],
            node=node,
        )
        return out

    # ---------------------------------------------------------------------------------------------
    # Nodes

    def _call(self, node: fx.Node, env, in_place: _InPlace | None):
        target = node.target
        if target is operator.getitem:
            return env[node.args[0]][node.args[1]]
        if target in SIZE_OPERATORS:
            return self._size(node, SIZE_OPERATORS[target], env)
        if target in control_flow.EMITTERS:
            return control_flow.EMITTERS[target](self, node, env)
        if target is call_delegate:
            return self._delegate(node, env)
        if not isinstance(target, torch._ops.OpOverload):
            raise cannot(node, f"{target} has no form in a program file")
        if target is aten.sym_size.int:
            return self._sym_size(node, env)
        if target in (aten.sym_numel.default, aten._local_scalar_dense.default):
            return self._number_of(node, env)
        if target in _RESHAPES:
            return self._reshape(node, env[node.args[0]])
        block = self._contiguous_block(node, env)
        if block is not None:
            return block
        if _changes_order(node):
            return self._reordered(env[node.args[0]], order_of(node.meta["val"]), node)
        return self._operator(node, env, in_place)

    def _size(self, node: fx.Node, name: str, env):
        value = node.meta["val"]
        if not is_symbolic(value):
            return self.constant(value)
        out = self.scalar(value)
        args = [env[a] if isinstance(a, fx.Node) else self.constant(a) for a in node.args]
        self.kernel(name, [*args, out], node=node)
        return out

    def _sym_size(self, node: fx.Node, env):
        value = node.meta["val"]
        if not is_symbolic(value):
            return self.constant(value)
        out = self.scalar(value)
        source = env[node.args[0]]
        self.kernel(
            "aten::sym_size.int",
            [source, self.constant(node.args[1]), out],
            reads=[source],
            node=node,
        )
        return out

    def _number_of(self, node: fx.Node, env):
        out = self.scalar(node.meta["val"])
        source = env[node.args[0]]
        name = node.target._schema.name
        self.kernel(name, [source, out], reads=[source], node=node)
        return out

    def _reshape(self, node: fx.Node, source: TensorValue) -> TensorValue:
        """Another shape of the same memory."""
        value = node.meta["val"]
        source = self.contiguous(source, node)
        shape = tuple(expr_of(s) for s in value.shape)
        if _same_sizes(shape, source.shape):
            return source
        static = not source.dynamic and not has_symbols(value)
        known_address = source.constant is not None or (source.storage.planned and not source.rebound)
        sizes = tuple(self.bounds.upper(s) for s in value.shape)
        out = TensorValue(
            value.dtype,
            sizes,
            shape,
            tuple(range(len(sizes))),
            not static,
            source.storage,
            source.offset,
        )
        if source.constant is not None and source.storage is None:
            out.constant = source.constant.view(sizes)
            return self._add(out)
        self._add(out)
        if static and known_address:
            return out
        out.rebound = True
        size_list = self._size_list(value.shape, node)
        self.kernel(
            "executorch_prim::et_view.default",
            [source, size_list, out],
            reads=[source],
            writes=[],
            node=node,
        )
        return out

    def _size_list(self, shape, node: fx.Node) -> ListValue:
        """The sizes of a view.  One symbolic size is left for the runtime to infer; others come from
        the node's own arguments."""
        symbolic = [i for i, s in enumerate(shape) if is_symbolic(s)]
        if len(symbolic) <= 1:
            return self.list_of("ints", [self.constant(-1 if is_symbolic(s) else int(s)) for s in shape])
        given = self._given_sizes(node, len(shape))
        items = []
        inferred = False
        for i, s in enumerate(shape):
            if not is_symbolic(s):
                items.append(self.constant(int(s)))
            elif given is not None and isinstance(given[i], Value):
                items.append(given[i])
            elif not inferred:
                items.append(self.constant(-1))
                inferred = True
            else:
                items.append(self._size_of(s, node))
        return self.list_of("ints", items)

    def _given_sizes(self, node: fx.Node, rank: int):
        if node.target in (aten.view.default, aten._unsafe_view.default):
            return [self._env.get(a) if isinstance(a, fx.Node) else a for a in node.args[1]]
        return None

    def _size_of(self, size, node: fx.Node) -> ScalarValue:
        """A symbolic size that no argument names: the size of that dimension of the node's input."""
        source = node.args[0]
        for d, s in enumerate(source.meta["val"].shape):
            if is_symbolic(s) and expr_of(s) == expr_of(size):
                out = self.scalar(size)
                value = self._env[source]
                self.kernel("aten::sym_size.int", [value, self.constant(d), out], reads=[value], node=node)
                return out
        raise cannot(node, f"size {size} cannot be computed here")

    def _contiguous_block(self, node: fx.Node, env) -> TensorValue | None:
        """A slice or selection that is one block of planned memory: a tensor at an offset."""
        if node.target not in (aten.slice.Tensor, aten.select.int):
            return None
        source = env[node.args[0]]
        value = node.meta["val"]
        if (
            not isinstance(source, TensorValue)
            or source.dynamic
            or has_symbols(value)
            or not source.contiguous
            or source.storage is None
            or not source.storage.planned
            or source.storage.persistent
            or source.rebound
            or value.numel() == 0
        ):
            return None
        dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
        dim %= len(source.sizes)
        if any(s != 1 for s in source.sizes[:dim]):
            return None
        if node.target is aten.select.int:
            start, step = node.args[2], 1
        else:
            start = node.args[2] if len(node.args) > 2 else None
            step = node.args[4] if len(node.args) > 4 else 1
        start = 0 if start is None else start
        if not isinstance(start, int) or step != 1:
            return None
        start = max(start + source.sizes[dim], 0) if start < 0 else min(start, source.sizes[dim])
        stride = value.dtype.itemsize
        for s in source.sizes[dim + 1 :]:
            stride *= s
        offset = source.offset + start * stride
        if offset % 16 != 0:
            return None
        sizes = tuple(value.shape)
        return self._add(
            TensorValue(
                value.dtype, sizes, tuple(map(expr_of, sizes)), tuple(range(len(sizes))), False,
                source.storage, offset,
            )
        )  # fmt: skip

    def _delegate(self, node: fx.Node, env):
        lowered = getattr(node.graph.owning_module, node.args[0].target)
        inputs = [self.contiguous(env[a], node) if isinstance(env[a], TensorValue) else env[a]
                  for a in node.args[1:]]  # fmt: skip
        outputs = [
            self.tensor(v) if isinstance(v, torch.Tensor) else self.scalar(v) for v in node.meta["val"]
        ]
        tensors = lambda values: [v for v in values if isinstance(v, TensorValue)]  # noqa: E731
        self.emit(
            Instruction(
                "delegate", [*inputs, *outputs], delegate=lowered, reads=tuple(tensors(inputs)),
                writes=tuple(tensors(outputs)), node=node,
            )
        )  # fmt: skip
        return tuple(outputs)

    # ---------------------------------------------------------------------------------------------
    # Operators

    def _operator(self, node: fx.Node, env, in_place: _InPlace | None):
        op = node.target
        if op is aten.as_strided.default and not node.args[0].meta["val"].is_contiguous():
            raise cannot(node, "as_strided looks at memory of which this view is not the whole")
        given = {}
        for i, a in enumerate(op._schema.arguments):
            if i < len(node.args):
                given[a.name] = node.args[i]
            elif a.name in node.kwargs:
                given[a.name] = node.kwargs[a.name]
            else:
                given[a.name] = a.default_value
        order = self._layout(node, given, env)
        buffer = in_place.target_of(node) if in_place is not None else None
        if buffer is not None and op is aten.index_put.default:
            return self._index_put_in_place(node, given, env, env[buffer])
        variant = out_variant(op)
        if variant is None:
            raise cannot(
                node,
                f"operator {op} has no out variant",
                instead_of(op)
                or "register one with torch.library (name.out), with a kernel of the same name in the runtime",
            )
        outputs = [env[buffer]] if buffer is not None else self._outputs(node, variant, order)
        reads: list[TensorValue] = []
        args: list[Value] = []
        remaining = list(outputs)
        for name, a in zip(variant.arguments, variant.op._schema.arguments, strict=True):
            if name is not None:
                args.append(self._argument(str(a.type), given[name], env, reads))
            elif variant.is_list:
                args.append(self.list_of("tensors", outputs))
            else:
                args.append(remaining.pop(0))
        if variant.is_list or len(outputs) > 1:
            args.append(self.list_of("tensors", outputs))
        else:
            args.append(outputs[0])
        self._offer_in_place(node, outputs, reads)
        self.kernel(f"{variant.name}.{variant.overload}", args, reads=reads, writes=outputs, node=node)
        return outputs[0] if isinstance(node.meta["val"], torch.Tensor) else tuple(outputs)

    def _outputs(self, node: fx.Node, variant, order) -> list[TensorValue]:
        value = node.meta["val"]
        values = [value] if isinstance(value, torch.Tensor) else list(value)
        tensors = [v for v in values if isinstance(v, torch.Tensor)]
        if len(tensors) < variant.outputs and not variant.is_list:
            raise cannot(node, f"operator {node.target} returns {len(tensors)} of {variant.outputs} tensors")
        return [
            self.tensor(v, order=order if order is not None and len(order) == v.dim() else None)
            for v in tensors
        ]

    def _layout(self, node: fx.Node, given: dict, env) -> tuple[int, ...] | None:
        """Brings operands into an order that the operator knows; returns the result's order."""
        tensors = [n for n in node.all_input_nodes if isinstance(env.get(n), TensorValue)]
        orders = {env[n].dim_order for n in tensors if not env[n].contiguous}
        if not orders:
            return None
        pointwise = torch.Tag.pointwise in node.target.tags
        shapes = {env[n].shape for n in tensors if len(env[n].sizes) > 0}
        if len(orders) == 1 and (
            (
                pointwise
                and len(shapes) == 1
                and all(env[n].dim_order in orders for n in tensors if env[n].sizes)
            )
            or node.target is aten.convolution.default
        ):
            return next(iter(orders))
        for n in tensors:
            if not env[n].contiguous:
                env[n] = self.contiguous(env[n], node)
        return None

    def _offer_in_place(self, node: fx.Node, outputs: list[TensorValue], reads: list[TensorValue]) -> None:
        """Tells the planner that an elementwise result may take the place of an operand."""
        if torch.Tag.pointwise not in node.target.tags or len(outputs) != 1:
            return
        out = outputs[0]
        if out.storage is None or not out.storage.planned or out.storage.persistent:
            return
        for r in reads:
            if (
                r.storage is not None
                and r.storage is not out.storage
                and r.offset == 0
                and r.storage.planned
                and not r.storage.persistent
                and r.storage.nbytes == out.storage.nbytes
                and r.dtype == out.dtype
                and r.dim_order == out.dim_order
                and _same_sizes(r.shape, out.shape)
            ):
                out.storage.reuses.append(r.storage)

    def _index_put_in_place(self, node: fx.Node, given: dict, env, buffer: TensorValue) -> TensorValue:
        reads: list[TensorValue] = []
        args = [buffer]
        for name in ("indices", "values", "accumulate"):
            a = next(a for a in node.target._schema.arguments if a.name == name)
            args.append(self._argument(str(a.type), given[name], env, reads))
        self.kernel("aten::index_put_", [*args, buffer], reads=reads, writes=[buffer], node=node)
        return buffer

    def _argument(self, schema_type: str, value, env, reads: list[TensorValue]) -> Value:
        """One argument of a kernel call."""
        if isinstance(value, fx.Node):
            v = env[value]
            if isinstance(v, TensorValue):
                reads.append(v)
            return v
        if isinstance(value, (list, tuple)):
            if "Tensor" in schema_type:
                items = [None if x is None else env[x] for x in value]
                reads.extend(x for x in items if x is not None)
                optional = "Optional" in schema_type or "?" in schema_type
                return self.list_of("optional_tensors" if optional else "tensors", items)
            if "float" in schema_type:
                return self.constant(tuple(float(x) for x in value))
            if "bool" in schema_type:
                return self.constant(tuple(bool(x) for x in value))
            return self.list_of(
                "ints", [env[x] if isinstance(x, fx.Node) else self.constant(int(x)) for x in value]
            )
        if isinstance(value, torch.dtype):
            return self.constant(DTYPE_NUMBER[value])
        if isinstance(value, torch.memory_format):
            return self.constant(0 if value is torch.contiguous_format else 1)
        if isinstance(value, torch.layout):
            return self.constant(0)
        if isinstance(value, torch.device):
            return self.constant(None)
        if schema_type in ("float", "Optional[float]") and value is not None:
            return self.constant(float(value))
        if schema_type in ("int", "Optional[int]") and isinstance(value, bool):
            return self.constant(int(value))
        return self.constant(value)

    # ---------------------------------------------------------------------------------------------
    # The end of the method

    def _output(self, out, env, overwritten: set[int]) -> Value:
        if not isinstance(out, fx.Node):
            return self.constant(out)
        value = env[out]
        if not isinstance(value, TensorValue):
            return value
        if id(value.storage) in overwritten:  # old contents of a buffer, or a view of them
            value = self.clone(value, out)
        if not self.options.alloc_graph_output and value.storage is not None:
            value = self._unplanned(value, out)
        return value

    def _unplanned(self, value: TensorValue, node: fx.Node) -> TensorValue:
        """An output whose memory the caller gives."""
        shared = any(
            isinstance(v, TensorValue) and v is not value and v.storage is value.storage
            for v in self.method.values
        )
        taken = value in self.method.inputs or value in self.method.outputs
        if shared or taken or value.storage.persistent:
            value = self.clone(value, node)
        value.storage.planned = False
        value.storage.reuses.clear()
        for v in self.method.values:  # nobody may take over memory that is not there
            if isinstance(v, TensorValue) and v.storage is not None and value.storage in v.storage.reuses:
                v.storage.reuses.remove(value.storage)
        return value

    def _write_back(self, pending: list[tuple], overwritten: set[int]) -> None:
        """Puts final values into the buffers and inputs that were not updated in place.  `pending`: the
        buffer, its final value, the node of that value."""
        safe = [
            (buffer, self.clone(value, node) if id(value.storage) in overwritten else value, node)
            for buffer, value, node in pending
        ]
        for buffer, value, node in safe:
            self.kernel(
                "aten::copy_",
                [buffer, value, self.constant(False), buffer],
                reads=[value],
                writes=[buffer],
                node=node,
            )


def _changes_order(node: fx.Node) -> bool:
    """A clone or conversion that asks for another order of dimensions in memory."""
    memory_format = node.kwargs.get("memory_format")
    if node.target not in (aten.clone.default, aten._to_copy.default):
        return False
    if memory_format not in (torch.channels_last, torch.channels_last_3d):
        return False
    return node.args[0].meta["val"].dtype == node.meta["val"].dtype


def _occurs(node: fx.Node, arguments) -> bool:
    return any(x is node for x in pytree.tree_leaves(arguments))


class _InPlace:
    """Finds the nodes that may write their result over the buffer they update.

    The chain of a buffer runs from its placeholder through operators that take the last version as
    their first argument, to the final value.  A link may be made in place if every other user of the
    version before it comes earlier in the graph, views of it included.
    """

    def __init__(self, graph: fx.Graph, finals: dict[fx.Node, fx.Node]):
        self._targets: dict[fx.Node, fx.Node] = {}
        position = {n: i for i, n in enumerate(graph.nodes)}
        shared = [f for f in finals.values()]
        for placeholder, final in finals.items():
            if shared.count(final) > 1:
                continue
            chain = self._chain(placeholder, final)
            if chain is None:
                continue
            previous = placeholder
            ok = True
            for link in chain:
                ok = ok and self._only_earlier_users(previous, link, position)
                previous = link
            if ok:
                for link in chain:
                    self._targets[link] = placeholder

    def target_of(self, node: fx.Node) -> fx.Node | None:
        return self._targets.get(node)

    @staticmethod
    def _chain(placeholder: fx.Node, final: fx.Node) -> list[fx.Node] | None:
        chain = []
        node = final
        while node is not placeholder:
            if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
                return None
            value, before = node.meta["val"], placeholder.meta["val"]
            if not isinstance(value, torch.Tensor) or value.dtype != before.dtype:
                return None
            if [expr_of(s) for s in value.shape] != [expr_of(s) for s in before.shape]:
                return None
            in_place = node.target is aten.index_put.default
            elementwise = torch.Tag.pointwise in node.target.tags and node.target not in (
                aten._to_copy.default,
            )
            if not in_place and not elementwise:
                return None
            chain.append(node)
            source = node.args[0]
            if not isinstance(source, fx.Node):
                return None
            node = source
        return chain[::-1]

    @staticmethod
    def _only_earlier_users(version: fx.Node, link: fx.Node, position: dict[fx.Node, int]) -> bool:
        stack = [version]
        while stack:
            tensor = stack.pop()
            for user in tensor.users:
                if user is link:
                    if link.target is aten.index_put.default and _occurs(tensor, link.args[1:]):
                        return False  # it reads what it has written over already
                    continue
                if user.op == "output" or position[user] > position[link]:
                    return False
                if user.target in _RESHAPES or user.target in (aten.slice.Tensor, aten.select.int):
                    stack.append(user)
        return True
