// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// NEON with dot products of signed bytes.
#if defined(__aarch64__)

#include "src/kernels/packed/matmul_integer.h"
#include "src/kernels/vector/neon.h"

#define RUSHLIGHT_ISA neondot
#if defined(__clang__)
RUSHLIGHT_TARGET("dotprod")
#else
RUSHLIGHT_TARGET("arch=armv8.2-a+dotprod")
#endif
namespace rushlight::kernels::neondot {

using namespace neon;

RUSHLIGHT_INLINE int32x4_t Dot(int32x4_t sum, int8x16_t w, int8x16_t a) {
#if defined(__clang__)  // declares vdotq_s32 only where the whole file may use it (until Clang 16)
  __asm__("sdot %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(w), "w"(a));
  return sum;
#else
  return vdotq_s32(sum, w, a);
#endif
}

}  // namespace rushlight::kernels::neondot

#include "src/kernels/packed/integer_neon-inl.h"
#include "src/kernels/packed/matmul_integer-inl.h"
RUSHLIGHT_TARGET_END

#endif
