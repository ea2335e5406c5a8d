// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Matrix products: out = beta * addend + alpha * a b, or a b^T.
//
// Each function computes a block; the caller cuts the output as it likes and gets the same bits
// however it does.  They exist for float, double, uint32_t and uint64_t (integers wrap around);
// elements of other dtypes are converted on the way (storage.h) and rounded once.
#pragma once

#include <type_traits>

#include "src/kernels/gemm/storage.h"

namespace rushlight::kernels {

inline constexpr size_t kGemmRows = 64;  // most rows of a block

// A number as floating-point and as integer products take it.
struct Factor {
  double real = 1;
  int64_t integer = 1;

  template <class C>
  C As() const {
    if constexpr (std::is_integral_v<C>) {
      return static_cast<C>(integer);
    } else {
      return static_cast<C>(real);
    }
  }
};

struct GemmArgs {
  const void* a;       // [m, k], rows lda elements apart
  const void* b;       // [k, n] (GemmNN) or [n, k] (GemmNT), rows ldb apart
  const void* addend;  // element (i, j) at i * addend_row + j * addend_column; null for none
  void* out;           // [m, n], rows ldo apart
  Storage storage;     // of all four
  size_t m;            // <= kGemmRows
  size_t n;
  size_t k;
  int64_t lda;
  int64_t ldb;
  int64_t ldo;
  int64_t addend_row;
  int64_t addend_column;
  Factor alpha;
  Factor beta;
};

// Sums run along k, one term after the other.
template <class C>
void GemmNN(const GemmArgs& g);

// Sums run in 8 lanes (4 of double) that take turns along k and are added as a tree in the end.
// Only for float and double.
template <class C>
void GemmNT(const GemmArgs& g);

// Scales, adds, rounds and stores n results of a row, from column j.  Overwrites `sums`.
template <class C>
void FinishRow(const GemmArgs& g, size_t row, size_t j, C* sums, size_t n) {
  constexpr size_t kBlock = 32;
  const auto i = static_cast<int64_t>(row);
  const C alpha = g.alpha.As<C>();
  const C beta = g.beta.As<C>();
  for (size_t begin = 0; begin < n; begin += kBlock) {
    C* s = sums + begin;
    const size_t count = n - begin < kBlock ? n - begin : kBlock;
    const auto column = static_cast<int64_t>(j + begin);
    for (size_t c = 0; c < count; ++c) s[c] *= alpha;
    if (g.addend != nullptr) {
      C buffer[kBlock];
      const int64_t first = i * g.addend_row + column * g.addend_column;
      const C* addend =
          g.storage.Read(g.storage.At(g.addend, first), count, g.addend_column, buffer);
      for (size_t c = 0; c < count; ++c) s[c] += beta * addend[c];
    }
    g.storage.Write(g.storage.At(g.out, i * g.ldo + column), s, count);
  }
}

}  // namespace rushlight::kernels
