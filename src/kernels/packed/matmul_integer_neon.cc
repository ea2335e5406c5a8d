// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// NEON of any 64-bit Arm.
#if defined(__aarch64__)

#include "src/kernels/packed/matmul_integer.h"
#include "src/kernels/vector/neon.h"

#define RUSHLIGHT_ISA neon
namespace rushlight::kernels::neon {

// Two products of 128 * 127 fit 16 bits.
RUSHLIGHT_INLINE int32x4_t Dot(int32x4_t sum, int8x16_t w, int8x16_t a) {
  return vpadalq_s16(sum,
                     vpaddq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(a)), vmull_high_s8(w, a)));
}

}  // namespace rushlight::kernels::neon

#include "src/kernels/packed/integer_neon-inl.h"
#include "src/kernels/packed/matmul_integer-inl.h"

#endif
