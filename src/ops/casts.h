// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The table of casts: between every storage dtype and the four compute types (float32, float64,
// int32, int64).  Any two dtypes are at most two casts apart.
#pragma once

#include "rushlight/half.h"
#include "rushlight/op.h"
#include "src/kernels/elementwise/elementwise.h"

namespace rushlight::ops {

namespace internal {
template <class T, class R>
constexpr Loop CastLoop(DType in, DType out) {
  return MakeLoop<&kernels::Cast<T, R>>(in, out);
}
}  // namespace internal

#define RL_FROM(S, DTYPE)                                           \
  internal::CastLoop<S, float>(DType::DTYPE, DType::kFloat32),      \
      internal::CastLoop<S, double>(DType::DTYPE, DType::kFloat64), \
      internal::CastLoop<S, int32_t>(DType::DTYPE, DType::kInt32),  \
      internal::CastLoop<S, int64_t>(DType::DTYPE, DType::kInt64)
#define RL_TO(S, DTYPE)                                             \
  internal::CastLoop<float, S>(DType::kFloat32, DType::DTYPE),      \
      internal::CastLoop<double, S>(DType::kFloat64, DType::DTYPE), \
      internal::CastLoop<int32_t, S>(DType::kInt32, DType::DTYPE),  \
      internal::CastLoop<int64_t, S>(DType::kInt64, DType::DTYPE)

inline constexpr Loop kCasts[] = {
    RL_FROM(float, kFloat32),   RL_FROM(double, kFloat64),  RL_FROM(int32_t, kInt32),
    RL_FROM(int64_t, kInt64),   RL_FROM(Float16, kFloat16), RL_FROM(BFloat16, kBFloat16),
    RL_FROM(Bool8, kBool),      RL_FROM(uint8_t, kUInt8),   RL_FROM(int8_t, kInt8),
    RL_FROM(int16_t, kInt16),   RL_FROM(uint16_t, kUInt16), RL_FROM(uint32_t, kUInt32),
    RL_FROM(uint64_t, kUInt64), RL_TO(Float16, kFloat16),   RL_TO(BFloat16, kBFloat16),
    RL_TO(Bool8, kBool),        RL_TO(uint8_t, kUInt8),     RL_TO(int8_t, kInt8),
    RL_TO(int16_t, kInt16),     RL_TO(uint16_t, kUInt16),   RL_TO(uint32_t, kUInt32),
    RL_TO(uint64_t, kUInt64),
};
#undef RL_FROM
#undef RL_TO

}  // namespace rushlight::ops
