# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Decompositions that PyTorch's default table does not have."""

from __future__ import annotations

import torch
from torch._decomp import get_decompositions
from torch._decomp.decompositions import one_layer_lstm

aten = torch.ops.aten


def _lstm_layer(x, w_ih, w_hh, b_ih, b_hh, h, c, reverse, _sizes, _mode, _hidden, _layers, has_biases, *_):
    """What PyTorch calls on x86 where others get small operators: one layer of an LSTM, in one
    direction.  x [T, B, I], h and c [1, B, H] -> [T, B, H], h, c, and a workspace that nobody reads."""
    weights = (w_ih, w_hh, b_ih, b_hh) if has_biases else (w_ih, w_hh)
    y, (h, c) = one_layer_lstm(x, (h.squeeze(0), c.squeeze(0)), weights, has_biases, reverse)
    return y, h.unsqueeze(0), c.unsqueeze(0), h.new_empty(0)


def _fmax(a, b):
    return torch.where(torch.isnan(a), b, torch.where(torch.isnan(b), a, torch.maximum(a, b)))


def _fmin(a, b):
    return torch.where(torch.isnan(a), b, torch.where(torch.isnan(b), a, torch.minimum(a, b)))


def _grouped_mm(input, weight, offs):  # noqa: A002  (the operator's names)
    """Transformers' products of experts: input [S, K], of which the rows before offs[0] belong to the first of
    weight [G, K, N], and so on -> [S, N].  Each row takes its matrix along."""
    row = torch.arange(input.shape[0], device=input.device)
    group = (offs.unsqueeze(0) <= row.unsqueeze(1)).sum(1).clamp(max=weight.shape[0] - 1)
    product = torch.bmm(input.unsqueeze(1), weight.index_select(0, group)).squeeze(1)
    return torch.where((row < offs[-1]).unsqueeze(1), product, 0.0)


def _histc(x, bins=100, min=0, max=0):  # noqa: A002  (the operator's names)
    """Counts in `bins` equal parts of [min, max]."""
    if min == max:  # the range is that of the data
        return NotImplemented
    x = x.flatten()
    place = ((x - min) * bins / (max - min)).floor().clamp(max=bins - 1)
    place = torch.where((x >= min) & (x <= max), place, -1)
    hits = place.unsqueeze(1) == torch.arange(bins, device=x.device)
    return hits.sum(0).to(x.dtype)


# Not core ATen, and yet without a decomposition by default: stock ExecuTorch has no kernels for them, and
# programs without delegates run there.
_STOCK_LACKS = (aten.linalg_vector_norm.default, aten.addmv.default)

_OWN = {
    **get_decompositions(_STOCK_LACKS),
    aten.mkldnn_rnn_layer.default: _lstm_layer,
    aten.histc.default: _histc,
    aten.empty_permuted.default: lambda size, _layout, dtype=None, **_: torch.empty(size, dtype=dtype),
    aten.fmax.default: _fmax,
    aten.fmin.default: _fmin,
    aten.__lshift__.Scalar: lambda x, n: torch.bitwise_left_shift(x, n),
    aten.__lshift__.Tensor: lambda x, n: torch.bitwise_left_shift(x, n),
    aten.__rshift__.Scalar: lambda x, n: torch.bitwise_right_shift(x, n),
    aten.__rshift__.Tensor: lambda x, n: torch.bitwise_right_shift(x, n),
}


def extra_decompositions() -> dict:
    """With those of operators that Transformers registers, where it is imported and has them."""
    table = dict(_OWN)
    if hasattr(torch.ops.transformers, "grouped_mm_fallback"):
        table[torch.ops.transformers.grouped_mm_fallback.default] = _grouped_mm
    return table
