# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Decomposition of operators into smaller ones, node by node.

PyTorch's own `run_decompositions` traces the whole program again.  Here an operator is traced once
for each distinct (operator, dtypes, shapes, attributes), and the little graph is put in place of
every node that it fits: a transformer's thirty layers cost as much as one.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import fx
from torch._dispatch.python import enable_python_dispatcher
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from rushlight.dialect.extra_decompositions import extra_decompositions
from rushlight.dialect.symbolic import GuardError, SizeBuilder, expr_of, is_symbolic, no_new_guards

Table = dict[torch._ops.OpOverload, Callable]


@dataclass(frozen=True)
class _Ref:
    """A tensor in a template: the i-th input, or the j-th output of the i-th step."""

    step: int  # -1: an input
    index: int


@dataclass
class _Step:
    target: torch._ops.OpOverload
    args: tuple
    kwargs: dict
    value: object  # meta["val"]


@dataclass
class _Template:
    """What an operator becomes.  `result` has the structure that the operator returns."""

    steps: list[_Step] = field(default_factory=list)
    result: object = None


class _Recorder(TorchDispatchMode):
    """Runs an operator on fake tensors and writes down the operators it calls."""

    def __init__(self, table: Table, inputs: list[FakeTensor]):
        super().__init__()
        self.table = table
        self.template = _Template()
        self._alive = list(inputs)  # ids stay unique while the tensors live
        self._refs = {id(t): _Ref(-1, i) for i, t in enumerate(inputs)}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        decomposition = self.table.get(func)
        if decomposition is not None:
            with self:
                result = decomposition(*args, **kwargs)
            if result is not NotImplemented:
                return result
        elif _is_composite(func):
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        if func in _SAME_TENSOR:  # PyTorch insists on another object
            same = args[0].detach()
            self._alive.append(same)
            self._refs[id(same)] = self.refer(args[0])
            return same
        out = func(*args, **kwargs)
        if not any(isinstance(t, (torch.Tensor, torch.SymInt)) for t in pytree.tree_leaves(out)):
            return out
        step = len(self.template.steps)
        self.template.steps.append(_Step(func, self.refer(args), self.refer(kwargs), _detached(out)))
        for i, t in enumerate(pytree.tree_leaves(out)):
            if isinstance(t, torch.Tensor):
                self._alive.append(t)
                self._refs[id(t)] = _Ref(step, i)
        return out

    def refer(self, tree):
        """The arguments of a step with references in place of tensors."""

        def one(x):
            if isinstance(x, torch.Tensor):
                if id(x) not in self._refs:
                    raise _NotTraceable(f"a tensor from outside: {x}")
                return self._refs[id(x)]
            return x

        return pytree.tree_map(one, tree)


# Bookkeeping of PyTorch's, not of the model's.
_SAME_TENSOR = {
    torch.ops.aten.detach.default,
    torch.ops.aten.alias.default,
    torch.ops.aten.lift_fresh.default,
}


class _NotTraceable(Exception):
    pass


@functools.cache
def _is_composite(op: torch._ops.OpOverload) -> bool:
    """Whether PyTorch defines the operator by others, and core ATen does not count it as its own."""
    return op.namespace != "prim" and torch.Tag.core not in op.tags and op._can_decompose()


def _detached(tree):
    return pytree.tree_map(lambda t: t.detach() if isinstance(t, torch.Tensor) else t, tree)


def _key_of(x):
    if isinstance(x, torch.Tensor):
        sizes = tuple(str(s) if is_symbolic(s) else s for s in x.shape)
        strides = tuple(str(s) if is_symbolic(s) else s for s in x.stride())
        return ("tensor", x.dtype, sizes, strides)
    if is_symbolic(x):
        return ("size", str(expr_of(x)))
    return (type(x), repr(x))


