# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What models spell out and what it becomes, and near misses, which stay as they are."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import linear as product
from torch.nn.functional import scaled_dot_product_attention as sdpa

from rushlight.delegates.cpu.ops import QUICK_GELU, ROPE
from rushlight.delegates.cpu.patterns import Context, fuse
from rushlight.delegates.cpu.weights import IntegerForm, IntegerRows, integers_of, keep_integers
from rushlight.passes.base import constant_tensors
from rushlight.program import to_edge

aten = torch.ops.aten
ATTENTION = torch.ops.rushlight.attention.default
X = torch.randn(2, 5, 24, generator=torch.Generator().manual_seed(0))


class Model(nn.Module):
    """A function, of parameters too."""

    def __init__(self, function, **parameters):
        super().__init__()
        self.function = function
        for name, value in parameters.items():
            self.register_parameter(name, nn.Parameter(value))

    def forward(self, *inputs):
        return self.function(self, *inputs)


def numbers(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def fused(model, *inputs, dynamic_shapes=None):
    """The targets of a fused program, which computes what the model does."""
    exported = torch.export.export(model.eval(), inputs, dynamic_shapes=dynamic_shapes)
    program = to_edge(exported).exported_program()
    fuse(program, Context(program, None, 0))
    program.graph_module.recompile()
    torch.testing.assert_close(program.module()(*inputs), model(*inputs), atol=2e-6, rtol=1e-5)
    return [n for n in program.graph.nodes if n.op == "call_function"]


def targets(*arguments, **options):
    return [n.target for n in fused(*arguments, **options)]


def gelu_tanh(x, factor=0.044715):
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2 / math.pi) * (x + factor * torch.pow(x, 3.0))))


ACTIVATIONS = {
    aten.gelu.default: gelu_tanh,
    aten.silu.default: lambda x: x * torch.sigmoid(x),
    QUICK_GELU: lambda x: x * torch.sigmoid(1.702 * x),
}


@pytest.mark.parametrize("target", ACTIVATIONS, ids=str)
def test_activations(target):
    assert targets(Model(lambda m, x: ACTIVATIONS[target](x)), X) == [target]


@pytest.mark.parametrize(
    "other",
    [
        lambda x: gelu_tanh(x, 0.05),
        lambda x: x * torch.sigmoid(1.5 * x),
        lambda x: x * torch.sigmoid(1.702 * (x + 1)),
        lambda x: 0.5 * x * (2.0 + torch.tanh(x)),
    ],
)
def test_other_activations(other):
    assert not {*targets(Model(lambda m, x: other(x)), X)} & {*ACTIVATIONS}


def test_conv1d_is_linear():
    model = Model(
        lambda m, x: torch.addmm(m.b, x.view(-1, 24), m.w).view(2, 5, 36), w=numbers(24, 36), b=numbers(36)
    )
    assert targets(model, X) == [aten.linear.default]


@pytest.mark.parametrize("stride, padding, found", [(4, 0, True), (2, 0, False), (4, 2, False)])
def test_patches(stride, padding, found):
    def patches(m, x):
        y = nn.functional.conv2d(x, m.w, m.b, stride=stride, padding=padding)
        return y.flatten(2).transpose(1, 2)

    model = Model(patches, w=numbers(7, 3, 4, 4), b=numbers(7))
    assert (aten.linear.default in targets(model, numbers(2, 3, 8, 12))) == found


def test_product_with_an_input_is_none():
    model = Model(lambda m, x, w: torch.mm(x.view(-1, 24), w))
    assert aten.linear.default not in targets(model, X, numbers(24, 8))


def test_layer_norm_of_what_is_centred():
    def norm(m, x):
        x = x - x.mean(-1, keepdim=True)
        return m.w * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))

    assert targets(Model(norm, w=numbers(24)), X) == [aten.layer_norm.default]


def test_rms_norm():
    def norm(m, x, dim=-1, alpha=1):
        return m.w * (x * torch.rsqrt(torch.add(x.pow(2).mean(dim, keepdim=True), 1e-5, alpha=alpha)))

    assert targets(Model(norm, w=numbers(24)), X) == [aten.rms_norm.default]
    for wrong in (dict(dim=1), dict(alpha=1e5)):
        found = targets(Model(lambda m, x, wrong=wrong: norm(m, x, **wrong), w=numbers(24)), X)
        assert aten.rms_norm.default not in found


def _heads(x, count):
    return x.view(*x.shape[:2], count, -1).transpose(1, 2)


def _rope(x, cos, sin, turned):
    return x * cos + turned(x) * sin


def halves(x):
    a, b = x.chunk(2, -1)
    return torch.cat([-b, a], -1)


def pairs(x):
    return torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)


@pytest.mark.parametrize("turned", [halves, pairs])
def test_rope_by_constants(turned):
    angles = numbers(5, 3)
    angles = torch.cat([angles, angles], -1) if turned is halves else angles.repeat_interleave(2, -1)
    model = Model(lambda m, x: _rope(_heads(x, 4), angles.cos(), angles.sin(), turned))
    nodes = fused(model, X)
    (rope,) = [n for n in nodes if n.target is ROPE]
    assert rope.args[1] is None and rope.args[4] == (turned is pairs) and len(nodes) == 3


def test_rope_whose_angles_differ_is_none():
    angles = numbers(5, 6)
    assert ROPE not in targets(Model(lambda m, x: _rope(_heads(x, 4), angles.cos(), angles.sin(), halves)), X)


def _attended(mask, **options):
    """Attention of X to itself in three heads, under a mask that its length and another input give."""
    return Model(lambda m, x, keep: sdpa(*(_heads(x, 3),) * 3, attn_mask=mask(x, keep), **options))


