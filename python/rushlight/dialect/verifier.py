# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The one definition of a legal graph: the edge dialect.

Functional ATen operators on tensors in memory (no mutation, no views that matter), Python arithmetic
on sizes, control flow with graphs as bodies, delegate calls, and custom operators of the user's.  Every
node carries `meta["val"]`.  The rules that any exported program obeys are PyTorch's own (the base
class); checked at both ends of the compiler, and after each pass in tests.
"""

from __future__ import annotations

import torch
from torch import fx
from torch._export.verifier import SpecViolationError, Verifier
from torch._subclasses.fake_tensor import FakeTensor
from torch.export import ExportedProgram
from torch.export.graph_signature import ExportGraphSignature

from rushlight.dialect.symbolic import SIZE_OPERATORS


def make_program(
    program: ExportedProgram,
    module: fx.GraphModule,
    signature: ExportGraphSignature,
    state_dict: dict | None = None,
    constants: dict | None = None,
) -> ExportedProgram:
    """A program in the edge dialect with the given graph, and everything else as in `program`."""
    return ExportedProgram(
        root=module,
        graph=module.graph,
        graph_signature=signature,
        state_dict=program.state_dict if state_dict is None else state_dict,
        range_constraints=program.range_constraints,
        module_call_graph=program.module_call_graph,
        example_inputs=program.example_inputs,
        constants=program.constants if constants is None else constants,
        verifiers=[EdgeVerifier],
    )


CONTROL_FLOW = (
    torch.ops.higher_order.cond,
    torch.ops.higher_order.map_impl,
    torch.ops.higher_order.scan,
    torch.ops.higher_order.while_loop,
)


class EdgeVerifier(Verifier):
    dialect = "EDGE"

    def allowed_op_types(self):
        return (torch._ops.OpOverload, torch._ops.HigherOrderOperator)

    def allowed_getattr_types(self):
        from rushlight.delegates.backend import LoweredBackendModule

        return (*super().allowed_getattr_types(), torch.Tensor, LoweredBackendModule)

    def allowed_getattr_types_for_subgm(self):
        from rushlight.delegates.backend import LoweredBackendModule

        return (*super().allowed_getattr_types_for_subgm(), LoweredBackendModule)

    def check_valid_op(self, op):
        if isinstance(op, torch._ops.HigherOrderOperator):
            from rushlight.delegates.backend import call_delegate

            if op not in CONTROL_FLOW and op is not call_delegate:
                raise SpecViolationError(f"{op} is not part of the edge dialect")

    def check_additional(self, gm: fx.GraphModule) -> None:
        for node in gm.graph.nodes:
            if node.op != "call_function":
                continue
            value = node.meta["val"]
            if isinstance(value, torch.Tensor):
                _check_tensor(node, value)
            elif isinstance(value, torch.SymInt) and not (
                node.target in SIZE_OPERATORS
                or isinstance(node.target, torch._ops.OpOverload)
                or node.target.__name__ == "getitem"
            ):
                raise SpecViolationError(f"{node.format_node()}: not an operation on sizes")


def _check_tensor(node: fx.Node, value: torch.Tensor) -> None:
    if not isinstance(value, FakeTensor):
        raise SpecViolationError(f"{node.format_node()}: its value is a real tensor")
    if value.layout is not torch.strided:
        raise SpecViolationError(f"{node.format_node()}: layout {value.layout} is not dense")
    if value.device.type != "cpu":
        raise SpecViolationError(
            f"{node.format_node()}: on device {value.device}; move the model to the CPU before exporting"
        )
