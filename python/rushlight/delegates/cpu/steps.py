# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""A partition as the steps of a plan (format/cpu_plan.fbs)."""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from rushlight import _native
from rushlight.delegates.backend import (
    BackendDetails,
    CompileSpec,
    NamedData,
    PreprocessResult,
    StoredWeights,
)
from rushlight.delegates.cpu.forms import (
    ACTIVATIONS,
    ALIASES,
    ATTENTION,
    Forms,
    activation_of,
    affine_of,
    fused_gate,
    group_size,
    is_columns,
    is_last,
    length_of,
    scale_of,
)
from rushlight.delegates.cpu.ops import CACHED_ATTENTION, ROPE
from rushlight.delegates.cpu.weights import CACHES, IntegerForm, Quantization, interleaved, pack_as, stacked
from rushlight.dialect.symbolic import Bounds, expr_of
from rushlight.export.importer import tensor_of
from rushlight.obstacles import CompileError, Obstacle
from rushlight.passes.base import input_specs

aten = torch.ops.aten
TOKENS, POSITIONS, ROWS_IN, ROWS_OUT, MASK = range(5)


class RushlightCpu(BackendDetails):
    @staticmethod
    def preprocess(edge_program: ExportedProgram, compile_specs: list[CompileSpec]) -> PreprocessResult:
        options = {spec.key: spec.value for spec in compile_specs}
        quantization = Quantization(**json.loads(options["quantization"]))
        return _Planner(edge_program, quantization).run()


@dataclass(eq=False)
class Row:
    """Floats of each row: a buffer, or an argument."""

    width: int
    single: bool
    argument: int | None = None
    offset: int = 0
    index: int = -1


@dataclass(frozen=True)
class Part:
    """Columns of a Row."""

    row: Row
    column: int
    width: int

    @property
    def place(self) -> tuple[bool, int, int]:
        if self.row.argument is not None:
            return True, self.row.argument, self.column
        return False, self.row.index, self.column


@dataclass
class Step:
    reads: list[Part]
    writes: Part
    emit: Callable[[_native.CpuPlanWriter], None]


