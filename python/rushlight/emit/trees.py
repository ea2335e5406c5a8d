# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The structure of inputs and outputs as text, in the notation of PyTorch's treespec_dumps.

A program file outlives the classes that a model's file defined, so only Python's own containers are
written: a named tuple becomes a tuple; a dataclass, or another class with named parts (the outputs of
Transformers models), a dict.
"""

from __future__ import annotations

import collections
import json
from dataclasses import is_dataclass

from torch.utils import _pytree as pytree

_VERSION = 1


def tree_text(spec: pytree.TreeSpec | None) -> str:
    """The text of a structure; empty where there is none that Python's containers can express."""
    try:
        return "" if spec is None else json.dumps([_VERSION, _node(spec)])
    except (TypeError, ValueError):
        return ""  # callers see a flat list


def _node(spec: pytree.TreeSpec) -> dict:
    if spec.is_leaf():
        return {"type": None, "context": None, "children_spec": []}
    kind, context = _container(spec)
    return {
        "type": kind,
        "context": json.dumps(context),
        "children_spec": [_node(child) for child in spec.children()],
    }


def _container(spec: pytree.TreeSpec) -> tuple[str, list | None]:
    """The container that stands for a node, and its keys where it is a dict."""
    if spec.type is list or spec.type is collections.deque:
        return "builtins.list", None
    if spec.type is tuple or spec.type is collections.namedtuple:
        return "builtins.tuple", None
    if spec.type is dict:
        return "builtins.dict", spec.context
    if spec.type is collections.OrderedDict:
        return "collections.OrderedDict", spec.context
    if spec.type is collections.defaultdict:
        return "builtins.dict", spec.context[1]
    if not is_dataclass(spec.type):
        raise TypeError(f"the parts of a {spec.type} have no names")
    # PyTorch writes the names of the parts and of those that are None; Transformers the former only.
    names = spec.context
    if names and isinstance(names[0], list):
        names = names[0]
    return "builtins.dict", names
