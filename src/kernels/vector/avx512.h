// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// F32x16 as one register of AVX-512 (F, BW, DQ, VL).
#pragma once

#ifndef __clang__  // GCC 12 warns, to the file's end, of what its own header leaves undefined on
                   // purpose
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "rushlight/half.h"
#include "src/kernels/vector/target.h"

#ifndef RUSHLIGHT_IN_PLACE  // GCC 12 would copy what an instruction changes, and run out of
                            // registers
#define RUSHLIGHT_IN_PLACE(x) __asm__("" : "+v"(x))
#endif

RUSHLIGHT_TARGET_AVX512
namespace rushlight::kernels::avx512 {

struct F32x16 {
  __m512 v;
};

inline constexpr int kTileRows = 14;
inline constexpr int kTileVectors = 2;

RUSHLIGHT_INLINE F32x16 Set(float x) { return {_mm512_set1_ps(x)}; }
RUSHLIGHT_INLINE F32x16 Load(const float* p) { return {_mm512_loadu_ps(p)}; }
RUSHLIGHT_INLINE __mmask16 First(size_t n) { return static_cast<__mmask16>((1u << n) - 1); }
RUSHLIGHT_INLINE F32x16 LoadFirst(const float* p, size_t n, float fill = 0) {
  return {_mm512_mask_loadu_ps(_mm512_set1_ps(fill), First(n), p)};
}
RUSHLIGHT_INLINE void Store(float* p, F32x16 x) { _mm512_storeu_ps(p, x.v); }
RUSHLIGHT_INLINE void StoreFirst(float* p, F32x16 x, size_t n) {
  _mm512_mask_storeu_ps(p, First(n), x.v);
}

RUSHLIGHT_INLINE F32x16 Load(const BFloat16* p) {
  const __m256i h = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16))};
}
RUSHLIGHT_INLINE F32x16 Load(const Float16* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
RUSHLIGHT_INLINE F32x16 Load(const int8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))};
}
RUSHLIGHT_INLINE F32x16 Even(const BFloat16* p) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16))};
}
RUSHLIGHT_INLINE F32x16 Odd(const BFloat16* p) {
  return {_mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi32(-65536)))};
}
RUSHLIGHT_INLINE F32x16 Even(const Float16* p) {
  return {_mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_loadu_si512(p)))};
}
RUSHLIGHT_INLINE F32x16 Odd(const Float16* p) {
  return {_mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_loadu_si512(p), 16)))};
}

RUSHLIGHT_INLINE F32x16 LoadBits(const uint8_t* p, unsigned shift, uint32_t mask) {
  const __m512i words = _mm512_loadu_si512(p);
  const __m512i shifted = _mm512_srl_epi32(words, _mm_cvtsi32_si128(static_cast<int>(shift)));
  const __m512i bits = _mm512_and_si512(shifted, _mm512_set1_epi32(static_cast<int>(mask)));
  return {_mm512_cvtepi32_ps(bits)};
}

RUSHLIGHT_INLINE F32x16 operator+(F32x16 a, F32x16 b) { return {_mm512_add_ps(a.v, b.v)}; }
RUSHLIGHT_INLINE F32x16 operator-(F32x16 a, F32x16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
RUSHLIGHT_INLINE F32x16 operator*(F32x16 a, F32x16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
RUSHLIGHT_INLINE F32x16 operator/(F32x16 a, F32x16 b) { return {_mm512_div_ps(a.v, b.v)}; }
RUSHLIGHT_INLINE F32x16 MulAdd(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
RUSHLIGHT_INLINE F32x16 Max(F32x16 a, F32x16 b) { return {_mm512_max_ps(a.v, b.v)}; }
RUSHLIGHT_INLINE F32x16 Min(F32x16 a, F32x16 b) { return {_mm512_min_ps(a.v, b.v)}; }
RUSHLIGHT_INLINE F32x16 SelectLess(F32x16 a, F32x16 b, F32x16 x, F32x16 y) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)};
}
RUSHLIGHT_INLINE F32x16 CopySign(F32x16 a, F32x16 b) {
  const __m512 sign = _mm512_set1_ps(-0.0f);
  return {_mm512_or_ps(_mm512_andnot_ps(sign, a.v), _mm512_and_ps(sign, b.v))};
}
RUSHLIGHT_INLINE F32x16 ShiftBitsLeft23(F32x16 a) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(a.v), 23))};
}
RUSHLIGHT_INLINE void KeepOrder([[maybe_unused]] F32x16& x) { RUSHLIGHT_IN_PLACE(x.v); }
RUSHLIGHT_INLINE F32x16 TimesPowerOfTwo(F32x16 p, F32x16 n) { return {_mm512_scalef_ps(p.v, n.v)}; }

RUSHLIGHT_INLINE float Sum(F32x16 a) {
  const __m256 x = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  const __m128 z = _mm_add_ps(y, _mm_movehl_ps(y, y));
  return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
}
RUSHLIGHT_INLINE float MaxLane(F32x16 a) {
  const __m256 x = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  const __m128 z = _mm_max_ps(y, _mm_movehl_ps(y, y));
  return _mm_cvtss_f32(_mm_max_ss(z, _mm_movehdup_ps(z)));
}
// Of each of sixteen: halves, quarters and so on of several are put side by side, and taken
// together as Sum and MaxLane take them.
#define RUSHLIGHT_SIXTEEN(take)                                                    \
  __m512 half[8], quarter[4], eighth[2];                                           \
  RUSHLIGHT_UNROLL                                                                 \
  for (int i = 0; i < 8; ++i) { /* of rows r and r + 4 */                          \
    const int r = i / 4 * 8 + i % 4;                                               \
    half[i] = take(_mm512_shuffle_f32x4(a[r].v, a[r + 4].v, 0x44),                 \
                   _mm512_shuffle_f32x4(a[r].v, a[r + 4].v, 0xee));                \
  }                                                                                \
  RUSHLIGHT_UNROLL                                                                 \
  for (int i = 0; i < 4; ++i) { /* of rows i, i + 4, i + 8, i + 12 */              \
    quarter[i] = take(_mm512_shuffle_f32x4(half[i], half[i + 4], 0x88),            \
                      _mm512_shuffle_f32x4(half[i], half[i + 4], 0xdd));           \
  }                                                                                \
  RUSHLIGHT_UNROLL                                                                 \
  for (int i = 0; i < 2; ++i) {                                                    \
    eighth[i] = take(_mm512_shuffle_ps(quarter[2 * i], quarter[2 * i + 1], 0x44),  \
                     _mm512_shuffle_ps(quarter[2 * i], quarter[2 * i + 1], 0xee)); \
  }                                                                                \
  return {                                                                         \
    take(_mm512_shuffle_ps(eighth[0], eighth[1], 0x88),                            \
         _mm512_shuffle_ps(eighth[0], eighth[1], 0xdd))                            \
  }
RUSHLIGHT_INLINE F32x16 Sums(const F32x16 (&a)[16], size_t) { RUSHLIGHT_SIXTEEN(_mm512_add_ps); }
RUSHLIGHT_INLINE F32x16 MaxLanes(const F32x16 (&a)[16], size_t) {
  RUSHLIGHT_SIXTEEN(_mm512_max_ps);
}
#undef RUSHLIGHT_SIXTEEN

}  // namespace rushlight::kernels::avx512
RUSHLIGHT_TARGET_END