class _Planner:
    def __init__(self, program: ExportedProgram, quantization: Quantization):
        self.program = program
        self.quantization = quantization
        self.specs = input_specs(program)
        self.constants = {n: s for n, s in self.specs.items() if s.kind != InputKind.USER_INPUT}
        self.forms = Forms(program.graph, self.constants)
        self.steps: list[Step] = []
        self.part: dict[fx.Node, Part] = {}
        self.matrices: dict[object, int] = {}
        self.packed = []
        self.weights: list[StoredWeights] = []
        self.vectors: dict[object, int] = {}
        self.vector_tensors: list[torch.Tensor] = []
        self.caches: list[tuple] = []
        self.arguments: list[tuple] = []
        self.data: dict[str, NamedData] = {}
        self.order = {n: i for i, n in enumerate(program.graph.nodes)}

    # -- The whole --

    def run(self) -> PreprocessResult:
        graph = self.program.graph
        self.outputs = list(graph.output_node().args[0])
        rows = [f.rows for f in self.forms.form.values() if f.rows is not None]
        rows += [self.forms.of(n.args[0]).rows for n in self.forms.form if is_last(n)]
        self.rows = next((r for r in rows if r != 1), rows[0])
        self._inputs()
        for node in graph.nodes:
            if node.op == "call_function" and node not in self.part and not self._absorbed(node):
                self._step(node)
        writer = self._write(self._place_buffers())
        return PreprocessResult(writer.to_bytes(), named_data=list(self.data.values()), weights=self.weights)

    def _inputs(self) -> None:
        uses = lambda n, target, at: any(u.target is target and u.args[at] is n for u in n.users)  # noqa: E731
        self.row_argument = self.position_argument = -1
        for node, spec in self.specs.items():
            if spec.kind != InputKind.USER_INPUT:
                continue
            index, value = len(self.arguments), node.meta["val"]
            if not isinstance(value, torch.Tensor):
                raise NotImplementedError(f"{node} is a number")
            if uses(node, aten.embedding.default, 1):
                self.arguments.append((TOKENS, 0, False, [], -1))
                self.row_argument = index
            elif uses(node, ATTENTION, 3):
                self.arguments.append((MASK, 0, False, [], -1))
            elif value.dtype == torch.int64:
                self.arguments.append((POSITIONS, 0, False, [], -1))
                self.position_argument = index
                if self.row_argument < 0:
                    self.row_argument = index
            else:
                form = self.forms.of(node)
                single = form.rows != self.rows
                self.arguments.append((ROWS_IN, form.width, single, [], -1))
                self.part[node] = Part(Row(form.width, single, index), 0, form.width)
                if self.row_argument < 0 and not single:
                    self.row_argument = index
        for node in self.outputs:
            form = self.forms.of(node)
            leading = [s if isinstance(s, int) else -1 for s in node.meta["val"].shape[:-1]]
            single = form.rows != self.rows
            like = -1 if single or leading.count(-1) < 2 else self._like(node)
            self.arguments.append((ROWS_OUT, form.width, single, leading if like < 0 else [], like))

    def _like(self, node: fx.Node) -> int:
        """The argument that has an output's leading sizes."""
        sizes = [expr_of(s) for s in node.meta["val"].shape[:-1]]
        for i, user in enumerate(self._user_inputs()):
            shape = [expr_of(s) for s in user.meta["val"].shape]
            kind = self.arguments[i][0]
            if kind in (TOKENS, ROWS_IN) and sizes == shape[: len(shape) - (kind == ROWS_IN)]:
                return i
        raise NotImplementedError(f"no input has the sizes of {node}")

    def _output_row(self, node: fx.Node) -> Row | None:
        if node not in self.outputs:
            return None
        index = len(self.arguments) - len(self.outputs) + self.outputs.index(node)
        _, width, single, *_ = self.arguments[index]
        return Row(width, single, index)

    def new(self, node: fx.Node) -> Part:
        """Memory for a node's value: the output's, where it is one."""
        form = self.forms.form[node]
        row = self._output_row(node) or Row(form.width, form.rows != self.rows)
        self.part[node] = Part(row, 0, form.width)
        return self.part[node]

    def add(self, reads: list[Part], writes: Part, emit) -> None:
        self.steps.append(Step(reads, writes, emit))

    # -- Constants --

    def tensor(self, node: fx.Node) -> torch.Tensor:
        return tensor_of(self.program, self.constants[node]).detach()

    def vector(self, node: fx.Node | None) -> int:
        if node is None:
            return -1
        return self.vector_of(_memory(self.tensor(node)), lambda: self.tensor(node))

    def vector_of(self, key, make) -> int:
        if key not in self.vectors:
            self.vectors[key] = len(self.vector_tensors)
            self.vector_tensors.append(make().to(torch.float32).contiguous())
        return self.vectors[key]

    def matrix(self, nodes: list[fx.Node], join=stacked) -> int:
        """Packed weights of parameters [n, k]."""
        parameters = [tensor_of(self.program, self.constants[n]) for n in nodes]
        forms = {self.stored_form(n) for n in nodes}
        form = forms.pop() if len(forms) == 1 else "float32"
        key = (tuple(map(_memory, parameters)), form)
        if key not in self.matrices:
            try:
                packed = pack_as(form, parameters, join, self.quantization)
            except _native.Error as error:
                names = ", ".join(dict.fromkeys(map(self.name, nodes)))
                what = f"the weights {names} cannot be packed: {error}"
                advice = "look for numbers in them, or in their scales, that are not finite"
                raise CompileError([Obstacle(what, advice=advice)]) from error
            self.matrices[key] = len(self.packed)
            self.data[packed.key] = NamedData(packed.key, packed.data)
            self.packed.append(packed)
            names = tuple(dict.fromkeys(self.name(n) for n in nodes))
            numbers = packed.outputs * packed.inputs
            format = f"{form.format} as it came" if isinstance(form, IntegerForm) else form
            self.weights.append(StoredWeights(names, format, numbers, len(packed.data), packed.error))
        return self.matrices[key]

    def stored_form(self, weight: fx.Node) -> str | IntegerForm:
        return self.quantization.form_of(self.name(weight), tensor_of(self.program, self.constants[weight]))

    def name(self, constant: fx.Node) -> str:
        """As the model calls it, or calls what it was made of (Context.derived)."""
        return self.constants[constant].target.partition(":")[0]

    def activations(self, linear: fx.Node) -> str:
        """What a product takes its rows as, if its weights are integers."""
        weight = linear.args[1]
        return self.quantization.activations_of(
            self.name(weight), tensor_of(self.program, self.constants[weight])
        )

    def alike(self, a: fx.Node, b: fx.Node) -> bool:
        """Whether two products' weights can be one matrix."""
        same = self.stored_form(a.args[1]) == self.stored_form(b.args[1])
        return same and self.activations(a) == self.activations(b)

    # -- Steps --

    def _absorbed(self, node: fx.Node) -> bool:
        """Whether a node is part of another's step."""
        if node.target in ACTIVATIONS:
            return fused_gate(node, self.forms)
        if node.target is not aten.linear.default:
            return node.target is operator.getitem and node.args[1] != 0
        if len(node.users) != 1 or node in self.outputs:
            return False
        user = next(iter(node.users))
        if user.target in ACTIVATIONS:
            return self._gate_of(user) is not None or not fused_gate(user, self.forms)
        if user.target is aten.mul.Tensor:
            gate = self._gate(user)
            return gate is not None and node in gate[1:]
        return user.target is aten.add.Tensor and self._residual_of(user) is node

    def _gate(self, node: fx.Node):
        """(activation, gate linear, other linear) of act(linear(x)) * linear(x)."""
        if node.target is not aten.mul.Tensor or scale_of(node, self.forms) is not None:
            return None
        for act, other in (node.args, node.args[::-1]):
            if act.target not in ACTIVATIONS or not fused_gate(act, self.forms):
                continue
            gate = act.args[0]
            if not (gate.target is other.target is aten.linear.default):
                continue
            if len(gate.users) != 1 or len(other.users) != 1 or gate.args[0] is not other.args[0]:
                continue
            same = gate.meta["val"].shape[-1] == other.meta["val"].shape[-1]
            if same and self.alike(gate, other) and gate is not other:
                return act, gate, other
        return None

    def _gate_of(self, act: fx.Node):
        user = next(iter(act.users))
        return self._gate(user) if user.target is aten.mul.Tensor else None

    def _residual_of(self, node: fx.Node) -> fx.Node | None:
        """The product that an addition is part of."""
        if affine_of(node, self.forms) is not None:
            return None
        for linear, other in (node.args[::-1], node.args):
            if linear.target is aten.linear.default and len(linear.users) == 1 and other is not linear:
                return linear
        return None

    def _step(self, node: fx.Node) -> None:
        target = node.target
        if target is aten.linear.default:
            self._linear(node)
        elif target in ACTIVATIONS:
            self._matmul([node.args[0]], self.new(node), activation=activation_of(node))
        elif target is aten.embedding.default:
            self._embed(node)
        elif target in (aten.rms_norm.default, aten.layer_norm.default):
            self._norm(node)
        elif target is aten.add.Tensor:
            self._add(node)
        elif target is aten.mul.Tensor:
            self._mul(node)
        elif target is ATTENTION:
            self._self_attention(node)
        elif target in ALIASES:
            self._alias(node, self.part[node.args[0]])
        elif is_columns(node):
            whole, first = self.part[node.args[0]], node.args[2] if len(node.args) > 2 else 0
            self._alias(node, Part(whole.row, whole.column + first, self.forms.form[node].width))
        elif is_last(node):
            source, out = self.part[node.args[0]], self.new(node)
            self.add([source], out, lambda w: w.last(source.place, out.place, out.width))
        elif target is ROPE:
            self._rope(node)
        elif target is CACHED_ATTENTION:
            self._attention(node)
        elif target is operator.getitem:
            self._alias(node, self.part[node.args[0]])
        else:
            raise NotImplementedError(f"no step for {node.target}")

    def _alias(self, node: fx.Node, part: Part) -> None:
        if node in self.outputs:
            out = self.new(node)
            self.add([part], out, lambda w: w.scale(part.place, out.place, out.width, 1.0))
        else:
            self.part[node] = part

    def _embed(self, node: fx.Node) -> None:
        weight, ids = node.args[:2]
        tokens = self._user_inputs().index(ids)
        matrix, out = self.matrix([weight]), self.new(node)
        self.add([], out, lambda w: w.embed(tokens, matrix, out.place))

    def _user_inputs(self) -> list[fx.Node]:
        return [n for n, s in self.specs.items() if s.kind == InputKind.USER_INPUT]

    def _norm(self, node: fx.Node) -> None:
        layer = node.target is aten.layer_norm.default
        x, shape, weight, *rest = (*node.args, None, None)[: 5 if layer else 4]
        bias, eps = rest if layer else (None, rest[0])
        eps = 1e-5 if eps is None else float(eps)
        source, out, size = self.part[x], self.new(node), shape[0]
        w_index, b_index = self.vector(weight), self.vector(bias)
        self.add(
            [source], out,
            lambda w: w.norm(
                int(layer), source.place, out.place, size, out.width // size, w_index, b_index, eps
            ),
        )  # fmt: skip

    def _linear(self, node: fx.Node) -> None:
        """A product, together with those of the same input that nothing else takes up."""
        siblings = [
            u
            for u in node.args[0].users
            if u.target is aten.linear.default and u in self.forms.form and not self._absorbed(u)
            and u not in self.outputs and u not in self.part and self.alike(u, node)
        ]  # fmt: skip
        if node in self.outputs or len(siblings) < 2:
            self._matmul([node], self.new(node))
            return
        siblings.sort(key=self.order.__getitem__)
        form = self.forms.form[node]
        width = sum(self.forms.form[s].width for s in siblings)
        out = Part(Row(width, form.rows != self.rows), 0, width)
        column = 0
        for s in siblings:
            self.part[s] = Part(out.row, column, self.forms.form[s].width)
            column += self.forms.form[s].width
        self._matmul(siblings, out)

    def _bias(self, linears: list[fx.Node], join) -> int:
        biases = [n.args[2] if len(n.args) > 2 else None for n in linears]
        if not any(b is not None for b in biases):
            return -1
        make = lambda: join(  # noqa: E731
            [
                self.tensor(b) if b is not None else torch.zeros(n.meta["val"].shape[-1])
                for b, n in zip(biases, linears, strict=True)
            ]
        )
        return self.vector_of(tuple(linears), make)

    def _matmul(self, linears, out: Part, activation=0, gated=False, residual: Part | None = None) -> None:
        join = (lambda parts: interleaved(*parts)) if gated else stacked
        matrix = self.matrix([n.args[1] for n in linears], join)
        bias = self._bias(linears, join)
        source, floats = self.part[linears[0].args[0]], self.activations(linears[0]) == "float32"
        reads = [source, *([residual] if residual else [])]
        self.add(
            reads, out,
            lambda w: w.matmul(
                source.place, out.place, matrix, bias, residual.place if residual else None, activation,
                gated, out.width, floats, self.quantization.activations == "bfloat16",
            ),
        )  # fmt: skip

    def _groups(self, size) -> tuple[int, int]:
        """(most rows of a group, the argument that tells how many there are, or -1)"""
        if isinstance(size, int) or size.is_number:
            return int(size), -1
        for i, node in enumerate(self._user_inputs()):
            if length_of(node.meta["val"], self.arguments[i][0] == ROWS_IN) == size:
                return Bounds(dict(self.program.range_constraints)).upper(size), i
        raise NotImplementedError(f"no argument has {size} rows")

    def _affine(self, node: fx.Node) -> bool:
        affine = affine_of(node, self.forms)
        if affine is None:
            return False
        x, constant, size = affine
        vectors = [-1, -1]
        vectors[node.target is aten.add.Tensor] = self.vector(constant)
        source, out, groups = self.part[x], self.new(node), self._groups(size)
        self.add([source], out, lambda w: w.affine(source.place, out.place, out.width, *vectors, groups))
        return True

    def _add(self, node: fx.Node) -> None:
        if self._affine(node):
            return
        linear = self._residual_of(node)
        if linear is not None and linear not in self.part:
            other = node.args[0] if node.args[1] is linear else node.args[1]
            residual = self.part[other]
            self._matmul([linear], self.new(node), residual=residual)
            return
        a, b = (self.part[x] for x in node.args)
        out = self.new(node)
        self.add([a, b], out, lambda w: w.add(a.place, b.place, out.place, out.width))

    def _mul(self, node: fx.Node) -> None:
        factor = scale_of(node, self.forms)
        if factor is not None:
            number = factor if isinstance(factor, float) else float(self.tensor(factor))
            source, out = self.part[node.args[0]], self.new(node)
            self.add([source], out, lambda w: w.scale(source.place, out.place, out.width, number))
            return
        if self._affine(node):
            return
        gate = self._gate(node)
        if gate is not None:
            act, first, second = gate
            self._matmul([first, second], self.new(node), activation=activation_of(act), gated=True)
            return
        a, b, activation = *node.args, 0
        for act, other in ((a, b), (b, a)):
            if act.target in ACTIVATIONS and fused_gate(act, self.forms):
                a, b, activation = act.args[0], other, activation_of(act)
                break
        x, y, out = self.part[a], self.part[b], self.new(node)
        self.add([x, y], out, lambda w: w.gate(activation, x.place, y.place, out.place, out.width))

    def _rope(self, node: fx.Node) -> None:
        x, positions, cos, sin, interleaved = node.args
        part = self.part[x]
        self.part[node] = part  # in place: forms.py says that nobody else reads it
        _, heads, _, size = x.meta["val"].shape
        groups = self._groups(group_size(node)) if positions is None else None
        rotary = 2 * cos.meta["val"].shape[1]
        c, s = self.vector(cos), self.vector(sin)
        self.add(
            [part], part, lambda w: w.rope(part.place, heads, size, rotary, int(interleaved), c, s, groups)
        )

    def _attention(self, node: fx.Node) -> None:
        query, key, value, key_cache, value_cache, _, scale, window, softcap, sinks = node.args
        q, k, v = (self.part[x] for x in (query, key, value))
        _, heads, positions, size = key_cache.meta["val"].shape
        value_size = value_cache.meta["val"].shape[-1]
        cache = len(self.caches)
        names = [self.constants[c].target for c in (key_cache, value_cache)]
        kind = CACHES[self.quantization.cache]
        self.caches.append((*names, kind, heads, size, value_size, positions))
        out, sink = self.new(node), self.vector(sinks)
        query_heads = query.meta["val"].shape[1]
        self.add(
            [q, k, v], out,
            lambda w: w.attention(
                q.place, k.place, v.place, out.place, query_heads, cache, window, scale, softcap, sink
            ),
        )  # fmt: skip

    def _self_attention(self, node: fx.Node) -> None:
        query, key, value, mask, causal, scale, softcap, sinks = node.args
        q, k, v = (self.part[x] for x in (query, key, value))
        _, heads, _, size = query.meta["val"].shape
        _, kv_heads, _, value_size = value.meta["val"].shape
        argument = -1 if mask is None else self._user_inputs().index(mask)
        kind = CACHES["bfloat16" if self.quantization.cache == "bfloat16" else "float32"]
        out, sink, groups = self.new(node), self.vector(sinks), self._groups(group_size(node))
        self.add(
            [q, k, v], out,
            lambda w: w.self_attention(
                q.place, k.place, v.place, out.place, heads, kv_heads, size, value_size, groups, causal,
                scale, softcap or 0.0, sink, argument, kind,
            ),
        )  # fmt: skip

    # -- Memory, and the file --

    def _place_buffers(self) -> list[Row]:
        """The buffers, with their offsets, in floats of a row: first fit by their lifetimes."""
        lives: dict[Row, list[int]] = {}
        for i, step in enumerate(self.steps):
            for part in (*step.reads, step.writes):
                if part.row.argument is None:
                    lives.setdefault(part.row, [i, i])[1] = i
        placed: list[Row] = []
        for row, (begin, end) in lives.items():
            row.width = _stride(row.width)
            busy = sorted(
                (p.offset, p.offset + p.width) for p in placed if lives[p][1] >= begin and lives[p][0] <= end
            )
            offset = 0
            for low, high in busy:
                if low - offset >= row.width:
                    break
                offset = max(offset, high)
            row.offset = offset
            placed.append(row)
        return placed

    def _write(self, buffers: list[Row]) -> _native.CpuPlanWriter:
        bounds = Bounds(dict(self.program.range_constraints))
        w = _native.CpuPlanWriter(bounds.upper(self.rows), self.row_argument, self.position_argument)
        for argument in self.arguments:
            w.add_argument(*argument)
        for m in self.packed:
            w.add_matrix(m.key, m.format, m.outputs, m.inputs, m.group, m.minimum, m.scale)
        for cache in self.caches:
            w.add_cache(*cache)
        for row in buffers:
            row.index = w.add_buffer(row.offset, row.width, row.single)
        self._write_vectors(w)
        for step in self.steps:
            step.emit(w)
        return w

    def _write_vectors(self, w: _native.CpuPlanWriter) -> None:
        data, places = bytearray(), []
        for t in self.vector_tensors:
            data.extend(bytes(-len(data) % 64))
            places.append((len(data), t.numel()))
            data.extend(t.numpy().tobytes())
        if places:
            key = "rushlight.cpu." + hashlib.sha256(data).hexdigest()[:32]
            self.data[key] = NamedData(key, bytes(data))
            w.set_vectors(key, places)


def _memory(t: torch.Tensor) -> tuple:
    """Equal for tensors that are one: not for a square matrix and the same turned."""
    return t.data_ptr(), tuple(t.shape), t.stride()


def _stride(width: int) -> int:
    """Floats between rows: whole lines, and not so that rows lie 4 KiB apart, which compete in caches."""
    width = -(-width // 16) * 16
    return width + 16 if width % 1024 == 0 else width
