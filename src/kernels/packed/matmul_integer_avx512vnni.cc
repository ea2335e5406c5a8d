// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// AVX-512 VNNI: a line is a register.
#if defined(__x86_64__)

#include "src/kernels/packed/matmul_integer.h"
#include "src/kernels/vector/avx512.h"

#define RUSHLIGHT_ISA avx512vnni
RUSHLIGHT_TARGET("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
namespace rushlight::kernels::avx512vnni {

using namespace avx512;
using Quad = __m512i;  // four activations, for every output
struct Line {
  __m512i v;
};
struct I32x16 {
  __m512i v;
};

inline constexpr int kIntegerRows = 8;  // of a tile
inline constexpr size_t kIntegerPanels = 2;
inline constexpr size_t kRowPanels = 4;  // of a tile of one row: streams of memory
inline constexpr bool kPasses = false;

RUSHLIGHT_INLINE Line LoadLine(const uint8_t* p) { return {_mm512_loadu_si512(p)}; }
RUSHLIGHT_INLINE Line LowNibbles(Line x) { return {_mm512_and_si512(x.v, _mm512_set1_epi8(15))}; }
RUSHLIGHT_INLINE Line HighNibbles(Line x) { return LowNibbles({_mm512_srli_epi16(x.v, 4)}); }
RUSHLIGHT_INLINE Line Bytes(Line x) { return x; }
RUSHLIGHT_INLINE Quad LoadQuad(const int8_t* p) {
  int32_t four;
  std::memcpy(&four, p, sizeof four);
  return _mm512_set1_epi32(four);
}

RUSHLIGHT_INLINE I32x16 SetInteger(int32_t x) { return {_mm512_set1_epi32(x)}; }
RUSHLIGHT_INLINE I32x16 operator+(I32x16 a, I32x16 b) { return {_mm512_add_epi32(a.v, b.v)}; }
RUSHLIGHT_INLINE I32x16 StartNibbles(int32_t sum) { return SetInteger(-8 * sum); }
RUSHLIGHT_INLINE I32x16 StartBytes(int32_t sum) { return SetInteger(-128 * sum); }
RUSHLIGHT_INLINE I32x16 DotBytes(I32x16 sum, Line w, Quad a) {
  sum.v = _mm512_dpbusd_epi32(sum.v, w.v, a);
  RUSHLIGHT_IN_PLACE(sum.v);
  return sum;
}
RUSHLIGHT_INLINE I32x16 DotNibbles(I32x16 sum, Line low, Line high, Quad a, Quad b) {
  return DotBytes(DotBytes(sum, low, a), high, b);
}
RUSHLIGHT_INLINE F32x16 ToFloat(I32x16 x) { return {_mm512_cvtepi32_ps(x.v)}; }
RUSHLIGHT_INLINE void StoreLowBytes(int8_t* p, F32x16 x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_castps_si512(x.v)));
}

}  // namespace rushlight::kernels::avx512vnni

#include "src/kernels/packed/matmul_integer-inl.h"
RUSHLIGHT_TARGET_END

#endif
