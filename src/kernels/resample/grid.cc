// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <algorithm>
#include <cmath>

#include "rushlight/half.h"
#include "src/kernels/resample/places.h"

namespace rushlight::kernels {
namespace {

// The inputs that a point takes along one axis, as offsets, and their weights.  What lies outside
// of the input has the weight 0 and the offset 0.
template <class C>
struct Taps {
  int64_t offset[4];
  C weight[4];
};

// Places beyond the input (or not a number) are out of range for an integer, too.
template <class C>
int64_t IndexOf(C place, int64_t size) {
  return place >= 0 && place < static_cast<C>(size) ? static_cast<int64_t>(place) : -1;
}

template <class C>
C Clip(C place, int64_t size) {
  return place > 0 ? std::min(place, static_cast<C>(size - 1)) : C(0);  // NaN: 0
}

// Mirrors a place at the outermost pixels' centers, or at their edges.
template <class C>
C Reflect(C place, int64_t size, bool align_corners) {
  const C low = align_corners ? C(0) : C(-0.5);
  const C span = static_cast<C>(align_corners ? size - 1 : size);
  if (span == 0) return 0;
  const C distance = std::fabs(place - low);
  const C rest = std::fmod(distance, span);
  const bool forth = std::fmod(std::floor(distance / span), C(2)) == 0;
  return (forth ? rest : span - rest) + low;
}

template <class C>
C Inside(C place, const GridShape& s, int64_t size) {
  switch (s.padding) {
    case Padding::kZeros:
      return place;
    case Padding::kBorder:
      return Clip(place, size);
    default:
      return Clip(Reflect(place, size, s.align_corners), size);
  }
}

// Weights of the four pixels around a place that is t behind the second.
template <class C>
void CubicWeights(C t, C* weight) {
  constexpr C kA = C(-0.75);
  const auto near = [](C x) { return ((kA + 2) * x - (kA + 3)) * x * x + 1; };
  const auto far = [](C x) { return ((kA * x - 5 * kA) * x + 8 * kA) * x - 4 * kA; };
  weight[0] = far(t + 1);
  weight[1] = near(t);
  weight[2] = near(1 - t);
  weight[3] = far(2 - t);
}

// `point` is a coordinate from -1 to 1.  Returns the number of taps.
template <class C>
size_t Locate(const GridShape& s, const GridDim& d, C point, Taps<C>* taps) {
  const auto size = static_cast<C>(d.in);
  const C place = s.align_corners ? (point + 1) / 2 * (size - 1) : ((point + 1) * size - 1) / 2;
  C first;
  size_t count;
  switch (s.interpolation) {
    case Interpolation::kNearest:
      first = std::nearbyint(Inside(place, s, d.in));
      count = 1;
      taps->weight[0] = 1;
      break;
    case Interpolation::kBilinear: {
      const C inside = Inside(place, s, d.in);
      first = std::floor(inside);
      count = 2;
      taps->weight[0] = first + 1 - inside;
      taps->weight[1] = inside - first;
      break;
    }
    default:
      first = std::floor(place);
      count = 4;
      CubicWeights(place - first, taps->weight);
      first -= 1;
      break;
  }
  for (size_t i = 0; i < count; ++i) {
    C at = first + static_cast<C>(i);
    if (s.interpolation == Interpolation::kBicubic) at = Inside(at, s, d.in);
    const int64_t index = IndexOf(at, d.in);
    taps->offset[i] = index < 0 ? 0 : index * d.in_stride;
    if (index < 0) taps->weight[i] = 0;
  }
  return count;
}

}  // namespace

template <class T>
void SampleGrid(const GridArgs& a) {
  using C = PlaceOf<T>;
  const GridShape& s = *a.shape;
  const int64_t blocks = (s.channels - 1) / kGridChannels + 1;
  for (auto p = static_cast<int64_t>(a.begin); p < static_cast<int64_t>(a.end); ++p) {
    const int64_t x = p % s.width;
    const int64_t y = p / s.width % s.height;
    const int64_t block = p / s.width / s.height % blocks;
    const int64_t image = p / s.width / s.height / blocks;
    const T* point =
        static_cast<const T*>(a.grid) + image * s.grid_batch + y * s.grid_height + x * s.grid_width;
    Taps<C> columns;
    Taps<C> rows;
    Locate(s, s.dims[1], static_cast<C>(point[0]), &columns);
    const size_t count = Locate(s, s.dims[0], static_cast<C>(point[s.grid_axis]), &rows);
    const int64_t first = block * kGridChannels;
    const int64_t end = std::min(first + kGridChannels, s.channels);
    for (int64_t channel = first; channel < end; ++channel) {
      const T* in = static_cast<const T*>(a.in) + image * s.in_batch + channel * s.in_channel;
      C sum = 0;
      for (size_t i = 0; i < count; ++i) {
        C row_sum = 0;
        for (size_t j = 0; j < count; ++j) {
          // Not even an infinity counts where the weight is that of the outside.
          if (columns.weight[j] == 0) continue;
          row_sum += columns.weight[j] * static_cast<C>(in[rows.offset[i] + columns.offset[j]]);
        }
        if (rows.weight[i] != 0) sum += rows.weight[i] * row_sum;
      }
      static_cast<T*>(a.out)[image * s.out_batch + channel * s.out_channel + y * s.out_height +
                             x * s.out_width] = static_cast<T>(sum);
    }
  }
}

template void SampleGrid<float>(const GridArgs&);
template void SampleGrid<double>(const GridArgs&);
template void SampleGrid<Float16>(const GridArgs&);
template void SampleGrid<BFloat16>(const GridArgs&);

}  // namespace rushlight::kernels
