# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""tril and triu against PyTorch."""

import pytest
import torch
from op_testing import (
    STORAGE_DTYPES,
    UNSIGNED,
    OperatorError,
    check,
    in_order,
    random_tensor,
    run,
)  # fmt: skip

SEED = 20261128


@pytest.mark.parametrize("name", ("tril", "triu"))
def test_triangles(name):
    rng = torch.Generator().manual_seed(SEED)
    out = f"aten::{name}.out"
    for shape in (
        (4, 4),
        (3, 7),
        (7, 3),
        (2, 3, 5, 4),
        (0, 3),
        (3, 0),
        (2, 0, 3, 3),
        (1, 1),
        (300, 280),
    ):
        x = random_tensor(rng, shape)
        for diagonal in (0, 1, -1, 3, -3, 100, -100):
            check(out, x, diagonal, rtol=0, atol=0)
    x = random_tensor(rng, (3, 4, 5))
    want = getattr(torch, name)(x)
    for diagonal in (2**63 - 1, -(2**63)):
        everything = (diagonal > 0) == (name == "tril")
        check(out, x, diagonal, expected=x if everything else torch.zeros_like(x))
    for before, after in (((2, 1, 0), (0, 1, 2)), ((0, 1, 2), (2, 0, 1)), ((1, 2, 0), (1, 0, 2))):
        check(out, in_order(x, before), 0, expected=in_order(want, after))
    for dtype in STORAGE_DTYPES:
        if dtype not in UNSIGNED:  # PyTorch cannot
            check(out, random_tensor(rng, (5, 6), dtype), rtol=0, atol=0)
    with pytest.raises(OperatorError):
        run(out, [torch.zeros(3)], [torch.zeros(3)])
