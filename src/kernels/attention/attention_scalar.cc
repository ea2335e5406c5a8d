// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/attention/attention.h"
#include "src/kernels/vector/scalar.h"

#define RUSHLIGHT_ISA scalar
#include "src/kernels/attention/attention-inl.h"
