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

}  // namespace rushlight::kernels::avx2

#include "src/kernels/packed/matmul_integer-inl.h"
RUSHLIGHT_TARGET_END

#endif
