// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// What becomes of a row's sums.  Included once for each instruction set (RUSHLIGHT_ISA), in its
// target region.

#include "src/kernels/packed/activate-inl.h"

namespace rushlight::kernels::RUSHLIGHT_ISA {
namespace {

// Finishes and stores the outputs of `panels` panels, the first of them `panel`, whose sums are
// [panels, 16].  Requires, with gates: both numbers are even.
void Finish(const MatmulOutput& o, size_t row, size_t panel, size_t panels, const float* sums) {
  const Epilogue& e = o.epilogue;
  const size_t step = e.gated ? 2 : 1;
  for (size_t i = 0; i < panels; i += step) {
    const size_t column = (panel + i) / step * kPanelOutputs;
    if (column >= o.columns) return;
    const size_t n = o.columns - column < kPanelOutputs ? o.columns - column : kPanelOutputs;
    F32x16 x = Load(sums + i * kPanelOutputs);
    // Gated panels are whole, so that n is right for the bias of both.
    const float* bias = e.bias != nullptr ? e.bias + (panel + i) * kPanelOutputs : nullptr;
    if (bias != nullptr) x = x + LoadFirst(bias, n);
    x = Activate(e.activation, x);
    if (e.gated) {
      F32x16 other = Load(sums + (i + 1) * kPanelOutputs);
      if (bias != nullptr) other = other + LoadFirst(bias + kPanelOutputs, n);
      x = x * other;
    } else if (e.residual != nullptr) {
      x = x + LoadFirst(e.residual + row * e.residual_stride + column, n);
    }
    StoreFirst(o.data + row * o.stride + column, x, n);
  }
}

}  // namespace
}  // namespace rushlight::kernels::RUSHLIGHT_ISA
