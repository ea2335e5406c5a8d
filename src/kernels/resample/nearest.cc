// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <cstring>

#include "src/kernels/resample/places.h"

namespace rushlight::kernels {
namespace {

template <size_t kBytes>
void ResizeElements(const ResizeArgs& a) {
  const ResizeShape& s = *a.shape;
  const auto* in = static_cast<const uint8_t*>(a.in);
  auto* out = static_cast<uint8_t*>(a.out);
  // As PyTorch, in float whatever the elements are.
  const float step[2] = {StepOf<float>(s.dims[0], false), StepOf<float>(s.dims[1], false)};
  const float shift = s.from_centers ? 0.5f : 0.0f;
  const auto source = [&](size_t d, int64_t o) {
    const float place = (static_cast<float>(o) + shift) * step[d];
    return Truncate(place, s.dims[d].in - 1) * s.dims[d].in_stride;
  };
  ForEachRow(a, [&](int64_t plane, int64_t to, int64_t y, int64_t x, int64_t end) {
    const int64_t row = plane + source(0, y);
    for (; x < end; ++x) {
      std::memcpy(out + (to + x * s.dims[1].out_stride) * static_cast<int64_t>(kBytes),
                  in + (row + source(1, x)) * static_cast<int64_t>(kBytes), kBytes);
    }
  });
}

}  // namespace

void ResizeNearest(const ResizeArgs& a) {
  switch (a.shape->element_size) {
    case 1:
      return ResizeElements<1>(a);
    case 2:
      return ResizeElements<2>(a);
    case 4:
      return ResizeElements<4>(a);
    default:
      return ResizeElements<8>(a);
  }
}

}  // namespace rushlight::kernels
