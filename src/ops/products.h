// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// What matrix products and convolutions share: the types they compute in.
#pragma once

#include <array>

#include "rushlight/op.h"
#include "src/kernels/gemm/storage.h"

namespace rushlight::ops {

// Slots of Prepared::loops.
inline constexpr size_t kProduct = 0;
inline constexpr size_t kWiden = 1;
inline constexpr size_t kNarrow = 2;

// Checks that all tensors (null for none) are of out's dtype, and picks the loop for its compute
// type and the casts from it and back.
Error PrepareProduct(PrepareContext& c, std::initializer_list<const Tensor*> inputs,
                     const Tensor& out);

// How the elements of a tensor of this dtype are read and written, after PrepareProduct.
kernels::Storage StorageOf(const RunContext& c, DType dtype);

}  // namespace rushlight::ops
