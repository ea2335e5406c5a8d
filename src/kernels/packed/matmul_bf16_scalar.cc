// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/packed/matmul_bf16.h"
#include "src/kernels/vector/scalar.h"

#define RUSHLIGHT_ISA scalar
#include "src/kernels/packed/bf16_pairs-inl.h"
#include "src/kernels/packed/matmul_bf16-inl.h"
