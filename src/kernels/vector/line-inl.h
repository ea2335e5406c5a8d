// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// A step of a product: a line of each of several panels, times rows.  A line holds one input of 16
// outputs, in half precision a pair of inputs of each.  Included once for each instruction set
// (RUSHLIGHT_ISA), in its target region.

namespace rushlight::kernels::RUSHLIGHT_ISA {
namespace {

template <int kRows, int kPanels>
RUSHLIGHT_INLINE void AddInput(const float* x, size_t stride, const F32x16 (&w)[kPanels],
                               F32x16 (&sum)[kRows][kPanels]) {
  RUSHLIGHT_UNROLL
  for (int r = 0; r < kRows; ++r) {
    const F32x16 xi = Set(x[r * stride]);
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) sum[r][p] = MulAdd(xi, w[p], sum[r][p]);
  }
}

// sum[row][panel] += x[row][i] * weight[panel][i] for the inputs of a line, of which there are k.
// The inputs of a pair go one after the other: both would not fit the registers beside the sums.
template <int kRows, int kPanels, class T>
RUSHLIGHT_INLINE void AddLine(const float* x, size_t stride, const T* line, size_t panel_stride,
                              size_t k, F32x16 (&sum)[kRows][kPanels]) {
  F32x16 w[kPanels];
  if constexpr (sizeof(T) != 2) {
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) w[p] = Load(line + p * panel_stride);
    AddInput(x, stride, w, sum);
  } else {
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) w[p] = Even(line + p * panel_stride);
    AddInput(x, stride, w, sum);
    if (k < 2) return;
    if (kRows > 1) __asm__("" : "+r"(line));  // loaded again, not kept
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) w[p] = Odd(line + p * panel_stride);
    AddInput(x + 1, stride, w, sum);
  }
}

}  // namespace
}  // namespace rushlight::kernels::RUSHLIGHT_ISA
