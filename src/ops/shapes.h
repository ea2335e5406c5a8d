// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Shape rules that several families of operators share.
#pragma once

#include <cstdint>

#include "rushlight/op.h"

namespace rushlight::ops {

// A dimension as the schema gives it, negative from the end: 0 <= *out < rank.  A tensor without
// dimensions has one for this purpose.  Fails with kArgumentValue.
Error NormalizeDim(int64_t dim, size_t rank, size_t* out);

// The sizes of a view: one of them may be -1.  `sizes` has room for size.size() entries, kMaxRank
// at most.  Fails where the elements do not come out even.
Error ResolveViewSizes(const Tensor& self, Span<const int64_t> size, int32_t* sizes);

// Narrows to the int32 of tensor sizes, or fails with kArgumentSize.
Error NarrowSizes(Span<const int64_t> size, int32_t* sizes);

// An argument that must have this many dimensions, or this dtype.
Error CheckRank(const Tensor& t, size_t rank, size_t argument);
Error CheckDType(const Tensor& t, DType dtype, size_t argument);
Error CheckFloating(const Tensor& t, size_t argument);
// An output whose dtype the program also names in an argument.
Error CheckNamedDType(const Tensor& out, int64_t dtype);
// Operators that only know elements in the order 0, 1, 2, ...
Error CheckContiguous(const Tensor& t, size_t argument);

}  // namespace rushlight::ops
