// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/packed/matmul_float.h"
#include "src/kernels/vector/scalar.h"

#define RUSHLIGHT_ISA scalar
#include "src/kernels/packed/matmul_float-inl.h"
