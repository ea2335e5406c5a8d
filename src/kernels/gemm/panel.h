// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Panel: a piece of the right-hand matrix of a product, kLanes columns wide, and the sums of the
// rows that are multiplied with it.
//
// What lies strided, padded or in another dtype is copied to `values` once and used for up to
// kPanelRows rows.  Every sum runs along the depth from its first term to its last, in whichever
// register tile its row falls: a result does not depend on what surrounds it.
#pragma once

#include <algorithm>

#include "src/kernels/gemm/lanes.h"
#include "src/kernels/gemm/storage.h"

namespace rushlight::kernels {

inline constexpr size_t kPanelDepth = 64;
inline constexpr size_t kPanelRows = 64;

template <class C>
struct Panel {
  alignas(16) C values[kPanelDepth * kLanes<C>];  // [depth, lanes]
  alignas(16) C sums[kPanelRows * kLanes<C>];     // [rows, lanes]

  void Clear(size_t rows) { std::fill(sums, sums + rows * kLanes<C>, C(0)); }

  // sums += a * values.  a's element (row, d) is at row * row_stride + d * step.
  // Requires: rows <= kPanelRows, depth <= kPanelDepth.
  void Multiply(const Storage& storage, const void* a, int64_t row_stride, int64_t step,
                size_t rows, size_t depth) {
    size_t row = 0;
    for (; row + 4 <= rows; row += 4) Rows<4>(storage, a, row_stride, step, row, depth);
    for (; row < rows; ++row) Rows<1>(storage, a, row_stride, step, row, depth);
  }

 private:
  template <size_t kRows>
  void Rows(const Storage& storage, const void* a, int64_t row_stride, int64_t step, size_t row,
            size_t depth) {
    C buffer[kRows][kPanelDepth];
    const C* factors[kRows];
    int64_t factor_step = step;
    for (size_t r = 0; r < kRows; ++r) {
      const void* from = storage.At(a, static_cast<int64_t>(row + r) * row_stride);
      if (storage.widen == nullptr) {
        factors[r] = static_cast<const C*>(from);
      } else {
        factors[r] = storage.Read(from, depth, step, buffer[r]);
        factor_step = 1;
      }
    }
    Lanes<C> s[kRows];
    for (size_t r = 0; r < kRows; ++r) s[r] = Load(sums + (row + r) * kLanes<C>);
    for (size_t d = 0; d < depth; ++d) {
      const Lanes<C> x = Load(values + d * kLanes<C>);
      for (size_t r = 0; r < kRows; ++r) {
        s[r].AddProduct(Splat(factors[r][static_cast<int64_t>(d) * factor_step]), x);
      }
    }
    for (size_t r = 0; r < kRows; ++r) s[r].Store(sums + (row + r) * kLanes<C>);
  }
};

}  // namespace rushlight::kernels
