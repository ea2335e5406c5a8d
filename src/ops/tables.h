// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The tables of operators, one a source file.
#pragma once

#include "rushlight/op.h"

namespace rushlight::ops {

Span<const Op> ArithmeticOps();
Span<const Op> ConcatOps();
Span<const Op> FactoryOps();
Span<const Op> IndexingOps();
Span<const Op> MaskedOps();
Span<const Op> PadOps();
Span<const Op> PrimOps();
Span<const Op> ScatterOps();
Span<const Op> SearchOps();
Span<const Op> ToCopyOps();
Span<const Op> TriangularOps();
Span<const Op> ViewOps();

// All of them.
Span<const Span<const Op>> AllOps();

}  // namespace rushlight::ops
