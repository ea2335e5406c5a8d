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


# Not core ATen, and yet without a decomposition by default: stock ExecuTorch has no kernels for them, and
# programs without delegates run there.
_STOCK_LACKS = (aten.linalg_vector_norm.default, aten.addmv.default)

EXTRA = {
    **get_decompositions(_STOCK_LACKS),
    aten.mkldnn_rnn_layer.default: _lstm_layer,
    aten.fmax.default: _fmax,
    aten.fmin.default: _fmin,
    aten.__lshift__.Scalar: lambda x, n: torch.bitwise_left_shift(x, n),
    aten.__lshift__.Tensor: lambda x, n: torch.bitwise_left_shift(x, n),
    aten.__rshift__.Scalar: lambda x, n: torch.bitwise_right_shift(x, n),
    aten.__rshift__.Tensor: lambda x, n: torch.bitwise_right_shift(x, n),
}
