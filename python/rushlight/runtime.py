# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Loading and running program files.  Needs NumPy only; tensors of PyTorch's (or of anything else that
speaks DLPack) come in and go out as what they are.

    model = rushlight.load("model.pte")
    y = model(x)
"""

from __future__ import annotations

import json
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path

import numpy as np

from rushlight import _native

Error = _native.Error


class Tree:
    """The structure of a method's inputs or outputs: nested tuples, lists and dicts with tensors as
    leaves.  Built from the text that the compiler put into the program."""

    def __init__(self, text: str):
        self.root = None
        if text:
            try:
                version, root = json.loads(text)
            except (ValueError, TypeError):
                return
            self.root = root if version == 1 and _is_known(root) else None

    @property
    def known(self) -> bool:
        return self.root is not None

    def unflatten(self, leaves: Sequence):
        """The structure with these leaves; a plain list where the structure is not known."""
        if self.root is None:
            return list(leaves)
        supply = iter(leaves)
        return _build(self.root, supply)

    def arguments(self, args: Sequence, kwargs: Mapping) -> list:
        """Positional and keyword arguments of a call, flattened in the method's order.  Keyword arguments
        may be given by position, in their order."""
        if self.root is None:
            if kwargs:
                raise TypeError("this program does not know its arguments' names; pass them in order")
            return list(args)
        positional, named = (node["children_spec"] for node in self.root["children_spec"])
        names = _keys(self.root["children_spec"][1])
        takes = f"the method takes {len(positional)} positional arguments" + (
            f" and {names}" if names else ""
        )
        if len(args) < len(positional):
            raise TypeError(f"{len(args)} positional arguments given; {takes}")
        by_position = dict(zip(names, args[len(positional) :], strict=False))
        if len(args) > len(positional) + len(names):
            raise TypeError(f"too many arguments; {takes}")
        for name in kwargs:
            if name not in names:
                raise TypeError(f"unexpected argument {name!r}; {takes}")
            if name in by_position:
                raise TypeError(f"argument {name!r} given twice; {takes}")
        given = {**by_position, **kwargs}
        leaves: list = []
        for i, node in enumerate(positional):
            _flatten(node, args[i], f"argument {i}", leaves)
        for name, node in zip(names, named, strict=True):
            if name not in given:
                raise TypeError(f"missing argument {name!r}; {takes}")
            _flatten(node, given[name], f"argument {name!r}", leaves)
        return leaves


_CONTAINERS = ("builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict")


def _is_known(node) -> bool:
    if not isinstance(node, dict) or "children_spec" not in node:
        return False
    if node.get("type") is None:
        return not node["children_spec"]
    return node["type"] in _CONTAINERS and all(_is_known(c) for c in node["children_spec"])


def _keys(node) -> list:
    """The keys of a dict's node, in the order of its children."""
    return json.loads(node["context"]) if node["children_spec"] else []


def _build(node, supply):
    if node["type"] is None:
        return next(supply)
    children = [_build(c, supply) for c in node["children_spec"]]
    if node["type"] == "builtins.tuple":
        return tuple(children)
    if node["type"] == "builtins.list":
        return children
    kind = OrderedDict if node["type"] == "collections.OrderedDict" else dict
    return kind(zip(_keys(node), children, strict=True))


def _flatten(node, value, where: str, leaves: list) -> None:
    """Appends the leaves of an argument, which must have the structure of `node`."""
    if node["type"] is None:
        leaves.append(value)
        return
    children = node["children_spec"]
    if node["type"] in ("builtins.tuple", "builtins.list"):
        if not isinstance(value, (tuple, list)) or len(value) != len(children):
            got = f"one of {len(value)}" if isinstance(value, (tuple, list)) else f"a {type(value).__name__}"
            raise TypeError(f"{where}: expected a list or tuple of {len(children)} items, not {got}")
        for i, child in enumerate(children):
            _flatten(child, value[i], f"{where}[{i}]", leaves)
        return
    keys = _keys(node)
    if is_dataclass(value):
        value = {key: getattr(value, key) for key in keys if hasattr(value, key)}
    if not isinstance(value, Mapping) or set(value) != set(keys):
        got = f"the keys {list(value)}" if isinstance(value, Mapping) else f"a {type(value).__name__}"
        raise TypeError(f"{where}: expected a dict with the keys {keys}, not {got}")
    for key, child in zip(keys, children, strict=True):
        _flatten(child, value[key], f"{where}[{key!r}]", leaves)


