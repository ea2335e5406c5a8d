# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Functional operators and their out variants, the form in which a program file names operators."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch

# What factory functions and conversions say about their result; the out tensor says it instead.
_ABOUT_RESULT = {"dtype", "layout", "device", "pin_memory"}


@dataclass(frozen=True)
class OutVariant:
    """`arguments`: names in schema order, None where an output stands.  `outputs` counts them; a
    single `Tensor[]` output is `is_list`."""

    op: torch._ops.OpOverload
    arguments: tuple[str | None, ...]
    outputs: int
    is_list: bool

    @property
    def name(self) -> str:
        return self.op._schema.name

    @property
    def overload(self) -> str:
        return self.op._schema.overload_name


def _signature(schema, outputs: bool):
    return [(a.name, str(a.type)) for a in schema.arguments if not a.is_out or outputs]


@functools.cache
def out_variant(op: torch._ops.OpOverload) -> OutVariant | None:
    """The out variant that computes what `op` returns, or None."""
    wanted = _signature(op._schema, False)
    packet = op.overloadpacket
    best = None
    for name in packet.overloads():
        candidate = getattr(packet, name)
        schema = candidate._schema
        outs = [a for a in schema.arguments if a.is_out]
        if not outs or any(r.alias_info is None for r in schema.returns):
            continue
        have = _signature(schema, False)
        if have == wanted:
            best = candidate
            break
        # Factory functions: the same but for what the out tensor tells.
        names = {n for n, _ in have}
        if have == [w for w in wanted if w[0] in names or w[0] not in _ABOUT_RESULT]:
            best = candidate
    if best is None:
        best = _by_hand(op)
    if best is None:
        return None
    schema = best._schema
    outs = [a for a in schema.arguments if a.is_out]
    return OutVariant(
        op=best,
        arguments=tuple(None if a.is_out else a.name for a in schema.arguments),
        outputs=len(outs),
        is_list="Tensor[]" in str(outs[0].type) or "List[Tensor]" in str(outs[0].type),
    )


def _by_hand(op: torch._ops.OpOverload) -> torch._ops.OpOverload | None:
    """Views, whose out variants belong to their copying twins: view -> view_copy.out."""
    if op.namespace != "aten":
        return None
    name = op._schema.name.split("::")[1]
    packet = getattr(torch.ops.aten, _COPYING_TWIN.get(name, name + "_copy"), None)
    if packet is None:
        return None
    overload = op._overloadname
    out_name = "out" if overload == "default" else f"{overload}_out"
    return getattr(packet, out_name) if out_name in packet.overloads() else None


_COPYING_TWIN = {"_unsafe_view": "view_copy", "numpy_T": "t_copy"}
