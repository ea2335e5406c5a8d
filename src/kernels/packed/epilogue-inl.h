// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// What becomes of a row's sums.  Included once for each instruction set (RUSHLIGHT_ISA), in its
// target region.

#include "src/kernels/packed/activate-inl.h"

namespace rushlight::kernels::RUSHLIGHT_ISA {
namespace {

// Finishes and stores the outputs of `rows` rows from `row` on and of `panels` panels from `panel`
// on, whose sums are [rows, stride], [panels, 16] of each row.  Requires, with gates: both numbers
// of panels are even.
__attribute__((noinline)) void Finish(const MatmulOutput& o, size_t row, size_t rows, size_t panel,
                                      size_t panels, const float* sums, size_t stride) {
  const Epilogue& e = o.epilogue;
  for (size_t i = 0; i < panels; i += e.gated ? 2 : 1, sums += (e.gated ? 2 : 1) * kPanelOutputs) {
    const size_t column = (e.gated ? (panel + i) / 2 : panel + i) * kPanelOutputs;
    if (column >= o.columns) return;
    const size_t n = o.columns - column < kPanelOutputs ? o.columns - column : kPanelOutputs;
    // Gated panels are whole, so that n is right for the bias of both.
    const float* const bias = e.bias != nullptr ? e.bias + (panel + i) * kPanelOutputs : nullptr;
    F32x16 first = Set(0.0f), second = Set(0.0f);
    if (bias != nullptr) first = LoadFirst(bias, n);
    if (bias != nullptr && e.gated) second = LoadFirst(bias + kPanelOutputs, n);
    float* out = o.data + row * o.stride + column;
    for (size_t r = 0; r < rows; ++r, out += o.stride) {
      const float* const own = sums + r * stride;
      F32x16 x = Load(own);
      if (bias != nullptr) x = x + first;
      x = Activate(e.activation, x);
      if (e.gated) {
        F32x16 other = Load(own + kPanelOutputs);
        if (bias != nullptr) other = other + second;
        x = x * other;
      } else if (e.residual != nullptr) {
        x = x + LoadFirst(e.residual + (row + r) * e.residual_stride + column, n);
      }
      StoreFirst(out, x, n);
    }
  }
}

// The same of a tile's sums.
template <int kRows, int kPanels>
void FinishTile(const MatmulOutput& o, size_t row, size_t panel,
                const F32x16 (&sum)[kRows][kPanels]) {
  alignas(64) float sums[kRows][kPanels * kPanelOutputs];
  RUSHLIGHT_UNROLL
  for (int r = 0; r < kRows; ++r) {
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) Store(&sums[r][p * kPanelOutputs], sum[r][p]);
  }
  Finish(o, row, kRows, panel, kPanels, sums[0], kPanels * kPanelOutputs);
}

}  // namespace
}  // namespace rushlight::kernels::RUSHLIGHT_ISA
