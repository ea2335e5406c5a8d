// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The functions of matmul_integer-inl.h for each instruction set, and what they are written with.
// Callers choose from kIntegerKernels.
#pragma once

#include <cstring>

#include "rushlight/half.h"
#include "src/kernels/packed/matmul.h"
#include "src/kernels/vector/target.h"

#define RUSHLIGHT_INTEGER_KERNELS(isa)          \
  namespace isa {                               \
  void QuantizeRows(const QuantizeArgs& args);  \
  void MatmulU4(const IntegerMatmulArgs& args); \
  void MatmulU8(const IntegerMatmulArgs& args); \
  }

namespace rushlight::kernels {

RUSHLIGHT_INTEGER_KERNELS(scalar)
#if defined(__x86_64__)
RUSHLIGHT_INTEGER_KERNELS(avx2)
RUSHLIGHT_INTEGER_KERNELS(avx2vnni)
RUSHLIGHT_INTEGER_KERNELS(avx512vnni)
#elif defined(__aarch64__)
RUSHLIGHT_INTEGER_KERNELS(neon)
RUSHLIGHT_INTEGER_KERNELS(neondot)
#endif

}  // namespace rushlight::kernels
