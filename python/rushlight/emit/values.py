# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The values of a method under construction: what the instructions read and write."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import fx

ACTIVATIONS = 1  # memory ids
STATE = 2


@dataclass(eq=False)
class Storage:
    """Memory of one or more tensors."""

    nbytes: int  # upper bound
    memory_id: int = ACTIVATIONS
    planned: bool = True  # False: the caller gives it at run time
    persistent: bool = False  # holds its contents between executions
    reuses: list[Storage] = field(default_factory=list)  # it may take over one of these, in place
    offset: int | None = None  # set by the planner


@dataclass(eq=False)
class Value:
    """One entry of the value table."""

    index: int = field(default=-1, init=False)


@dataclass(eq=False)
class Constant(Value):
    """None, a number, a str, or a list of numbers or booleans."""

    value: object = None


@dataclass(eq=False)
class ScalarValue(Value):
    """A number that instructions write.  `initial` also tells its kind."""

    initial: int | float | bool = 0


@dataclass(eq=False)
class TensorValue(Value):
    dtype: torch.dtype = torch.float32
    sizes: tuple[int, ...] = ()  # upper bounds where dynamic
    shape: tuple = ()  # expressions
    dim_order: tuple[int, ...] = ()
    dynamic: bool = False
    storage: Storage | None = None
    offset: int = 0  # bytes within the storage
    constant: torch.Tensor | None = None  # contents of a constant, or initial state
    external_name: str = ""
    name: str = ""  # of a buffer
    rebound: bool = False  # its memory is set by et_view

    @property
    def nbytes(self) -> int:
        n = self.dtype.itemsize
        for s in self.sizes:
            n *= s
        return n

    @property
    def contiguous(self) -> bool:
        return self.dim_order == tuple(range(len(self.sizes)))


@dataclass(eq=False)
class ListValue(Value):
    """kind: "ints", "tensors" or "optional_tensors"; items are values, or None."""

    kind: str = "ints"
    items: tuple = ()


@dataclass
class Instruction:
    kind: str  # "kernel", "delegate", "move", "jump_false"
    args: list[Value] = field(default_factory=list)  # as in the file; jump_false: the condition
    operator: tuple[str, str] | None = None  # name, overload
    delegate: object = None
    target: Label | None = None  # of a jump
    reads: tuple[TensorValue, ...] = ()
    writes: tuple[TensorValue, ...] = ()
    node: fx.Node | None = None


@dataclass(eq=False)
class Label:
    """A place in the instruction list that jumps go to."""

    position: int = -1


@dataclass
class MethodIR:
    """A method before its values have numbers and addresses."""

    name: str
    values: list[Value] = field(default_factory=list)
    instructions: list[Instruction] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    loops: list[tuple[int, int]] = field(default_factory=list)  # first and last instruction
    input_tree: str = ""
    output_tree: str = ""
    named_data: list = field(default_factory=list)
