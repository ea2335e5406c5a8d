// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// AVX-512 BF16: a line is a register, and a pair of inputs an instruction.
#if defined(__x86_64__)

#include "src/kernels/packed/matmul_bf16.h"
#include "src/kernels/vector/avx512.h"

#define RUSHLIGHT_ISA avx512bf16
RUSHLIGHT_TARGET("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")
namespace rushlight::kernels::avx512bf16 {

using namespace avx512;

struct Pairs {
  __m512bh v;
};

inline constexpr int kPairRows = 12;  // of a tile

RUSHLIGHT_INLINE Pairs LoadPairs(const BFloat16* p) {
  Pairs x;
  std::memcpy(&x, p, sizeof x);
  return x;
}
RUSHLIGHT_INLINE Pairs BroadcastPair(const BFloat16* p) {
  int32_t pair;
  std::memcpy(&pair, p, sizeof pair);
  const __m512i pairs = _mm512_set1_epi32(pair);
  Pairs x;
  std::memcpy(&x, &pairs, sizeof x);
  return x;
}
// The odd input first.
RUSHLIGHT_INLINE F32x16 AddProducts(F32x16 sum, Pairs x, Pairs w) {
  return {_mm512_dpbf16_ps(sum.v, x.v, w.v)};
}

}  // namespace rushlight::kernels::avx512bf16

#include "src/kernels/packed/matmul_bf16-inl.h"
RUSHLIGHT_TARGET_END

#endif