class Decomposer:
    """Replaces the operators of a graph that are in `table`, or that PyTorch itself defines by
    others, unless they are kept."""

    def __init__(self, table: Table, keep: Callable[[fx.Node], bool]):
        self.table = table
        self.keep = keep
        self._templates: dict[object, _Template | None] = {}

    def run(self, graph: fx.Graph) -> bool:
        """Decomposes in place; returns whether anything changed."""
        modified = False
        sizes = None
        for node in list(graph.nodes):
            if not self._applies(node):
                continue
            if node.target in _SAME_TENSOR:
                replace(node, node.args[0])
                modified = True
                continue
            template = self._template(node)
            if template is None:
                continue
            if sizes is None:
                sizes = SizeBuilder(graph)
            _instantiate(template, node, graph, sizes)
            modified = True
        return modified

    def _applies(self, node: fx.Node) -> bool:
        if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
            return False
        if not any(isinstance(v, torch.Tensor) for v in pytree.tree_leaves(node.meta.get("val"))):
            return False  # sizes and assertions
        if self.keep(node):
            return False
        if node.target in self.table or node.target in _SAME_TENSOR:
            return True
        return _is_composite(node.target)

    def _template(self, node: fx.Node) -> _Template | None:
        leaves, spec = pytree.tree_flatten((node.args, node.kwargs))
        values = [x.meta["val"] if isinstance(x, fx.Node) else x for x in leaves]
        key = (node.target, spec, tuple(_key_of(v) for v in values))
        if key not in self._templates:
            self._templates[key] = self._trace(node.target, values, spec, fake_mode_of(node.graph))
        return self._templates[key]

    def _trace(self, target, values, spec, fake_mode) -> _Template | None:
        """None: the operator stays whole."""
        # Each input is a tensor of its own, even where the node takes one tensor twice.
        with fake_mode:
            inputs = [v.detach() for v in values if isinstance(v, torch.Tensor)]
        supply = iter(inputs)
        filled = [next(supply) if isinstance(v, torch.Tensor) else v for v in values]
        args, kwargs = pytree.tree_unflatten(filled, spec)
        recorder = _Recorder(self.table, inputs)
        decomposition = self.table.get(target, target.decompose)
        try:
            # The dispatcher prefers Python's decompositions, which take sizes as symbols.
            with fake_mode, torch.no_grad(), enable_python_dispatcher(), no_new_guards(fake_mode), recorder:
                result = decomposition(*args, **kwargs)
        except (_NotTraceable, GuardError, GuardOnDataDependentSymNode):
            return None  # it would be right for some sizes only
        except RuntimeError:
            return None  # PyTorch refuses these arguments, such as writes to memory that is shared by itself
        if result is NotImplemented:
            return None
        recorder.template.result = recorder.refer(result)
        return recorder.template


def fake_mode_of(graph: fx.Graph) -> FakeTensorMode:
    """The fake mode that a graph's values belong to."""
    for node in graph.nodes:
        for value in pytree.tree_leaves(node.meta.get("val")):
            if isinstance(value, FakeTensor):
                return value.fake_mode
    return FakeTensorMode()


def _instantiate(template: _Template, node: fx.Node, graph: fx.Graph, sizes: SizeBuilder) -> None:
    """Puts a template in place of a node."""
    leaves = pytree.tree_leaves((node.args, node.kwargs))
    inputs = [x for x in leaves if isinstance(x, fx.Node) and isinstance(x.meta["val"], torch.Tensor)]
    made: list[fx.Node] = []
    parts: dict[_Ref, fx.Node] = {}

    def resolve(x):
        if isinstance(x, _Ref):
            if x.step < 0:
                return inputs[x.index]
            step = made[x.step]
            if isinstance(step.meta["val"], torch.Tensor):
                return step
            if x not in parts:
                part = graph.call_function(operator.getitem, (step, x.index))
                part.meta["val"] = step.meta["val"][x.index]
                inherit(part, node)
                parts[x] = part
            return parts[x]
        if is_symbolic(x):
            return sizes.build(x)
        return x

    with graph.inserting_before(node):
        for step in template.steps:
            args, kwargs = pytree.tree_map(resolve, (step.args, step.kwargs))
            new = graph.call_function(step.target, args, kwargs)
            new.meta["val"] = step.value
            inherit(new, node)
            made.append(new)
        result = pytree.tree_map(resolve, template.result)
    replace(node, result)


def inherit(new: fx.Node, old: fx.Node) -> None:
    """Gives a node the provenance (source line, module) of the one it comes from."""
    for key in ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node"):
        if key in old.meta:
            new.meta[key] = old.meta[key]


def replace(node: fx.Node, result) -> None:
    """Replaces a node by a node, or by a tuple of nodes where its users take its parts."""
    if isinstance(result, fx.Node):
        node.replace_all_uses_with(result)
    elif isinstance(result, (tuple, list)):
        for user in list(node.users):
            if user.target is operator.getitem:
                user.replace_all_uses_with(result[user.args[1]])
                user.graph.erase_node(user)
            else:
                user.replace_input_with(node, list(result))
    else:
        raise TypeError(f"cannot replace {node} by {result!r}")
    node.graph.erase_node(node)


def core_aten_table(extra: Table | None = None, without: Iterable = ()) -> Table:
    """PyTorch's decompositions into core ATen operators, with `extra` ones added."""
    table = dict(torch.export.default_decompositions().items())
    table.update(extra_decompositions())
    table.update(extra or {})
    for op in without:
        table.pop(op, None)
    return table
