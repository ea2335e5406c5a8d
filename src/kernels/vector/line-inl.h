// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// A step of a product: a line of each of several panels, times rows.  A line holds one input of 16
// outputs, in half precision a pair of inputs of each.  Included once for each instruction set
// (RUSHLIGHT_ISA), in its target region.

namespace rushlight::kernels::RUSHLIGHT_ISA {
namespace {

// sum[row][panel] += x[row][i] * weight[panel][i] for the inputs of a line, of which there are k.
template <int kRows, int kPanels, class T>
RUSHLIGHT_INLINE void AddLine(const float* x, size_t stride, const T* line, size_t panel_stride,
                              size_t k, F32x16 (&sum)[kRows][kPanels]) {
  constexpr size_t kInputs = sizeof(T) == 2 ? 2 : 1;
  RUSHLIGHT_UNROLL
  for (size_t i = 0; i < kInputs; ++i) {
    if (i > 0 && k < 2) return;
    F32x16 w[kPanels];
    // Pairs are loaded again: with both halves of them, a tall tile would not fit the registers.
    if (kRows > 1) __asm__("" : "+r"(line));
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) {
      if constexpr (kInputs == 2) {
        F32x16 even, odd;
        Unzip(line + p * panel_stride, &even, &odd);
        w[p] = i == 0 ? even : odd;
      } else {
        w[p] = Load(line + p * panel_stride);
      }
    }
    RUSHLIGHT_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const F32x16 xi = Set(x[r * stride + i]);
      RUSHLIGHT_UNROLL
      for (int p = 0; p < kPanels; ++p) sum[r][p] = MulAdd(xi, w[p], sum[r][p]);
    }
  }
}

}  // namespace
}  // namespace rushlight::kernels::RUSHLIGHT_ISA
