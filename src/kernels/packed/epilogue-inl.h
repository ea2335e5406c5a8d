// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// What becomes of a row's sums.  Included once for each instruction set (RUSHLIGHT_ISA), in its
// target region.

#include "src/kernels/packed/activate-inl.h"

namespace rushlight::kernels::RUSHLIGHT_ISA {
namespace {

// Sixteen columns of the output: what a panel's sums become, or a gate's and those of what it
// gates.
class Columns {
 public:
  // Of panel `panel`, with gates the first of two.
  RUSHLIGHT_INLINE Columns(const MatmulOutput& o, size_t panel) : o_(o) {
    const Epilogue& e = o.epilogue;
    column_ = (e.gated ? panel / 2 : panel) * kPanelOutputs;
    if (column_ >= o.columns) return;
    count_ = o.columns - column_ < kPanelOutputs ? o.columns - column_ : kPanelOutputs;
    if (e.bias == nullptr) return;
    // Gated panels are whole, so that the count is right for the bias of both.
    bias_ = LoadFirst(e.bias + panel * kPanelOutputs, count_);
    if (e.gated) gated_bias_ = LoadFirst(e.bias + (panel + 1) * kPanelOutputs, count_);
  }
  // Whether all is padding.
  RUSHLIGHT_INLINE bool empty() const { return count_ == 0; }
  RUSHLIGHT_INLINE void Put(size_t row, F32x16 x, F32x16 gated) const {
    const Epilogue& e = o_.epilogue;
    if (e.bias != nullptr) x = x + bias_;
    if (e.activation != Activation::kNone) x = Activate(e.activation, x);
    if (e.gated) {
      if (e.bias != nullptr) gated = gated + gated_bias_;
      x = x * gated;
    } else if (e.residual != nullptr) {
      x = x + LoadFirst(e.residual + row * e.residual_stride + column_, count_);
    }
    StoreFirst(o_.data + row * o_.stride + column_, x, count_);
  }

 private:
  const MatmulOutput& o_;
  size_t column_ = 0, count_ = 0;
  F32x16 bias_ = Set(0.0f), gated_bias_ = Set(0.0f);
};

// Finishes and stores the outputs of `rows` rows from `row` on and of `panels` panels from `panel`
// on, whose sums are [rows, stride], [panels, 16] of each row.  Requires, with gates: both numbers
// of panels are even.
__attribute__((noinline)) void Finish(const MatmulOutput& o, size_t row, size_t rows, size_t panel,
                                      size_t panels, const float* sums, size_t stride) {
  const size_t together = o.epilogue.gated ? 2 : 1;
  for (size_t i = 0; i < panels; i += together, sums += together * kPanelOutputs) {
    const Columns columns(o, panel + i);
    if (columns.empty()) return;
    for (size_t r = 0; r < rows; ++r) {
      const float* const own = sums + r * stride;
      columns.Put(row + r, Load(own), together == 2 ? Load(own + kPanelOutputs) : Set(0.0f));
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
