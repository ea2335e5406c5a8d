// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// F32x16 as two registers of AVX2 (with FMA and F16C).
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "rushlight/half.h"
#include "src/kernels/vector/target.h"

RUSHLIGHT_TARGET_AVX2
namespace rushlight::kernels::avx2 {

struct F32x16 {
  __m256 low, high;
};

inline constexpr int kTileRows = 6;
inline constexpr int kTileVectors = 1;

RUSHLIGHT_INLINE F32x16 Set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
RUSHLIGHT_INLINE F32x16 Load(const float* p) {
  return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
RUSHLIGHT_INLINE void Store(float* p, F32x16 x) {
  _mm256_storeu_ps(p, x.low);
  _mm256_storeu_ps(p + 8, x.high);
}
// All ones in the lanes before n, which may be negative.
RUSHLIGHT_INLINE __m256i First(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
// Whole vectors go past the masks: stores with one take some CPUs dozens of cycles.
RUSHLIGHT_INLINE F32x16 LoadFirst(const float* p, size_t n, float fill = 0) {
  if (n >= 16) return Load(p);
  const __m256i low = First(static_cast<int>(n)), high = First(static_cast<int>(n) - 8);
  const __m256 rest = _mm256_set1_ps(fill);
  return {_mm256_blendv_ps(rest, _mm256_maskload_ps(p, low), _mm256_castsi256_ps(low)),
          _mm256_blendv_ps(rest, _mm256_maskload_ps(p + 8, high), _mm256_castsi256_ps(high))};
}
RUSHLIGHT_INLINE void StoreFirst(float* p, F32x16 x, size_t n) {
  if (n >= 16) return Store(p, x);
  _mm256_maskstore_ps(p, First(static_cast<int>(n)), x.low);
  _mm256_maskstore_ps(p + 8, First(static_cast<int>(n) - 8), x.high);
}

RUSHLIGHT_INLINE __m256 Widen(const BFloat16* p) {
  const __m128i h = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}
RUSHLIGHT_INLINE __m256 Widen(const Float16* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
RUSHLIGHT_INLINE __m256 Widen(const int8_t* p) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
}
template <class T>  // BFloat16, Float16, int8_t
RUSHLIGHT_INLINE F32x16 Load(const T* p) {
  return {Widen(p), Widen(p + 8)};
}
RUSHLIGHT_INLINE __m256 Even8(const BFloat16* p) {
  const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
}
RUSHLIGHT_INLINE __m256 Odd8(const BFloat16* p) {
  const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(-65536)));
}
// The even ones, then the odd ones.
RUSHLIGHT_INLINE __m256i Sort16(const Float16* p) {
  const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  const __m256i order = _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15, 0, 1,
                                         4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
  return _mm256_permute4x64_epi64(_mm256_shuffle_epi8(pairs, order), 0xd8);
}
RUSHLIGHT_INLINE __m256 Even8(const Float16* p) {
  return _mm256_cvtph_ps(_mm256_castsi256_si128(Sort16(p)));
}
RUSHLIGHT_INLINE __m256 Odd8(const Float16* p) {
  return _mm256_cvtph_ps(_mm256_extracti128_si256(Sort16(p), 1));
}
template <class T>
RUSHLIGHT_INLINE F32x16 Even(const T* p) {
  return {Even8(p), Even8(p + 16)};
}
template <class T>
RUSHLIGHT_INLINE F32x16 Odd(const T* p) {
  return {Odd8(p), Odd8(p + 16)};
}

RUSHLIGHT_INLINE __m256 LoadBits8(const uint8_t* p, unsigned shift, uint32_t mask) {
  const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  const __m256i shifted = _mm256_srl_epi32(words, _mm_cvtsi32_si128(static_cast<int>(shift)));
  const __m256i bits = _mm256_and_si256(shifted, _mm256_set1_epi32(static_cast<int>(mask)));
  return _mm256_cvtepi32_ps(bits);
}
RUSHLIGHT_INLINE F32x16 LoadBits(const uint8_t* p, unsigned shift, uint32_t mask) {
  return {LoadBits8(p, shift, mask), LoadBits8(p + 32, shift, mask)};
}

RUSHLIGHT_INLINE F32x16 operator+(F32x16 a, F32x16 b) {
  return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
RUSHLIGHT_INLINE F32x16 operator-(F32x16 a, F32x16 b) {
  return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
RUSHLIGHT_INLINE F32x16 operator*(F32x16 a, F32x16 b) {
  return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
RUSHLIGHT_INLINE F32x16 operator/(F32x16 a, F32x16 b) {
  return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}
RUSHLIGHT_INLINE F32x16 MulAdd(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
RUSHLIGHT_INLINE F32x16 Max(F32x16 a, F32x16 b) {
  return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
RUSHLIGHT_INLINE F32x16 Min(F32x16 a, F32x16 b) {
  return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}
RUSHLIGHT_INLINE F32x16 SelectLess(F32x16 a, F32x16 b, F32x16 x, F32x16 y) {
  return {_mm256_blendv_ps(y.low, x.low, _mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ)),
          _mm256_blendv_ps(y.high, x.high, _mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ))};
}
RUSHLIGHT_INLINE __m256 CopySign8(__m256 a, __m256 b) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return _mm256_or_ps(_mm256_andnot_ps(sign, a), _mm256_and_ps(sign, b));
}
RUSHLIGHT_INLINE F32x16 CopySign(F32x16 a, F32x16 b) {
  return {CopySign8(a.low, b.low), CopySign8(a.high, b.high)};
}
RUSHLIGHT_INLINE F32x16 ShiftBitsLeft23(F32x16 a) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a.low), 23)),
          _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a.high), 23))};
}

RUSHLIGHT_INLINE float Sum(F32x16 a) {
  const __m256 x = _mm256_add_ps(a.low, a.high);
  const __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  const __m128 z = _mm_add_ps(y, _mm_movehl_ps(y, y));
  return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
}
RUSHLIGHT_INLINE float MaxLane(F32x16 a) {
  const __m256 x = _mm256_max_ps(a.low, a.high);
  const __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  const __m128 z = _mm_max_ps(y, _mm_movehl_ps(y, y));
  return _mm_cvtss_f32(_mm_max_ss(z, _mm_movehdup_ps(z)));
}

}  // namespace rushlight::kernels::avx2
RUSHLIGHT_TARGET_END
