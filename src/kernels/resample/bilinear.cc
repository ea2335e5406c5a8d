// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/half.h"
#include "src/kernels/resample/places.h"

namespace rushlight::kernels {
namespace {

// The two inputs around a place, as offsets, and how far it is from the first to the second.
template <class C>
struct Pair {
  int64_t low;
  int64_t high;
  C weight;

  Pair(const ResizeDim& d, C step, bool align_corners, int64_t o) {
    C place =
        align_corners ? step * static_cast<C>(o) : step * (static_cast<C>(o) + C(0.5)) - C(0.5);
    if (!(place > 0)) place = 0;
    const int64_t first = Truncate(place, d.in - 1);
    const int64_t second = first + (first < d.in - 1 ? 1 : 0);
    weight = std::min(place - static_cast<C>(first), C(1));
    low = first * d.in_stride;
    high = second * d.in_stride;
  }
};

}  // namespace

template <class T>
void ResizeBilinear(const ResizeArgs& a) {
  using C = PlaceOf<T>;
  const ResizeShape& s = *a.shape;
  const C step_y = StepOf<C>(s.dims[0], s.align_corners);
  const C step_x = StepOf<C>(s.dims[1], s.align_corners);
  ForEachRow(a, [&](int64_t plane, int64_t to, int64_t y, int64_t x, int64_t end) {
    const Pair<C> vertical(s.dims[0], step_y, s.align_corners, y);
    const T* top = static_cast<const T*>(a.in) + plane + vertical.low;
    const T* bottom = static_cast<const T*>(a.in) + plane + vertical.high;
    T* out = static_cast<T*>(a.out) + to;
    const auto blend = [](T first, T second, C weight) {
      return static_cast<C>(first) * (1 - weight) + static_cast<C>(second) * weight;
    };
    for (; x < end; ++x) {
      const Pair<C> h(s.dims[1], step_x, s.align_corners, x);
      const C upper = blend(top[h.low], top[h.high], h.weight);
      const C lower = blend(bottom[h.low], bottom[h.high], h.weight);
      out[x * s.dims[1].out_stride] =
          static_cast<T>(upper * (1 - vertical.weight) + lower * vertical.weight);
    }
  });
}

template void ResizeBilinear<float>(const ResizeArgs&);
template void ResizeBilinear<double>(const ResizeArgs&);
template void ResizeBilinear<Float16>(const ResizeArgs&);
template void ResizeBilinear<BFloat16>(const ResizeArgs&);

}  // namespace rushlight::kernels
