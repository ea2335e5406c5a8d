// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Convolution of a single channel (depthwise): tap by tap, over stretches of an output row.

#include <algorithm>

#include "src/kernels/conv/conv.h"

namespace rushlight::kernels {
namespace {

constexpr size_t kStretch = 64;  // outputs at a time
constexpr int64_t kTaps = 64;    // weights at a time

// The half-open range of i with 0 <= first + i * step < size, within [0, n).
struct Range {
  int64_t begin;
  int64_t end;

  Range(int64_t first, int64_t step, int64_t size, int64_t n)
      : begin(first < 0 ? (-first - 1) / step + 1 : 0),
        end(first < size ? std::min(n, (size - 1 - first) / step + 1) : 0) {}
  bool empty() const { return begin >= end; }
  size_t length() const { return static_cast<size_t>(end - begin); }
};

// What `count` (kTaps at most) taps of a row of the kernel, from `tap` on, add to n sums from
// output column x on.  `in` is the row of the input.  The inner loop runs along the outputs or
// along the taps, whichever are more; either way a sum takes its terms in the order of the taps.
template <class C>
void AddTaps(const ConvArgs& a, const void* in, const C* weights, int64_t tap, int64_t count,
             int64_t x, int64_t n, C* sums) {
  const ConvDim& w = a.shape->dims[2];
  C buffer[std::max(static_cast<int64_t>(kStretch), kTaps)];
  const int64_t column = x * w.stride - w.padding + tap * w.dilation;  // of the first of both
  const auto read = [&](int64_t from, int64_t step, size_t length) {
    return a.storage.Read(a.storage.At(in, from * w.in_stride), length, step * w.in_stride, buffer);
  };
  if (count > n) {
    for (int64_t i = 0; i < n; ++i) {
      const int64_t first = column + i * w.stride;
      const Range r(first, w.dilation, w.in, count);
      if (r.empty()) continue;
      const C* values = read(first + r.begin * w.dilation, w.dilation, r.length());
      C sum = sums[i];
      for (size_t t = 0; t < r.length(); ++t)
        sum += weights[r.begin + static_cast<int64_t>(t)] * values[t];
      sums[i] = sum;
    }
    return;
  }
  for (int64_t t = 0; t < count; ++t) {
    const int64_t first = column + t * w.dilation;
    const Range r(first, w.stride, w.in, n);
    if (r.empty()) continue;
    const C* values = read(first + r.begin * w.stride, w.stride, r.length());
    const C weight = weights[t];
    C* s = sums + r.begin;
    for (size_t i = 0; i < r.length(); ++i) s[i] += weight * values[i];
  }
}

// All taps of a row of the kernel, whose weights begin at `weight`.
template <class C>
void AddKernelRow(const ConvArgs& a, const void* in, const void* weight, int64_t x, int64_t n,
                  C* sums) {
  const int64_t kernel = a.shape->dims[2].kernel;
  const int64_t step = a.shape->weight_tap;
  C buffer[kTaps];
  for (int64_t tap = 0; tap < kernel; tap += kTaps) {
    const int64_t count = std::min(kTaps, kernel - tap);
    const C* weights =
        a.storage.Read(a.storage.At(weight, tap * step), static_cast<size_t>(count), step, buffer);
    AddTaps(a, in, weights, tap, count, x, n, sums);
  }
}

// n outputs (kStretch at most) from position (z, y, x) of one channel.
template <class C>
void AddKernel(const ConvArgs& a, const void* weight, int64_t z, int64_t y, int64_t x, int64_t n,
               C* sums) {
  const ConvDim* dims = a.shape->dims;
  for (int64_t kz = 0; kz < dims[0].kernel; ++kz) {
    const int64_t iz = z * dims[0].stride - dims[0].padding + kz * dims[0].dilation;
    if (iz < 0 || iz >= dims[0].in) continue;
    for (int64_t ky = 0; ky < dims[1].kernel; ++ky) {
      const int64_t iy = y * dims[1].stride - dims[1].padding + ky * dims[1].dilation;
      if (iy < 0 || iy >= dims[1].in) continue;
      const int64_t tap = (kz * dims[1].kernel + ky) * dims[2].kernel;
      AddKernelRow(a, a.storage.At(a.in, iz * dims[0].in_stride + iy * dims[1].in_stride),
                   a.storage.At(weight, tap * a.shape->weight_tap), x, n, sums);
    }
  }
}

}  // namespace

template <class C>
void ConvolveChannel(const ConvArgs& a) {
  const ConvDim* dims = a.shape->dims;
  for (size_t row = 0; row < a.rows; ++row) {
    const auto r = static_cast<int64_t>(row);
    const void* weight = a.storage.At(a.weight, r * a.shape->weight_row);
    C bias_buffer = 0;
    const C bias =
        a.bias == nullptr ? C(0) : *a.storage.Read(a.storage.At(a.bias, r), 1, 1, &bias_buffer);
    int64_t n = 0;
    for (auto p = static_cast<int64_t>(a.begin); p < static_cast<int64_t>(a.end); p += n) {
      const int64_t x = p % dims[2].out;
      const int64_t y = p / dims[2].out % dims[1].out;
      const int64_t z = p / dims[2].out / dims[1].out;
      n = std::min(
          {dims[2].out - x, static_cast<int64_t>(a.end) - p, static_cast<int64_t>(kStretch)});
      const auto count = static_cast<size_t>(n);
      C sums[kStretch];
      std::fill(sums, sums + count, C(0));
      AddKernel(a, weight, z, y, x, n, sums);
      for (size_t i = 0; i < count; ++i) sums[i] += bias;
      const int64_t at = r * a.shape->out_channel + z * dims[0].out_stride +
                         y * dims[1].out_stride + x * dims[2].out_stride;
      if (dims[2].out_stride == 1) {
        a.storage.Write(a.storage.At(a.out, at), sums, count);
      } else {
        for (size_t i = 0; i < count; ++i) {
          const int64_t step = static_cast<int64_t>(i) * dims[2].out_stride;
          a.storage.Write(a.storage.At(a.out, at + step), sums + i, 1);
        }
      }
    }
  }
}

template void ConvolveChannel<float>(const ConvArgs&);
template void ConvolveChannel<double>(const ConvArgs&);
template void ConvolveChannel<uint32_t>(const ConvArgs&);
template void ConvolveChannel<uint64_t>(const ConvArgs&);

}  // namespace rushlight::kernels
