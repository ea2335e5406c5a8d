// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// AVX2: pairs of bytes are multiplied to 16 bits, which must not saturate.
#if defined(__x86_64__)

#include "src/kernels/packed/matmul_integer.h"
#include "src/kernels/vector/avx2.h"

#define RUSHLIGHT_ISA avx2
RUSHLIGHT_TARGET_AVX2
#include "src/kernels/packed/integer_avx2-inl.h"

namespace rushlight::kernels::avx2 {

RUSHLIGHT_INLINE __m256i AddPairs(__m256i sum, __m256i words) {
  sum = _mm256_add_epi32(sum, _mm256_madd_epi16(words, _mm256_set1_epi16(1)));
  __asm__("" : "+x"(sum));  // in place: GCC 12 would copy it, and run out of registers
  return sum;
}

RUSHLIGHT_INLINE I32x16 StartNibbles(int32_t sum) { return SetInteger(-8 * sum); }
// Nibbles are small: four products fit.
RUSHLIGHT_INLINE I32x16 DotNibbles(I32x16 sum, Line low, Line high, Quad a, Quad b) {
  return {AddPairs(sum.low, _mm256_add_epi16(_mm256_maddubs_epi16(low.low, a),
                                             _mm256_maddubs_epi16(high.low, b))),
          AddPairs(sum.high, _mm256_add_epi16(_mm256_maddubs_epi16(low.high, a),
                                              _mm256_maddubs_epi16(high.high, b)))};
}

// Bytes become signed and their signs go to the activations: two products of 128 * 127 fit.
RUSHLIGHT_INLINE I32x16 StartBytes(int32_t) { return SetInteger(0); }
RUSHLIGHT_INLINE Line Bytes(Line x) {
  const __m256i bit = _mm256_set1_epi8(-128);
  return {_mm256_xor_si256(x.low, bit), _mm256_xor_si256(x.high, bit)};
}
RUSHLIGHT_INLINE I32x16 DotBytes(I32x16 sum, Line w, Quad a) {
  return {
      AddPairs(sum.low, _mm256_maddubs_epi16(_mm256_abs_epi8(w.low), _mm256_sign_epi8(a, w.low))),
      AddPairs(sum.high,
               _mm256_maddubs_epi16(_mm256_abs_epi8(w.high), _mm256_sign_epi8(a, w.high)))};
}

// What passes (integer_pass_avx2-inl.h) multiply at once: bytes with nibbles, or words with words.
inline constexpr size_t kStepVectors = 8;
template <PackedFormat kFormat>
inline constexpr size_t kStepInputs = kFormat == PackedFormat::kU4 ? 32 : 16;

// Of the activations at a, of which there are `bytes` at least: each four, or two as words.
template <PackedFormat kFormat>
RUSHLIGHT_INLINE void Spread(const int8_t* a, size_t bytes, __m256i (&to)[kStepVectors]) {
  if constexpr (kFormat == PackedFormat::kU4) {
    const size_t count = bytes < 32 ? bytes / 4 : 8;
    for (size_t i = 0; i < count; ++i) to[i] = LoadQuad(a + 4 * i);
  } else {
    __m128i words[2];
    const __m128i all = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a));
    words[0] = _mm_cvtepi8_epi16(all);
    words[1] = _mm_cvtepi8_epi16(_mm_srli_si128(all, 8));
    int32_t pairs[kStepVectors];
    std::memcpy(pairs, words, sizeof pairs);
    for (size_t i = 0; i < kStepVectors; ++i) to[i] = _mm256_set1_epi32(pairs[i]);
  }
}

// Half of each line; what is behind `lines` is zero.
template <PackedFormat kFormat>
RUSHLIGHT_INLINE void LoadStep(const uint8_t* codes, size_t lines,
                               __m256i (&weights)[kStepVectors]) {
  const __m256i nibble = _mm256_set1_epi8(15), zero_point = _mm256_set1_epi16(128);
  const __m256i pair = _mm256_setr_epi8(0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13, -1, 0,
                                        -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13, -1);
  RUSHLIGHT_UNROLL
  for (size_t l = 0; l < kStepVectors / 2; ++l) {
    weights[2 * l] = weights[2 * l + 1] = _mm256_setzero_si256();
    if (l >= lines) continue;
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + l * kLineBytes));
    if constexpr (kFormat == PackedFormat::kU4) {
      weights[2 * l] = _mm256_and_si256(x, nibble);
      weights[2 * l + 1] = _mm256_and_si256(_mm256_srli_epi16(x, 4), nibble);
    } else {
      weights[2 * l] = _mm256_sub_epi16(_mm256_shuffle_epi8(x, pair), zero_point);
      const __m256i second = _mm256_shuffle_epi8(_mm256_srli_epi32(x, 16), pair);
      weights[2 * l + 1] = _mm256_sub_epi16(second, zero_point);
    }
  }
}

template <PackedFormat kFormat>
constexpr int32_t HalfStart(bool has_minimum, int32_t sum) {
  return kFormat == PackedFormat::kU4 && !has_minimum ? -8 * sum : 0;
}

// Dot products of eight outputs.  Sixteen products of nibbles fit 16 bits: they are added there.
template <PackedFormat kFormat>
RUSHLIGHT_INLINE __m256i HalfDot(const __m256i (&w)[kStepVectors],
                                 const __m256i (&a)[kStepVectors]) {
  if constexpr (kFormat == PackedFormat::kU4) {
    __m256i even = _mm256_maddubs_epi16(w[0], a[0]), odd = _mm256_maddubs_epi16(w[1], a[1]);
    RUSHLIGHT_UNROLL
    for (size_t i = 2; i < kStepVectors; i += 2) {
      even = _mm256_add_epi16(even, _mm256_maddubs_epi16(w[i], a[i]));
      odd = _mm256_add_epi16(odd, _mm256_maddubs_epi16(w[i + 1], a[i + 1]));
    }
    return _mm256_madd_epi16(_mm256_add_epi16(even, odd), _mm256_set1_epi16(1));
  } else {
    __m256i even = _mm256_madd_epi16(w[0], a[0]), odd = _mm256_madd_epi16(w[1], a[1]);
    RUSHLIGHT_UNROLL
    for (size_t i = 2; i < kStepVectors; i += 2) {
      even = _mm256_add_epi32(even, _mm256_madd_epi16(w[i], a[i]));
      odd = _mm256_add_epi32(odd, _mm256_madd_epi16(w[i + 1], a[i + 1]));
    }
    return _mm256_add_epi32(even, odd);
  }
}

}  // namespace rushlight::kernels::avx2

#include "src/kernels/packed/integer_pass_avx2-inl.h"
RUSHLIGHT_TARGET_END

#endif
