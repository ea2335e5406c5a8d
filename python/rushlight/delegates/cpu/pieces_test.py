# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Graphs of which the delegate knows a part: what crosses the borders of pieces, and what must not."""

import pytest
import torch
from torch import nn
from torch.nn.functional import elu, layer_norm, linear, relu, scaled_dot_product_attention, silu

import rushlight
from rushlight.delegates.backend import call_delegate


class Model(nn.Module):
    """A function of layers and inputs."""

    def __init__(self, function, **layers):
        super().__init__()
        self.function, self.names = function, list(layers)
        for name, layer in layers.items():
            if isinstance(layer, nn.Module):
                self.add_module(name, layer)
            else:
                self.register_buffer(name, layer)

    def forward(self, *inputs):
        return self.function(*(getattr(self, name) for name in self.names), *inputs)


def attend(q, k, v, x):
    heads = (layer(x).view(*x.shape[:2], 3, -1).transpose(1, 2) for layer in (q, k, v))
    return scaled_dot_product_attention(*heads, is_causal=True).transpose(1, 2).reshape(x.shape)


def wide(outputs=24):
    return nn.Linear(24, outputs)


X, W = torch.randn(1, 5, 24), torch.randn(24, 24)
CASES = {  # name: (pieces, model, inputs)
    "gated heads": (2, Model(lambda *m: m[3](attend(*m[:3], m[-1]) * elu(m[4](m[-1]))),
                             a=wide(), b=wide(), c=wide(), d=wide(), e=wide()), (X,)),
    "columns": (2, Model(lambda a, b, x: b(elu(a(x)[..., :12]) * a(x)[..., 12:]), a=wide(), b=nn.Linear(12, 9)), (X,)),
    "two activations": (1, Model(lambda a, b, c, x: c(silu(a(x)) * silu(b(x))), a=wide(), b=wide(), c=wide()), (X,)),
    "activations without a product": (
        2, Model(lambda a, b, x: b(silu(a(x) + x) * relu(layer_norm(elu(a(x)), (24,)))), a=wide(), b=wide()), (X,)),
    "an activation and an operator": (
        2, Model(lambda a, b, x: b(silu(layer_norm(x, (24,))) * elu(a(x))), a=wide(), b=wide()), (X,)),
    "the last row alone": (1, Model(lambda a, x: a(x[:, -1:]), a=wide()), (X,)),
    "last rows of texts of two lengths": (
        2, Model(lambda a, b, x, y: (a(x[:, -1:]), b(y[:, -1:])), a=wide(), b=wide()), (X, torch.randn(1, 7, 24))),
    "a matrix and the same turned": (1, Model(lambda v, w, x: linear(relu(linear(x, v)), w), v=W, w=W.t()), (X,)),
    "no rows": (0, Model(lambda a, b, x: b(silu(a(x))), a=wide(), b=wide()), (X[0, :0],)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_equals_eager(name):
    pieces, model, inputs = CASES[name]
    program = rushlight.compile(model.eval(), inputs)
    assert pieces == sum(n.target is call_delegate for n in program.exported_program().graph.nodes)
    with torch.no_grad():
        expected = model(*inputs)
    torch.testing.assert_close(rushlight.load(program.buffer)(*inputs), expected, atol=3e-6, rtol=1e-5)
