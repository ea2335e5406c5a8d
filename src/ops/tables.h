// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The tables of operators, one a source file.
#pragma once

#include "rushlight/op.h"

namespace rushlight::ops {

Span<const Op> ArithmeticOps();
Span<const Op> ColumnsOps();
Span<const Op> ConvolutionOps();
Span<const Op> GridSampleOps();
Span<const Op> MatmulOps();
Span<const Op> PixelShuffleOps();
Span<const Op> PoolingOps();
Span<const Op> PrimOps();
Span<const Op> UpsampleOps();

// All of them.
Span<const Span<const Op>> AllOps();

}  // namespace rushlight::ops
