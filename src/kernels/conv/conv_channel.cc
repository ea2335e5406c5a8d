// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Convolution of a single channel (depthwise): tap by tap, over stretches of an output row.

#include <algorithm>

#include "src/kernels/conv/conv.h"

namespace rushlight::kernels {
namespace {

constexpr size_t kStretch = 64;  // outputs at a time
constexpr int64_t kTaps = 32;    // weights read at a time

// What one row of the kernel, of the weights at `weight`, adds to n sums from output column x on.
// `in` is the row of the input.
template <class C>
void AddKernelRow(const ConvArgs& a, const void* in, const void* weight, int64_t x, int64_t n,
                  C* sums) {
  const ConvDim& w = a.shape->dims[2];
  C weight_buffer[kTaps];
  C buffer[kStretch];
  for (int64_t first = 0; first < w.kernel; first += kTaps) {
    const int64_t count = std::min(kTaps, w.kernel - first);
    const C* weights =
        a.storage.Read(a.storage.At(weight, first * a.shape->weight_tap),
                       static_cast<size_t>(count), a.shape->weight_tap, weight_buffer);
    for (int64_t t = 0; t < count; ++t) {
      // Output x + i reads column + i * stride; i runs over those inside of the input.
      const int64_t column = x * w.stride - w.padding + (first + t) * w.dilation;
      const int64_t begin = column < 0 ? (-column - 1) / w.stride + 1 : 0;
      const int64_t end = column < w.in ? std::min(n, (w.in - 1 - column) / w.stride + 1) : 0;
      if (begin >= end) continue;
      const auto length = static_cast<size_t>(end - begin);
      const C* values = a.storage.Read(a.storage.At(in, (column + begin * w.stride) * w.in_stride),
                                       length, w.stride * w.in_stride, buffer);
      const C factor = weights[t];
      C* s = sums + begin;
      for (size_t i = 0; i < length; ++i) s[i] += factor * values[i];
    }
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
