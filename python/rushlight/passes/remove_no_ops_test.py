# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What does nothing goes; what only seems to do nothing stays."""

import pytest
import torch
import torch.nn.functional as F
from compiler_testing import Wrap, check, export, nodes_of

import rushlight

aten = torch.ops.aten


def edge(model, inputs):
    return rushlight.to_edge_transform_and_lower(export(Wrap(model), inputs))


@pytest.mark.parametrize("heads, length", ((4, 4), (4, 5), (1, 4), (4, 1)))
def test_heads_and_positions_of_one_number(heads, length):
    """Attention's result lies in memory in another order than in PyTorch, so that strides do not tell a
    transposition from nothing where the two sizes are equal."""

    def model(x):
        q, k, v = (t.unflatten(-1, (heads, 8)).transpose(1, 2) for t in (x, x + 1, x * 2))
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)

    torch.manual_seed(0)
    check(Wrap(model), (torch.randn(2, length, heads * 8),))


def test_square_transpose_stays():
    x = torch.arange(9.0).reshape(3, 3)
    check(Wrap(lambda x: (x.t() + 0).t().contiguous() - x.t()), (x,))


def test_no_ops_go():
    def model(x):
        y = x.view(2, 3).expand(2, 3).to(torch.float32).permute(0, 1) * 1 + 0
        return y.squeeze(0).clone() - 1

    program = edge(model, (torch.randn(2, 3),))
    for target in (aten.view, aten.expand, aten.permute, aten.mul, aten.clone, aten.squeeze):
        for overload in target.overloads():
            assert not nodes_of(program, getattr(target, overload)), target
