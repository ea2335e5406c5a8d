// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <limits>
#include <type_traits>

#include "rushlight/half.h"
#include "src/kernels/elementwise/elementwise.h"

namespace rushlight::kernels {
namespace {

template <class T>
constexpr bool kIsFloat =
    std::is_floating_point_v<T> || std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>;

template <class R, class T>
R ToInteger(T v) {
  using L = std::numeric_limits<R>;
  constexpr T kLow = static_cast<T>(L::min());
  constexpr T kHigh = -kLow;  // 2^(bits - 1): exact, unlike the greatest value
  return v >= kLow && v < kHigh ? static_cast<R>(v) : L::min();
}

template <class R, class T>
R Convert(T v) {
  if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
    return Convert<R>(static_cast<float>(v));
  } else if constexpr (std::is_same_v<R, Float16> || std::is_same_v<R, BFloat16>) {
    return R(static_cast<float>(v));
  } else if constexpr (std::is_same_v<T, Bool8>) {
    return static_cast<R>(v ? 1 : 0);
  } else if constexpr (std::is_same_v<R, Bool8>) {
    return Bool8(v != T(0));
  } else if constexpr (kIsFloat<T> && std::is_integral_v<R>) {
    using Wide = std::conditional_t<(sizeof(R) < 8 && std::is_signed_v<R>), int32_t, int64_t>;
    return static_cast<R>(ToInteger<Wide>(v));  // narrow types wrap around
  } else {
    return static_cast<R>(v);
  }
}

}  // namespace

template <class T, class R>
void Cast(const CastArgs& a) {
  R* out = static_cast<R*>(a.out);
  const T* in = static_cast<const T*>(a.in);
  if (a.stride == 1) {
#pragma GCC ivdep
    for (size_t i = 0; i < a.n; ++i) out[i] = Convert<R>(in[i]);
  } else {
    for (size_t i = 0; i < a.n; ++i) out[i] = Convert<R>(in[static_cast<int64_t>(i) * a.stride]);
  }
}

#define RL_CASTS_OF(S)                             \
  template void Cast<S, float>(const CastArgs&);   \
  template void Cast<S, double>(const CastArgs&);  \
  template void Cast<S, int32_t>(const CastArgs&); \
  template void Cast<S, int64_t>(const CastArgs&)
#define RL_CASTS_TO(S)                             \
  template void Cast<float, S>(const CastArgs&);   \
  template void Cast<double, S>(const CastArgs&);  \
  template void Cast<int32_t, S>(const CastArgs&); \
  template void Cast<int64_t, S>(const CastArgs&)

RL_CASTS_OF(float);
RL_CASTS_OF(double);
RL_CASTS_OF(int32_t);
RL_CASTS_OF(int64_t);
RL_CASTS_OF(Float16);
RL_CASTS_OF(BFloat16);
RL_CASTS_OF(Bool8);
RL_CASTS_OF(uint8_t);
RL_CASTS_OF(int8_t);
RL_CASTS_OF(int16_t);
RL_CASTS_OF(uint16_t);
RL_CASTS_OF(uint32_t);
RL_CASTS_OF(uint64_t);
RL_CASTS_TO(Float16);
RL_CASTS_TO(BFloat16);
RL_CASTS_TO(Bool8);
RL_CASTS_TO(uint8_t);
RL_CASTS_TO(int8_t);
RL_CASTS_TO(int16_t);
RL_CASTS_TO(uint16_t);
RL_CASTS_TO(uint32_t);
RL_CASTS_TO(uint64_t);

}  // namespace rushlight::kernels
