// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/conv/columns.h"

#include <type_traits>

#include "rushlight/half.h"

namespace rushlight::kernels {
namespace {

// Takes the lowest digit of a position in a space of dimensions.
int64_t Next(int64_t size, int64_t* rest) {
  const int64_t i = *rest % size;
  *rest /= size;
  return i;
}

}  // namespace

template <class T>
void ImageToColumns(const ColumnsArgs& a) {
  const ColumnsShape& s = *a.shape;
  const ColumnsDim& height = s.dims[0];
  const ColumnsDim& width = s.dims[1];
  for (size_t p = a.begin; p < a.end; ++p) {
    auto rest = static_cast<int64_t>(p);
    int64_t x = Next(width.windows, &rest) * width.stride - width.padding;
    int64_t y = Next(height.windows, &rest) * height.stride - height.padding;
    x += Next(width.kernel, &rest) * width.dilation;
    y += Next(height.kernel, &rest) * height.dilation;
    const int64_t channel = Next(s.channels, &rest);
    const bool inside = x >= 0 && x < width.image && y >= 0 && y < height.image;
    static_cast<T*>(a.out)[p] =
        inside ? static_cast<const T*>(a.in)[rest * s.image_batch + channel * s.image_channel +
                                             y * height.image_stride + x * width.image_stride]
               : T(0.0f);
  }
}

template <class T>
void ColumnsToImage(const ColumnsArgs& a) {
  using C = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const ColumnsShape& s = *a.shape;
  const ColumnsDim& height = s.dims[0];
  const ColumnsDim& width = s.dims[1];
  // The window whose tap k falls onto pixel i, or -1.
  const auto window = [](const ColumnsDim& d, int64_t i, int64_t k) {
    const int64_t at = i + d.padding - k * d.dilation;
    return at >= 0 && at % d.stride == 0 && at / d.stride < d.windows ? at / d.stride : -1;
  };
  for (size_t p = a.begin; p < a.end; ++p) {
    auto rest = static_cast<int64_t>(p);
    const int64_t x = Next(width.image, &rest);
    const int64_t y = Next(height.image, &rest);
    const int64_t plane = rest;
    const int64_t channel = Next(s.channels, &rest);
    C sum = 0;
    for (int64_t i = 0; i < height.kernel; ++i) {
      const int64_t row = window(height, y, i);
      if (row < 0) continue;
      for (int64_t j = 0; j < width.kernel; ++j) {
        const int64_t column = window(width, x, j);
        if (column < 0) continue;
        const int64_t tap = (plane * height.kernel + i) * width.kernel + j;
        sum += static_cast<C>(
            static_cast<const T*>(a.in)[(tap * height.windows + row) * width.windows + column]);
      }
    }
    static_cast<T*>(a.out)[rest * s.image_batch + channel * s.image_channel +
                           y * height.image_stride + x * width.image_stride] = static_cast<T>(sum);
  }
}

#define RL_COLUMNS(T)                                  \
  template void ImageToColumns<T>(const ColumnsArgs&); \
  template void ColumnsToImage<T>(const ColumnsArgs&)
RL_COLUMNS(float);
RL_COLUMNS(double);
RL_COLUMNS(Float16);
RL_COLUMNS(BFloat16);
#undef RL_COLUMNS

}  // namespace rushlight::kernels
