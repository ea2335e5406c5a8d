// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/rows/rows.h"
#include "src/kernels/vector/scalar.h"

#define RUSHLIGHT_ISA scalar
#include "src/kernels/rows/rows-inl.h"
