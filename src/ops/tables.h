// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The tables of operators, one a source file.
#pragma once

#include "rushlight/ops.h"
#include "src/ops/selection.h"  // SelectedRows

namespace rushlight::ops {

Span<const Op> ActivationOps();
Span<const Op> ArgReduceOps();
Span<const Op> ArithmeticOps();
Span<const Op> BatchNormOps();
Span<const Op> ColumnsOps();
Span<const Op> ConcatOps();
Span<const Op> ConvolutionOps();
Span<const Op> DistanceOps();
Span<const Op> FactoryOps();
Span<const Op> GridSampleOps();
Span<const Op> IndexingOps();
Span<const Op> LogicOps();
Span<const Op> MaskedOps();
Span<const Op> MatmulOps();
Span<const Op> NormOps();
Span<const Op> PadOps();
Span<const Op> PixelShuffleOps();
Span<const Op> PoolingOps();
Span<const Op> PrimOps();
Span<const Op> ReduceOps();
Span<const Op> ScanOps();
Span<const Op> ScatterOps();
Span<const Op> SearchOps();
Span<const Op> SoftmaxOps();
Span<const Op> SortOps();
Span<const Op> StatisticsOps();
Span<const Op> ToCopyOps();
Span<const Op> TriangularOps();
Span<const Op> UnaryOps();
Span<const Op> UpsampleOps();
Span<const Op> ViewOps();

}  // namespace rushlight::ops
