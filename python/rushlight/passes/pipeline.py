# Copyright (c) The Rushlight authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The passes, in order, with the reason for each."""

from __future__ import annotations

from rushlight.passes.base import Pass
from rushlight.passes.decompose_composites import DecomposeComposites
from rushlight.passes.fold_batch_norm import FoldBatchNorm
from rushlight.passes.fold_constants import FoldConstants
from rushlight.passes.fold_repeated_heads import FoldRepeatedHeads
from rushlight.passes.merge_common_subexpressions import MergeCommonSubexpressions
from rushlight.passes.remove_dead_code import RemoveDeadCode
from rushlight.passes.remove_no_ops import RemoveNoOps
from rushlight.passes.remove_redundant_expands import RemoveRedundantExpands
from rushlight.passes.replace_copy import ReplaceCopy
from rushlight.passes.scalar_overloads import ScalarOverloads


def edge_passes() -> list[Pass]:
    """After decomposition: the graph that partitioners and users see."""
    return [
        ReplaceCopy(),  # what functionalization leaves of copy_ is a conversion or nothing
        RemoveNoOps(),  # so that patterns are not interrupted by alias, x * 1.0, to(same)
        FoldRepeatedHeads(),  # attention reads the cache, not a copy of it three times as large
        FoldBatchNorm(),  # before constants are folded: it wants the five parameters as they are
        FoldConstants(),  # masks, position tables, 1 + weight
        MergeCommonSubexpressions(),  # thirty layers ask for the same mask and the same positions
        RemoveDeadCode(),
    ]


def portable_passes() -> list[Pass]:
    """Before emission: for what no delegate took."""
    return [
        DecomposeComposites(),  # attention, norms and activations that have no kernel as a whole
        RemoveNoOps(),
        MergeCommonSubexpressions(),  # the mask's number form, once instead of once a layer
        RemoveRedundantExpands(),  # kernels broadcast: a stretched operand need not exist
        FoldConstants(),  # what decomposition has brought to light
        ScalarOverloads(),  # x + 1 has a kernel, x + tensor(1) needs a tensor
        FoldConstants(),  # ... and the tensors that remain are constants
        MergeCommonSubexpressions(),
        RemoveDeadCode(),
    ]
