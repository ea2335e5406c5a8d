// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Where outputs of a resized image lie in the input.  Scales come from program files: they may be
// tiny, infinite or not numbers, and still no index leaves the input.
#pragma once

#include <algorithm>
#include <type_traits>

#include "src/kernels/resample/resample.h"

namespace rushlight::kernels {

// The type that places and values are computed in.
template <class T>
using PlaceOf = std::conditional_t<std::is_same_v<T, double>, double, float>;

// Inputs to an output.
template <class C>
C StepOf(const ResizeDim& d, bool align_corners) {
  if (align_corners) {
    return d.out > 1 ? static_cast<C>(d.in - 1) / static_cast<C>(d.out - 1) : C(0);
  }
  if (d.scale > 0) return static_cast<C>(1 / d.scale);
  return static_cast<C>(d.in) / static_cast<C>(d.out);
}

// The whole part, at least 0 (so of NaN) and at most `limit`.
template <class C>
int64_t Truncate(C place, int64_t limit) {
  if (!(place > 0)) return 0;
  return place < static_cast<C>(limit) ? static_cast<int64_t>(place) : limit;
}

// Calls f(offset of the plane in the input, of the row in the output, y, first x, end of x) for the
// stretches of rows that make up [begin, end).
template <class F>
void ForEachRow(const ResizeArgs& a, F f) {
  const ResizeShape& s = *a.shape;
  const int64_t height = s.dims[0].out;
  const int64_t width = s.dims[1].out;
  int64_t n = 0;
  for (auto p = static_cast<int64_t>(a.begin); p < static_cast<int64_t>(a.end); p += n) {
    const int64_t x = p % width;
    const int64_t y = p / width % height;
    const int64_t plane = p / width / height;
    const int64_t channel = plane % s.channels;
    const int64_t image = plane / s.channels;
    n = std::min(width - x, static_cast<int64_t>(a.end) - p);
    f(image * s.in_batch + channel * s.in_channel,
      image * s.out_batch + channel * s.out_channel + y * s.dims[0].out_stride, y, x, x + n);
  }
}

}  // namespace rushlight::kernels