KEEP = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
# name: (mask, the operator's mask: None or its sizes; causal)
MASKS = {
    "none": (lambda x, keep: None, None, False),
    "everything": (lambda x, keep: torch.ones(5, 5, dtype=torch.bool), None, False),
    "zeros": (lambda x, keep: torch.zeros(1, 1, 5, 5), None, False),
    "triangle": (lambda x, keep: torch.ones(5, 5, dtype=torch.bool).tril(), None, True),
    "lowest": (lambda x, keep: torch.full((5, 5), torch.finfo(torch.float32).min).triu(1), None, True),
    "padding": (lambda x, keep: keep[:, None, None].expand(2, 1, 5, 5), (2, 1, 1, 5), False),
    "both": (
        lambda x, keep: keep[:, None, None] & torch.ones(5, 5, dtype=torch.bool).tril(), (2, 1, 5, 5), False,
    ),
    "bias": (lambda x, keep: numbers(3, 5, 5), (3, 5, 5), False),
    "band": (lambda x, keep: torch.ones(5, 5, dtype=torch.bool).tril().triu(-1), (5, 5), False),
}  # fmt: skip


@pytest.mark.parametrize("name", MASKS)
def test_self_attention(name):
    mask, sizes, causal = MASKS[name]
    (attention,) = [n for n in fused(_attended(mask), X, KEEP) if n.target is ATTENTION]
    given = attention.args[3]
    assert attention.args[4] == causal
    assert (None if given is None else tuple(given.meta["val"].shape)) == sizes
    assert given is None or given.meta["val"].dtype == torch.float32


def test_causal_attention_of_any_length():
    def causal(x, keep):
        at = torch.arange(x.shape[1])
        return at[None, None, None] <= at[None, None, :, None]

    length = torch.export.Dim("length", min=2, max=9)
    nodes = fused(_attended(causal), X, KEEP, dynamic_shapes=[({1: length}, {1: length})])
    (attention,) = [n for n in nodes if n.target is ATTENTION]
    assert attention.args[3] is None and attention.args[4]


def eager(q, k, v, mask, scale=lambda scores: scores / math.sqrt(8)):
    scores = scale(torch.matmul(q, k.transpose(-1, -2)))
    return torch.matmul((scores if mask is None else scores + mask).softmax(-1), v)


@pytest.mark.parametrize("factor", [None, 0.25])
def test_attention_in_products(factor):
    bias, padding = numbers(3, 5, 5), torch.where(KEEP, 0.0, -1e9)[:, None, None]
    for mask in (None, padding, bias, bias[None] + padding):
        scale = (lambda scores: scores) if factor is None else (lambda scores: scores * factor)
        nodes = fused(Model(lambda m, x, mask=mask, scale=scale: eager(*(_heads(x, 3),) * 3, mask, scale)), X)
        (attention,) = [n for n in nodes if n.target is ATTENTION]
        assert len(nodes) == 3 and attention.args[5] == (factor or 1.0)


def test_masks_that_are_scaled_stay():
    model = Model(lambda m, x: eager(*(_heads(x, 3),) * 3, None, lambda s: (s + numbers(5, 5)) * 2))
    assert ATTENTION not in targets(model, X)


def test_attention_to_others_stays():
    model = Model(lambda m, x, y: sdpa(_heads(x, 3), _heads(y, 3), _heads(y, 3)))
    assert ATTENTION not in targets(model, X, numbers(2, 7, 24))


# How queries, keys and values are picked of one product [B, S, 36] in three heads of 4.
FUSED = {
    "stacked": lambda y: (h.transpose(1, 2) for h in y.view(2, 5, 3, 3, 4).unbind(2)),
    "by heads": lambda y: y.view(2, 5, 3, 12).transpose(1, 2).chunk(3, -1),
    "in heads": lambda y: (y.view(2, 5, 3, 3, 4)[..., i, :].transpose(1, 2) for i in range(3)),
    "permuted": lambda y: y.view(2, 5, 3, 3, 4).permute(2, 0, 3, 1, 4).unbind(0),
}


@pytest.mark.parametrize("name", FUSED)
def test_projections(name):
    model = Model(lambda m, x: sdpa(*FUSED[name](product(x, m.w, m.b))), w=numbers(36, 24), b=numbers(36))
    found = targets(model, X)
    assert sorted(map(str, found)) == sorted(
        map(str, [*[aten.linear.default, aten.view.default, aten.permute.default] * 3, ATTENTION])
    )


def test_projections_keep_the_integers_of_a_checkpoint():
    form = IntegerForm("int8", 24, "float32", False)
    codes = torch.arange(36 * 24).reshape(36, 24).remainder(199).sub(99).to(torch.int8)
    model = Model(lambda m, x: sdpa(*FUSED["by heads"](product(x, m.w))), w=codes / 64.0)
    rows = IntegerRows(codes, torch.full((36, 1), 1 / 64))
    keep_integers(model.w, form, lambda: rows)
    program = to_edge(torch.export.export(model.eval(), (X,))).exported_program()
    fuse(program, Context(program, None, 0))
    constants = constant_tensors(program)
    weights = [constants[n.args[1]] for n in program.graph.nodes if n.target is aten.linear.default]
    assert len(weights) == 3
    for w in weights:
        kept = integers_of(w)
        assert kept.form == form
        torch.testing.assert_close(kept.read().codes / 64.0, w)


def test_projections_that_repeat_stay():
    model = Model(
        lambda m, x: product(x, m.w).view(2, 5, 3, 2, 4)[:, :, [0, 0, 1, 1, 2, 2, 2], 0], w=numbers(24, 24)
    )
    assert aten.index.Tensor in targets(model, X)
