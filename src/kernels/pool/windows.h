// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The walk over the windows of a pooling operator.
#pragma once

#include <algorithm>

#include "src/kernels/pool/pool.h"

namespace rushlight::kernels {

// The inputs of a window along one dimension: first, first + step, ...
struct Window {
  int64_t first;
  int64_t count;  // inside of the input; may be 0
  int64_t step;
  int64_t padded;  // how many there are when padding counts

  static Window At(const PoolDim& d, bool adaptive, int64_t o) {
    if (adaptive) {
      const int64_t begin = o * d.in / d.out;
      const int64_t end = ((o + 1) * d.in + d.out - 1) / d.out;
      return {begin, end - begin, 1, end - begin};
    }
    const int64_t start = o * d.stride - d.padding;
    const int64_t skipped = start < 0 ? (-start - 1) / d.dilation + 1 : 0;
    const int64_t first = start + skipped * d.dilation;
    int64_t count = d.kernel - skipped;
    if (first + (count - 1) * d.dilation >= d.in) {
      count = first < d.in ? (d.in - 1 - first) / d.dilation + 1 : 0;
    }
    return {first, std::max<int64_t>(count, 0), d.dilation,
            std::min(start + d.kernel, d.in + d.padding) - start};
  }
};

// Calls f(windows along depth, height and width; offsets of the plane in the input, of the result
// in the output and of its index) for each output of [begin, end).
template <class F>
void ForEachWindow(const PoolArgs& a, F f) {
  const PoolShape& s = *a.shape;
  const PoolDim& width = s.dims[2];
  Window windows[3];
  int64_t n = 0;
  for (auto p = static_cast<int64_t>(a.begin); p < static_cast<int64_t>(a.end); p += n) {
    int64_t rest = p;
    int64_t at[3];
    for (size_t d = 3; d-- > 0; rest /= s.dims[d].out) at[d] = rest % s.dims[d].out;
    const int64_t channel = rest % s.channels;
    const int64_t image = rest / s.channels;
    const int64_t plane = image * s.in_batch + channel * s.in_channel;
    int64_t out = image * s.out_batch + channel * s.out_channel;
    int64_t index = image * s.indices_batch + channel * s.indices_channel;
    for (size_t d = 0; d < 2; ++d) {
      windows[d] = Window::At(s.dims[d], s.adaptive, at[d]);
      out += at[d] * s.dims[d].out_stride;
      index += at[d] * s.dims[d].indices_stride;
    }
    n = std::min(width.out - at[2], static_cast<int64_t>(a.end) - p);
    for (int64_t x = at[2]; x < at[2] + n; ++x) {
      windows[2] = Window::At(width, s.adaptive, x);
      f(static_cast<const Window*>(windows), plane, out + x * width.out_stride,
        index + x * width.indices_stride);
    }
  }
}

}  // namespace rushlight::kernels
