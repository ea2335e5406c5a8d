// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Activations as products with integer weights take them: signed bytes in -127..127, and for each
// group a scale, the sum of the bytes, and the sum of what they stand for.
//
// A group's scale is its largest magnitude / 127; bytes are rounded to nearest, ties to even.
// Groups of nothing but tiny numbers are zero.  A group with a NaN or an infinity has zeros and the
// scale NaN, so that its outputs are NaN too.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/kernels/packed/layout.h"

namespace rushlight::kernels {

// Bytes between quantized rows: what lies behind k is zero, and a line of weights may meet it.  An
// odd number of lines, so that a column of rows is spread over all sets of a cache.
constexpr size_t QuantizedStride(size_t k) { return (DivideUp(k, kLineBytes) | 1) * kLineBytes; }

inline constexpr float kSmallestMagnitude = 0x1p-100f;  // so that 127 / magnitude is finite

struct QuantizedRows {
  const int8_t* values;  // [m, QuantizedStride(k)]
  const float* scales;   // [m, groups]
  const int32_t* sums;   // [m, groups]
  const float* totals;   // [m, groups]: what minimums are multiplied by: scale * sum, or the sum
};

struct QuantizeArgs {
  const float* x;  // [m, k]
  size_t stride;   // of rows of x, in elements
  size_t m;
  size_t k;
  size_t group;    // the weight's; k for the whole row
  bool row_scale;  // one scale for the whole row, given to each group, as two levels ask for
  int8_t* values;  // as QuantizedRows
  float* scales;
  int32_t* sums;
  float* totals;
};

}  // namespace rushlight::kernels
