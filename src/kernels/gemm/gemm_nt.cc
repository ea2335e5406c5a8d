// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <algorithm>

#include "src/kernels/gemm/gemm.h"
#include "src/kernels/gemm/lanes.h"

namespace rushlight::kernels {
namespace {

// A block of the output is computed over a stretch of k before the next, so that its rows stay in
// the first-level cache and are converted only once.  Two rows by three columns of Lanes are twelve
// accumulators of the sixteen registers that SSE2 has.
constexpr size_t kBlockRows = 8;
constexpr size_t kBlockColumns = 6;
constexpr size_t kConvertedDepth = 64;
constexpr size_t kDepth = 512;

template <class C>
struct Block {
  const C* a[kBlockRows];
  const C* b[kBlockColumns];
  Lanes<C> sums[kBlockRows][kBlockColumns];
};

// Continues kRows x kColumns dot products over `depth` elements.  Only the last stretch of k may be
// other than a multiple of the lanes.
template <size_t kRows, size_t kColumns, class C>
void Dots(Block<C>* block, size_t i, size_t j, size_t depth) {
  const C* a[kRows];
  const C* b[kColumns];
  for (size_t r = 0; r < kRows; ++r) a[r] = block->a[i + r];
  for (size_t c = 0; c < kColumns; ++c) b[c] = block->b[j + c];
  Lanes<C> s[kRows][kColumns];
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t c = 0; c < kColumns; ++c) s[r][c] = block->sums[i + r][j + c];
  }
  const auto add = [&](auto load) {
    Lanes<C> x[kRows];
    for (size_t r = 0; r < kRows; ++r) x[r] = load(a[r]);
    for (size_t c = 0; c < kColumns; ++c) {
      const Lanes<C> y = load(b[c]);
      for (size_t r = 0; r < kRows; ++r) s[r][c].AddProduct(x[r], y);
    }
  };
  size_t k = 0;
  for (; k + kLanes<C> <= depth; k += kLanes<C>) {
    add([k](const C* p) { return Load(p + k); });
  }
  if (k < depth) {
    const size_t rest = depth - k;
    add([k, rest](const C* p) { return LoadPartial(p + k, rest); });
  }
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t c = 0; c < kColumns; ++c) block->sums[i + r][j + c] = s[r][c];
  }
}

template <size_t kColumns, class C>
void Columns(Block<C>* block, size_t rows, size_t j, size_t depth) {
  size_t i = 0;
  for (; i + 2 <= rows; i += 2) Dots<2, kColumns>(block, i, j, depth);
  if (i < rows) Dots<1, kColumns>(block, i, j, depth);
}

// Adds the lanes: halves, then halves of these, down to one.
template <class C>
C Sum(const Lanes<C>& x) {
  const Vec<C> v = x.low + x.high;
  if constexpr (kLanes<C> == 8) {
    return (v[0] + v[2]) + (v[1] + v[3]);
  } else {
    return v[0] + v[1];
  }
}

template <class C>
void ComputeBlock(const GemmArgs& g, size_t i, size_t rows, size_t j, size_t columns) {
  Block<C> block;
  C buffer[kBlockRows + kBlockColumns][kConvertedDepth];
  const size_t most = g.storage.widen == nullptr ? kDepth : kConvertedDepth;
  for (size_t k = 0; k < g.k; k += most) {
    const size_t depth = std::min(most, g.k - k);
    const auto read = [&](const void* matrix, size_t row, int64_t row_stride, C* to) {
      const int64_t at = static_cast<int64_t>(row) * row_stride + static_cast<int64_t>(k);
      return g.storage.Read(g.storage.At(matrix, at), depth, 1, to);
    };
    for (size_t r = 0; r < rows; ++r) block.a[r] = read(g.a, i + r, g.lda, buffer[r]);
    for (size_t c = 0; c < columns; ++c) {
      block.b[c] = read(g.b, j + c, g.ldb, buffer[kBlockRows + c]);
    }
    // Few rows are bound by memory, which is fastest where it is read in order.
    size_t c = 0;
    for (; rows > 2 && c + 3 <= columns; c += 3) Columns<3>(&block, rows, c, depth);
    for (; c < columns; ++c) Columns<1>(&block, rows, c, depth);
  }
  for (size_t r = 0; r < rows; ++r) {
    C sums[kBlockColumns];
    for (size_t c = 0; c < columns; ++c) sums[c] = Sum(block.sums[r][c]);
    FinishRow(g, i + r, j, sums, columns);
  }
}

}  // namespace

template <class C>
void GemmNT(const GemmArgs& g) {
  for (size_t j = 0; j < g.n; j += kBlockColumns) {
    for (size_t i = 0; i < g.m; i += kBlockRows) {
      ComputeBlock<C>(g, i, std::min(kBlockRows, g.m - i), j, std::min(kBlockColumns, g.n - j));
    }
  }
}

template void GemmNT<float>(const GemmArgs&);
template void GemmNT<double>(const GemmArgs&);

}  // namespace rushlight::kernels
