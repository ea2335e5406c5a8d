// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#if defined(__x86_64__)

#include "src/kernels/rows/rows.h"
#include "src/kernels/vector/avx2.h"

#define RUSHLIGHT_ISA avx2
RUSHLIGHT_TARGET_AVX2
#include "src/kernels/rows/rows-inl.h"
RUSHLIGHT_TARGET_END

#endif
