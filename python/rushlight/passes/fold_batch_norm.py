# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Folds an inference batch norm into the convolution before it."""

from __future__ import annotations

import operator

import torch
from torch import fx
from torch.export import ExportedProgram

from rushlight.passes.base import Pass, add_constant, constant_tensors

aten = torch.ops.aten
_NORM = aten._native_batch_norm_legit_no_training.default


class FoldBatchNorm(Pass):
    def call(self, program: ExportedProgram) -> bool:
        constants = constant_tensors(program)
        modified = False
        for node in list(program.graph.nodes):
            if node.target is _NORM and self._fold(program, node, constants):
                modified = True
        if modified:
            program.graph.eliminate_dead_code()
        return modified

    @staticmethod
    def _fold(program: ExportedProgram, norm: fx.Node, constants) -> bool:
        conv, gamma, beta, mean, variance, _, epsilon = norm.args
        if conv.target is not aten.convolution.default or len(conv.users) != 1:
            return False
        weight, bias = conv.args[1], conv.args[2]
        if weight not in constants or any(
            t is not None and t not in constants for t in (bias, gamma, beta, mean, variance)
        ):
            return False
        if any(u.target is not operator.getitem or u.args[1] != 0 for u in norm.users):
            return False
        transposed, groups = conv.args[6], conv.args[8]
        if transposed and groups != 1:
            return False
        w = constants[weight].double()
        scale = torch.rsqrt(constants[variance].double() + epsilon)
        if gamma is not None:
            scale = scale * constants[gamma].double()
        shift = -constants[mean].double() * scale
        if bias is not None:
            shift = shift + constants[bias].double() * scale
        if beta is not None:
            shift = shift + constants[beta].double()
        shape = [1] * w.dim()
        shape[1 if transposed else 0] = -1
        dtype = constants[weight].dtype
        with torch.no_grad():
            new_weight = add_constant(program, (w * scale.view(shape)).to(dtype), "folded", weight)
            new_bias = add_constant(program, shift.to(dtype), "folded", weight)
        conv.args = (conv.args[0], new_weight, new_bias, *conv.args[3:])
        for user in list(norm.users):
            user.replace_all_uses_with(conv)
            program.graph.erase_node(user)
        program.graph.erase_node(norm)
        return True
