# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Operators that stock ExecuTorch has no kernels for are taken apart."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (as users write it)
from compiler_testing import check, operators
from torch.export import Dim


@pytest.mark.parametrize("order", [1, 2, 3, 0, float("inf"), float("-inf")])
def test_vector_norm(order):
    x = torch.arange(-5.0, 7.0).reshape(3, 4)
    program = check(lambda x: torch.linalg.vector_norm(x, order, dim=1, keepdim=True), (x,))
    assert "aten::linalg_vector_norm.out" not in operators(program)


def test_normalize_with_a_dynamic_batch():
    batch = ({0: Dim("batch", min=1, max=8)},)
    calls = [(torch.linspace(-1, 1, 4 * n).reshape(n, 4),) for n in (3, 1, 8)]
    program = check(lambda x: F.normalize(x, dim=-1), *calls, dynamic_shapes=batch)
    assert "aten::linalg_vector_norm.out" not in operators(program)


def test_addmv():
    a, b, c = torch.arange(3.0), torch.arange(12.0).reshape(3, 4), torch.arange(4.0)
    program = check(lambda a, b, c: torch.addmv(a, b, c, beta=0.5, alpha=2), (a, b, c))
    assert "aten::addmv.out" not in operators(program)
