// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <cmath>

#include "rushlight/half.h"
#include "src/kernels/resample/places.h"

namespace rushlight::kernels {
namespace {

// A triangle around the center of an output; where the image shrinks, as wide as two outputs.
template <class C>
struct Triangle {
  int64_t first;  // inputs that it covers
  int64_t end;
  C center;
  C slope;

  Triangle(const ResizeDim& d, C step, int64_t o) {
    const C support = step >= 1 ? step : C(1);
    slope = 1 / support;
    center = step * (static_cast<C>(o) + C(0.5));
    first = Truncate(center - support + C(0.5), d.in - 1);
    end = Truncate(center + support + C(0.5), d.in);
  }

  C Weight(int64_t i) const {
    const C distance = std::fabs((static_cast<C>(i) - center + C(0.5)) * slope);
    return distance < 1 ? 1 - distance : C(0);
  }
};

}  // namespace

template <class T>
void ResizeBilinearAntialiased(const ResizeArgs& a) {
  using C = PlaceOf<T>;
  const ResizeShape& s = *a.shape;
  const C step_y = StepOf<C>(s.dims[0], s.align_corners);
  const C step_x = StepOf<C>(s.dims[1], s.align_corners);
  ForEachRow(a, [&](int64_t plane, int64_t to, int64_t y, int64_t x, int64_t end) {
    const T* in = static_cast<const T*>(a.in) + plane;
    T* out = static_cast<T*>(a.out) + to;
    const Triangle<C> vertical(s.dims[0], step_y, y);
    for (; x < end; ++x) {
      const Triangle<C> horizontal(s.dims[1], step_x, x);
      C sum = 0;
      C weights = 0;
      for (int64_t i = vertical.first; i < vertical.end; ++i) {
        const T* row = in + i * s.dims[0].in_stride;
        C row_sum = 0;
        C row_weights = 0;
        for (int64_t j = horizontal.first; j < horizontal.end; ++j) {
          const C weight = horizontal.Weight(j);
          row_sum += weight * static_cast<C>(row[j * s.dims[1].in_stride]);
          row_weights += weight;
        }
        const C weight = vertical.Weight(i);
        sum += weight * row_sum;
        weights += weight * row_weights;
      }
      // A scale that does not fit the sizes may place an output where there is nothing.
      out[x * s.dims[1].out_stride] = static_cast<T>(weights != 0 ? sum / weights : C(0));
    }
  });
}

template void ResizeBilinearAntialiased<float>(const ResizeArgs&);
template void ResizeBilinearAntialiased<double>(const ResizeArgs&);
template void ResizeBilinearAntialiased<Float16>(const ResizeArgs&);
template void ResizeBilinearAntialiased<BFloat16>(const ResizeArgs&);

}  // namespace rushlight::kernels
