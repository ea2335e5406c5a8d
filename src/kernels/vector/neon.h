// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// F32x16 as four registers of NEON; any 64-bit Arm has what is used here.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "rushlight/half.h"
#include "src/kernels/vector/target.h"

namespace rushlight::kernels::neon {

struct F32x16 {
  float32x4_t v[4];
};

inline constexpr int kTileRows = 6;
inline constexpr int kTileVectors = 1;

RUSHLIGHT_INLINE F32x16 Set(float x) {
  const float32x4_t v = vdupq_n_f32(x);
  return {{v, v, v, v}};
}
RUSHLIGHT_INLINE F32x16 Load(const float* p) {
  return {{vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}};
}
RUSHLIGHT_INLINE void Store(float* p, F32x16 x) {
  for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, x.v[i]);
}
RUSHLIGHT_INLINE F32x16 LoadFirst(const float* p, size_t n, float fill = 0) {
  float some[16];
  Store(some, Set(fill));
  std::memcpy(some, p, n * sizeof(float));
  return Load(some);
}
RUSHLIGHT_INLINE void StoreFirst(float* p, F32x16 x, size_t n) {
  float some[16];
  Store(some, x);
  std::memcpy(p, some, n * sizeof(float));
}

RUSHLIGHT_INLINE float32x4_t Widen(uint16x4_t h, BFloat16) {
  return vreinterpretq_f32_u32(vshll_n_u16(h, 16));
}
RUSHLIGHT_INLINE float32x4_t Widen(uint16x4_t h, Float16) {
  return vcvt_f32_f16(vreinterpret_f16_u16(h));
}
template <class T>  // BFloat16, Float16
RUSHLIGHT_INLINE F32x16 Load(const T* p) {
  F32x16 r;
  for (int i = 0; i < 4; ++i) {
    r.v[i] = Widen(vld1_u16(reinterpret_cast<const uint16_t*>(p) + 4 * i), T());
  }
  return r;
}
RUSHLIGHT_INLINE F32x16 Load(const int8_t* p) {
  const int8x16_t bytes = vld1q_s8(p);
  const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_s8(vget_high_s8(bytes));
  return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
           vcvtq_f32_s32(vmovl_s16(vget_high_s16(low))),
           vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
           vcvtq_f32_s32(vmovl_s16(vget_high_s16(high)))}};
}
template <class T>
RUSHLIGHT_INLINE F32x16 Even(const T* p) {
  F32x16 r;
  for (int i = 0; i < 4; ++i) {
    r.v[i] = Widen(vld2_u16(reinterpret_cast<const uint16_t*>(p) + 8 * i).val[0], T());
  }
  return r;
}
template <class T>
RUSHLIGHT_INLINE F32x16 Odd(const T* p) {
  F32x16 r;
  for (int i = 0; i < 4; ++i) {
    r.v[i] = Widen(vld2_u16(reinterpret_cast<const uint16_t*>(p) + 8 * i).val[1], T());
  }
  return r;
}

RUSHLIGHT_INLINE F32x16 LoadBits(const uint8_t* p, unsigned shift, uint32_t mask) {
  const int32x4_t right = vdupq_n_s32(-static_cast<int>(shift));
  F32x16 r;
  for (int i = 0; i < 4; ++i) {
    const uint32x4_t shifted = vshlq_u32(vreinterpretq_u32_u8(vld1q_u8(p + 16 * i)), right);
    r.v[i] = vcvtq_f32_u32(vandq_u32(shifted, vdupq_n_u32(mask)));
  }
  return r;
}

#define RUSHLIGHT_QUARTERS(expression)             \
  F32x16 r;                                        \
  for (int i = 0; i < 4; ++i) r.v[i] = expression; \
  return r
RUSHLIGHT_INLINE F32x16 operator+(F32x16 a, F32x16 b) {
  RUSHLIGHT_QUARTERS(vaddq_f32(a.v[i], b.v[i]));
}
RUSHLIGHT_INLINE F32x16 operator-(F32x16 a, F32x16 b) {
  RUSHLIGHT_QUARTERS(vsubq_f32(a.v[i], b.v[i]));
}
RUSHLIGHT_INLINE F32x16 operator*(F32x16 a, F32x16 b) {
  RUSHLIGHT_QUARTERS(vmulq_f32(a.v[i], b.v[i]));
}
RUSHLIGHT_INLINE F32x16 operator/(F32x16 a, F32x16 b) {
  RUSHLIGHT_QUARTERS(vdivq_f32(a.v[i], b.v[i]));
}
RUSHLIGHT_INLINE F32x16 MulAdd(F32x16 a, F32x16 b, F32x16 c) {
  RUSHLIGHT_QUARTERS(vfmaq_f32(c.v[i], a.v[i], b.v[i]));
}
RUSHLIGHT_INLINE F32x16 SelectLess(F32x16 a, F32x16 b, F32x16 x, F32x16 y) {
  RUSHLIGHT_QUARTERS(vbslq_f32(vcltq_f32(a.v[i], b.v[i]), x.v[i], y.v[i]));
}
RUSHLIGHT_INLINE F32x16 CopySign(F32x16 a, F32x16 b) {
  RUSHLIGHT_QUARTERS(vbslq_f32(vdupq_n_u32(0x80000000u), b.v[i], a.v[i]));
}
RUSHLIGHT_INLINE F32x16 ShiftBitsLeft23(F32x16 a) {
  RUSHLIGHT_QUARTERS(vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(a.v[i]), 23)));
}
#undef RUSHLIGHT_QUARTERS
// Not vmaxq: NaN as on the other instruction sets.
RUSHLIGHT_INLINE F32x16 Max(F32x16 a, F32x16 b) { return SelectLess(b, a, a, b); }
RUSHLIGHT_INLINE F32x16 Min(F32x16 a, F32x16 b) { return SelectLess(a, b, a, b); }

RUSHLIGHT_INLINE float Sum(F32x16 a) {
  const float32x4_t x = vaddq_f32(vaddq_f32(a.v[0], a.v[2]), vaddq_f32(a.v[1], a.v[3]));
  const float32x2_t y = vadd_f32(vget_low_f32(x), vget_high_f32(x));
  return vget_lane_f32(y, 0) + vget_lane_f32(y, 1);
}
RUSHLIGHT_INLINE float MaxLane(F32x16 a) {
  float lane[16];
  Store(lane, a);
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) lane[i] = lane[i] > lane[i + half] ? lane[i] : lane[i + half];
  }
  return lane[0];
}

}  // namespace rushlight::kernels::neon
