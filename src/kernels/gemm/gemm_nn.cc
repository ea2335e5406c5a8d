// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <algorithm>

#include "src/kernels/gemm/gemm.h"
#include "src/kernels/gemm/panel.h"

namespace rushlight::kernels {
namespace {

static_assert(kGemmRows <= kPanelRows);

// sums[0, n) += factors[u] * rows[u][0, n), one row after the other.
template <size_t kRows, class C>
void AddRows(const C* factors, const C* const* rows, size_t n, C* sums) {
  size_t c = 0;
  for (; c + kLanes<C> <= n; c += kLanes<C>) {
    Lanes<C> s = Load(sums + c);
    for (size_t u = 0; u < kRows; ++u) s.AddProduct(Splat(factors[u]), Load(rows[u] + c));
    s.Store(sums + c);
  }
  for (; c < n; ++c) {
    C s = sums[c];
    for (size_t u = 0; u < kRows; ++u) s += factors[u] * rows[u][c];
    sums[c] = s;
  }
}

// Where too few rows use a panel to pay for it: b is read along its rows, a few at a time, and the
// sums stay in the first-level cache.
template <class C>
void StreamRow(const GemmArgs& g, size_t row) {
  constexpr size_t kColumns = 1024 / sizeof(C);
  constexpr size_t kRows = 4;
  constexpr size_t kMostRows = 64;
  alignas(16) C sums[kColumns];
  C buffer[kRows * kColumns];
  C factor_buffer[kMostRows];
  const void* a = g.storage.At(g.a, static_cast<int64_t>(row) * g.lda);
  for (size_t j = 0; j < g.n; j += kColumns) {
    const size_t n = std::min(kColumns, g.n - j);
    std::fill(sums, sums + n, C(0));
    // Short rows that follow each other are read as one.
    const bool together = static_cast<int64_t>(n) == g.ldb && n * kMostRows <= kRows * kColumns;
    const size_t most = together ? kMostRows : kRows;
    for (size_t k = 0; k < g.k; k += most) {
      const size_t count = std::min(most, g.k - k);
      const auto first = static_cast<int64_t>(k);
      const C* factors = g.storage.Read(g.storage.At(a, first), count, 1, factor_buffer);
      const auto read = [&](size_t u, size_t length) {
        const int64_t at = (first + static_cast<int64_t>(u)) * g.ldb + static_cast<int64_t>(j);
        return g.storage.Read(g.storage.At(g.b, at), length, 1, buffer + u * n);
      };
      const C* rows[kMostRows];
      rows[0] = read(0, together ? count * n : n);
      for (size_t u = 1; u < count; ++u) rows[u] = together ? rows[0] + u * n : read(u, n);
      size_t u = 0;
      for (; u + kRows <= count; u += kRows) AddRows<kRows>(factors + u, rows + u, n, sums);
      for (; u < count; ++u) AddRows<1>(factors + u, rows + u, n, sums);
    }
    FinishRow(g, row, j, sums, n);
  }
}

template <class C>
void PanelColumns(const GemmArgs& g, size_t j) {
  const size_t n = std::min(kLanes<C>, g.n - j);
  Panel<C> panel;
  panel.Clear(g.m);
  for (size_t k = 0; k < g.k; k += kPanelDepth) {
    const size_t depth = std::min(kPanelDepth, g.k - k);
    for (size_t d = 0; d < depth; ++d) {
      const int64_t at = static_cast<int64_t>(k + d) * g.ldb + static_cast<int64_t>(j);
      C* to = panel.values + d * kLanes<C>;
      const C* from = g.storage.Read(g.storage.At(g.b, at), n, 1, to);
      if (n == kLanes<C>) {
        Load(from).Store(to);
      } else {
        for (size_t c = 0; c < kLanes<C>; ++c) to[c] = c < n ? from[c] : C(0);
      }
    }
    panel.Multiply(g.storage, g.storage.At(g.a, static_cast<int64_t>(k)), g.lda, 1, g.m, depth);
  }
  for (size_t i = 0; i < g.m; ++i) FinishRow(g, i, j, panel.sums + i * kLanes<C>, n);
}

}  // namespace

template <class C>
void GemmNN(const GemmArgs& g) {
  if (g.m < 4) {
    for (size_t i = 0; i < g.m; ++i) StreamRow<C>(g, i);
  } else {
    for (size_t j = 0; j < g.n; j += kLanes<C>) PanelColumns<C>(g, j);
  }
}

template void GemmNN<float>(const GemmArgs&);
template void GemmNN<double>(const GemmArgs&);
template void GemmNN<uint32_t>(const GemmArgs&);
template void GemmNN<uint64_t>(const GemmArgs&);

}  // namespace rushlight::kernels
