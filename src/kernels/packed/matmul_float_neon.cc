// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#if defined(__aarch64__)

#include "src/kernels/packed/matmul_float.h"
#include "src/kernels/vector/neon.h"

#define RUSHLIGHT_ISA neon
#include "src/kernels/packed/matmul_float-inl.h"

#endif
