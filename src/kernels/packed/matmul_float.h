// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Products of float rows with packed weights, in float: for each output sum = fma(x, w, sum) over
// ascending inputs, from 0.  What is packed as integers is turned into floats on the way.
//
// A call computes any rows and any range of panels; every output is the same bit for bit however a
// product is cut, and on every instruction set.
#pragma once

#include "src/kernels/isa.h"
#include "src/kernels/packed/layout.h"
#include "src/kernels/packed/matmul.h"  // MatmulOutput

namespace rushlight::kernels {

struct FloatMatmulArgs {
  PackedMatrix weight;  // Requires: IsValid
  const float* x;       // [m, k]
  // Of rows of x, in elements.  Many rows are fastest where it is no multiple of 1024: rows that
  // are 4 KiB apart compete for the same places in the cache.
  size_t stride;
  size_t m;
  MatmulOutput out;
};

using FloatMatmul = void (*)(const FloatMatmulArgs&);
extern const PerIsa<FloatMatmul> kFloatMatmul;

}  // namespace rushlight::kernels
