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

}  // namespace rushlight::kernels::avx2vnni

#include "src/kernels/packed/matmul_integer-inl.h"
RUSHLIGHT_TARGET_END

#endif