def _is_torch(value) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _ready(value, expected: dict):
    """An input in the layout that the method was compiled for.  Copies only where it must."""
    if expected["kind"] != "tensor":
        return value.item() if hasattr(value, "item") and not _is_torch(value) else value
    if _is_torch(value):
        value = value.detach()
        if value.device.type != "cpu":
            value = value.cpu()
    elif not isinstance(value, np.ndarray) and not hasattr(value, "__dlpack__"):
        value = np.asarray(value)
    order = expected["dim_order"]
    rank = len(value.shape)
    if len(order) != rank:
        return value  # the runtime says what is wrong
    inverse = [order.index(d) for d in range(rank)]
    if _is_torch(value):
        return value.permute(order).contiguous().permute(inverse)
    return np.ascontiguousarray(np.asarray(value).transpose(order)).transpose(inverse)


class LoadedMethod:
    """One method of a loaded program: call it with the arguments that the model took."""

    def __init__(self, module: _native.Module, name: str):
        self._module = module
        self.name = name
        self.meta = module.method_meta(name)
        self._inputs = Tree(self.meta["input_tree"])
        self._outputs = Tree(self.meta["output_tree"])

    def __call__(self, *args, **kwargs):
        flat = self._inputs.arguments(args, kwargs)
        as_torch = any(_is_torch(v) for v in flat)
        return self._outputs.unflatten(self._run(flat, as_torch))

    def execute(self, inputs: Sequence, outputs: Sequence = (), **options) -> list:
        """Runs on flat inputs; returns flat outputs.  `outputs`: arrays (or None) that outputs are
        written to, where the program was compiled without memory for them (MemoryPlanningPass:
        alloc_graph_output=False); 16-byte aligned, and as large as the output can be.
        `max_instructions` and `max_nanoseconds` bound the run; `threads`: at most as many as the program
        was loaded for, 0 for all of them."""
        as_torch = any(_is_torch(v) for v in (*inputs, *outputs))
        return self._run(list(inputs), as_torch, outputs=list(outputs), **options)

    def _run(self, flat: list, as_torch: bool, **options) -> list:
        expected = self.meta["inputs"]
        if len(flat) == len(expected):
            flat = [_ready(v, e) for v, e in zip(flat, expected, strict=True)]
        outputs = self._module.execute(self.name, flat, **options)
        return [_give(v, as_torch) for v in outputs]


def _give(value, as_torch: bool):
    if not hasattr(value, "__dlpack__"):
        return value
    if as_torch:
        return sys.modules["torch"].from_dlpack(value)
    if str(getattr(value, "dtype", "")) == "bfloat16":
        raise TypeError("NumPy has no bfloat16: call the program with PyTorch tensors")
    return np.from_dlpack(value)


class LoadedProgram:
    """A program file, loaded.  Calling it calls `forward`; other methods are attributes."""

    def __init__(self, module: _native.Module):
        self._module = module
        self.method_names: list[str] = module.method_names
        self._methods: dict[str, LoadedMethod] = {}

    def method(self, name: str) -> LoadedMethod:
        if name not in self._methods:
            self._methods[name] = LoadedMethod(self._module, name)
        return self._methods[name]

    def __call__(self, *args, **kwargs):
        return self.method("forward")(*args, **kwargs)

    def __getattr__(self, name: str):
        if name.startswith("_") or name not in self.method_names:
            raise AttributeError(f"no method {name!r}; there are {self.method_names}")
        return self.method(name)

    def share(self) -> LoadedProgram:
        """Another state over the same file, for another thread."""
        return LoadedProgram(self._module.share())

    def reset_state(self) -> None:
        """Puts all buffers back to what they were after loading."""
        self._module.reset_state()

    @property
    def threads(self) -> int:
        """Most threads that a call uses."""
        return self._module.threads

    @property
    def named_data(self) -> dict[str, bytes]:
        return {k: self._module.named_data(k) for k in self._module.named_data_keys()}


def load(
    program,
    *,
    data_files: Sequence = (),
    access: str = "map",
    memory_limit: int = 0,
    threads: int = 0,
) -> LoadedProgram:
    """Loads a program: a path, or bytes.  `data_files`: external weights (.ptd); `access`: "map", or
    "read" for files that may change; `memory_limit`: bytes, 0 for what the machine has; `threads`: that a
    call may use, 0 for one for each CPU that this process may run on.  Results do not depend on it."""
    files = [str(Path(f)) for f in data_files]
    if isinstance(program, (bytes, bytearray, memoryview)):
        return LoadedProgram(_native.Module.from_bytes(bytes(program), files, memory_limit, threads))
    return LoadedProgram(_native.Module.load(str(program), access, files, memory_limit, threads))
