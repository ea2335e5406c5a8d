// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <limits>
#include <type_traits>

#include "rushlight/half.h"
#include "src/kernels/pool/windows.h"

namespace rushlight::kernels {

template <class T>
void MaxPool(const PoolArgs& a) {
  // 16-bit floats are compared as float, which holds them exactly.
  using C = std::conditional_t<std::is_arithmetic_v<T>, T, float>;
  constexpr C kLeast = std::numeric_limits<C>::has_infinity ? -std::numeric_limits<C>::infinity()
                                                            : std::numeric_limits<C>::lowest();
  const PoolDim* dims = a.shape->dims;
  ForEachWindow(a, [&](const Window* w, int64_t plane, int64_t out, int64_t index) {
    const T* in = static_cast<const T*>(a.in) + plane;
    C best = kLeast;
    int64_t best_at = -1;
    for (int64_t z = 0; z < w[0].count; ++z) {
      const int64_t iz = w[0].first + z * w[0].step;
      for (int64_t y = 0; y < w[1].count; ++y) {
        const int64_t iy = w[1].first + y * w[1].step;
        const T* row = in + iz * dims[0].in_stride + iy * dims[1].in_stride;
        for (int64_t x = 0; x < w[2].count; ++x) {
          const int64_t ix = w[2].first + x * w[2].step;
          const C value = static_cast<C>(row[ix * dims[2].in_stride]);
          if (value > best || value != value || best_at < 0) {
            best = value;
            best_at = (iz * dims[1].in + iy) * dims[2].in + ix;
          }
        }
      }
    }
    static_cast<T*>(a.out)[out] = static_cast<T>(best);
    a.indices[index] = best_at < 0 ? 0 : best_at;
  });
}

template void MaxPool<float>(const PoolArgs&);
template void MaxPool<double>(const PoolArgs&);
template void MaxPool<Float16>(const PoolArgs&);
template void MaxPool<BFloat16>(const PoolArgs&);
template void MaxPool<uint8_t>(const PoolArgs&);
template void MaxPool<int8_t>(const PoolArgs&);
template void MaxPool<int16_t>(const PoolArgs&);
template void MaxPool<int32_t>(const PoolArgs&);
template void MaxPool<int64_t>(const PoolArgs&);

}  // namespace rushlight::kernels
