// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The instruction of AVX-VNNI that our kernels use, for CPUs that have AVX2 alone: included by
// tests in front of a kernel's file.
#pragma once

#include <immintrin.h>

#include "src/kernels/vector/target.h"

RUSHLIGHT_TARGET_AVX2
namespace rushlight::kernels {

// Products of sixteen unsigned with signed bytes, in pairs.
RUSHLIGHT_INLINE __m256i EmulatedPairs(__m128i a, __m128i b) {
  return _mm256_madd_epi16(_mm256_cvtepu8_epi16(a), _mm256_cvtepi8_epi16(b));
}
RUSHLIGHT_INLINE __m256i EmulatedDpbusd(__m256i sum, __m256i a, __m256i b) {
  const __m256i low = EmulatedPairs(_mm256_castsi256_si128(a), _mm256_castsi256_si128(b));
  const __m256i high =
      EmulatedPairs(_mm256_extracti128_si256(a, 1), _mm256_extracti128_si256(b, 1));
  const __m256i quads = _mm256_hadd_epi32(low, high);  // 0, 1, 4, 5, 2, 3, 6, 7
  return _mm256_add_epi32(sum, _mm256_permute4x64_epi64(quads, 0xd8));
}

}  // namespace rushlight::kernels
RUSHLIGHT_TARGET_END

#define _mm256_dpbusd_avx_epi32 EmulatedDpbusd
