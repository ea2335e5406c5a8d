// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Lines of codes and sixteen 32-bit sums as two registers of AVX2.  Included once for each
// instruction set that has its own dot products (RUSHLIGHT_ISA), in its target region.

namespace rushlight::kernels::RUSHLIGHT_ISA {

using F32x16 = avx2::F32x16;
using Quad = __m256i;  // four activations, for every output
struct Line {
  __m256i low, high;
};
struct I32x16 {
  __m256i low, high;
};

inline constexpr int kIntegerRows = 1;  // of a tile: more pass (integer_pass_avx2-inl.h)
inline constexpr size_t kIntegerPanels = 1;
inline constexpr size_t kRowPanels = 1;  // of a tile of one row: streams of memory
inline constexpr bool kPasses = true;
inline constexpr size_t kWidenedRows = 0;   // never
inline constexpr size_t kWidenedSpans = 0;  // none

RUSHLIGHT_INLINE Line LoadLine(const uint8_t* p) {
  const auto* v = reinterpret_cast<const __m256i*>(p);
  return {_mm256_loadu_si256(v), _mm256_loadu_si256(v + 1)};
}
RUSHLIGHT_INLINE Line LowNibbles(Line x) {
  const __m256i mask = _mm256_set1_epi8(15);
  return {_mm256_and_si256(x.low, mask), _mm256_and_si256(x.high, mask)};
}
RUSHLIGHT_INLINE Line HighNibbles(Line x) {
  return LowNibbles({_mm256_srli_epi16(x.low, 4), _mm256_srli_epi16(x.high, 4)});
}
RUSHLIGHT_INLINE Quad LoadQuad(const int8_t* p) {
  int32_t four;
  std::memcpy(&four, p, sizeof four);
  return _mm256_set1_epi32(four);
}
RUSHLIGHT_INLINE I32x16 SetInteger(int32_t x) {
  return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)};
}
RUSHLIGHT_INLINE I32x16 operator+(I32x16 a, I32x16 b) {
  return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
RUSHLIGHT_INLINE F32x16 ToFloat(I32x16 x) {
  return {_mm256_cvtepi32_ps(x.low), _mm256_cvtepi32_ps(x.high)};
}
RUSHLIGHT_INLINE I32x16 ToInteger(F32x16 x) {
  return {_mm256_cvtps_epi32(x.low), _mm256_cvtps_epi32(x.high)};
}
RUSHLIGHT_INLINE void StoreLowBytes(int8_t* p, F32x16 x) {
  const __m256i mask = _mm256_set1_epi32(255);
  const __m256i words = _mm256_packus_epi32(_mm256_and_si256(_mm256_castps_si256(x.low), mask),
                                            _mm256_and_si256(_mm256_castps_si256(x.high), mask));
  const __m256i ordered = _mm256_permute4x64_epi64(words, 0xd8);
  _mm_storeu_si128(
      reinterpret_cast<__m128i*>(p),
      _mm_packus_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1)));
}

}  // namespace rushlight::kernels::RUSHLIGHT_ISA
