// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <type_traits>

#include "rushlight/half.h"
#include "src/kernels/pool/windows.h"

namespace rushlight::kernels {
namespace {

// Integers wrap around, and so does the one quotient that does not fit.
template <class C>
C Divide(C sum, int64_t divisor) {
  if constexpr (std::is_integral_v<C>) {
    if (divisor == -1) return C(0) - sum;
    return static_cast<C>(static_cast<int64_t>(sum) / divisor);
  } else {
    return sum / static_cast<C>(divisor);
  }
}

}  // namespace

template <class T>
void AvgPool(const PoolArgs& a) {
  using C = std::conditional_t<std::is_integral_v<T>, uint64_t,
                               std::conditional_t<std::is_same_v<T, double>, double, float>>;
  const PoolShape& s = *a.shape;
  ForEachWindow(a, [&](const Window* w, int64_t plane, int64_t out, int64_t) {
    const T* in = static_cast<const T*>(a.in) + plane;
    C sum = 0;
    for (int64_t z = 0; z < w[0].count; ++z) {
      for (int64_t y = 0; y < w[1].count; ++y) {
        const T* row = in + (w[0].first + z) * s.dims[0].in_stride +
                       (w[1].first + y) * s.dims[1].in_stride + w[2].first * s.dims[2].in_stride;
        for (int64_t x = 0; x < w[2].count; ++x) {
          sum += static_cast<C>(row[x * s.dims[2].in_stride]);
        }
      }
    }
    // An average over nothing but padding is 0.
    const int64_t count = w[0].count * w[1].count * w[2].count;
    const int64_t divisor = s.divisor != 0    ? s.divisor
                            : count == 0      ? 1
                            : s.count_padding ? w[0].padded * w[1].padded * w[2].padded
                                              : count;
    static_cast<T*>(a.out)[out] = static_cast<T>(Divide(sum, divisor));
  });
}

template void AvgPool<float>(const PoolArgs&);
template void AvgPool<double>(const PoolArgs&);
template void AvgPool<Float16>(const PoolArgs&);
template void AvgPool<BFloat16>(const PoolArgs&);
template void AvgPool<int64_t>(const PoolArgs&);

}  // namespace rushlight::kernels
