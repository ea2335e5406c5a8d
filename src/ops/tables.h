// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The tables of operators, one a source file.
#pragma once

#include "rushlight/op.h"

namespace rushlight::ops {

Span<const Op> ArgReduceOps();
Span<const Op> ArithmeticOps();
Span<const Op> BatchNormOps();
Span<const Op> DistanceOps();
Span<const Op> NormOps();
Span<const Op> PrimOps();
Span<const Op> ReduceOps();
Span<const Op> ScanOps();
Span<const Op> SoftmaxOps();
Span<const Op> SortOps();
Span<const Op> StatisticsOps();

// All of them.
Span<const Span<const Op>> AllOps();

}  // namespace rushlight::ops
