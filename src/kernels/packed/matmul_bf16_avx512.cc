// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#if defined(__x86_64__)

#include "src/kernels/packed/matmul_bf16.h"
#include "src/kernels/vector/avx512.h"

#define RUSHLIGHT_ISA avx512
RUSHLIGHT_TARGET_AVX512
#include "src/kernels/packed/bf16_pairs-inl.h"
#include "src/kernels/packed/matmul_bf16-inl.h"
RUSHLIGHT_TARGET_END

#endif
