// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#if defined(__aarch64__)

#include "src/kernels/packed/matmul_bf16.h"
#include "src/kernels/vector/neon.h"

#define RUSHLIGHT_ISA neon
#include "src/kernels/packed/bf16_pairs-inl.h"
#include "src/kernels/packed/matmul_bf16-inl.h"

#endif
