// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// AVX-VNNI: the dot product of AVX-512 VNNI on CPUs that have 256 bits.
#if defined(__x86_64__)

#include "src/kernels/packed/matmul_integer.h"
#include "src/kernels/vector/avx2.h"

#define RUSHLIGHT_ISA avx2vnni
RUSHLIGHT_TARGET("avx2,fma,f16c,avxvnni")
namespace rushlight::kernels::avx2vnni {
using namespace avx2;
}
#include "src/kernels/packed/integer_avx2-inl.h"

namespace rushlight::kernels::avx2vnni {

RUSHLIGHT_INLINE I32x16 StartNibbles(int32_t sum) { return SetInteger(-8 * sum); }
RUSHLIGHT_INLINE I32x16 StartBytes(int32_t sum) { return SetInteger(-128 * sum); }
RUSHLIGHT_INLINE Line Bytes(Line x) { return x; }
RUSHLIGHT_INLINE I32x16 DotBytes(I32x16 sum, Line w, Quad a) {
  sum.low = _mm256_dpbusd_avx_epi32(sum.low, w.low, a);
  sum.high = _mm256_dpbusd_avx_epi32(sum.high, w.high, a);
  __asm__("" : "+x"(sum.low), "+x"(sum.high));  // in place: GCC 12 would copy them
  return sum;
}
RUSHLIGHT_INLINE I32x16 DotNibbles(I32x16 sum, Line low, Line high, Quad a, Quad b) {
  return DotBytes(DotBytes(sum, low, a), high, b);
}

// What passes (integer_pass_avx2-inl.h) multiply at once.
inline constexpr size_t kStepVectors = 8;
template <PackedFormat kFormat>
inline constexpr size_t kStepInputs = 32;

// Each four of the activations at a, of which there are `bytes` at least.
template <PackedFormat kFormat>
RUSHLIGHT_INLINE void Spread(const int8_t* a, size_t bytes, __m256i (&to)[kStepVectors]) {
  const size_t count = bytes < 32 ? bytes / 4 : 8;
  for (size_t i = 0; i < count; ++i) to[i] = LoadQuad(a + 4 * i);
}

// Half of each line; what is behind `lines` is zero.
template <PackedFormat kFormat>
RUSHLIGHT_INLINE void LoadStep(const uint8_t* codes, size_t lines,
                               __m256i (&weights)[kStepVectors]) {
  constexpr size_t kLines = 32 / InputsPerLine(kFormat);
  const __m256i nibble = _mm256_set1_epi8(15);
  RUSHLIGHT_UNROLL
  for (size_t l = 0; l < kLines; ++l) {
    const __m256i x =
        l < lines ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + l * kLineBytes))
                  : _mm256_setzero_si256();
    if constexpr (kFormat == PackedFormat::kU4) {
      weights[2 * l] = _mm256_and_si256(x, nibble);
      weights[2 * l + 1] = _mm256_and_si256(_mm256_srli_epi16(x, 4), nibble);
    } else {
      weights[l] = x;
    }
  }
}

template <PackedFormat kFormat>
constexpr int32_t HalfStart(bool has_minimum, int32_t sum) {
  if (kFormat == PackedFormat::kU8) return -128 * sum;
  return has_minimum ? 0 : -8 * sum;
}

// Dot products of eight outputs.
template <PackedFormat kFormat>
RUSHLIGHT_INLINE __m256i HalfDot(const __m256i (&w)[kStepVectors],
                                 const __m256i (&a)[kStepVectors]) {
  __m256i even = _mm256_setzero_si256(), odd = even;
  RUSHLIGHT_UNROLL
  for (size_t i = 0; i < kStepVectors; i += 2) {
    even = _mm256_dpbusd_avx_epi32(even, w[i], a[i]);
    odd = _mm256_dpbusd_avx_epi32(odd, w[i + 1], a[i + 1]);
  }
  return _mm256_add_epi32(even, odd);
}

}  // namespace rushlight::kernels::avx2vnni

#include "src/kernels/packed/integer_pass_avx2-inl.h"
RUSHLIGHT_TARGET_END

#endif
