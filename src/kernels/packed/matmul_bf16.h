// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Products of rows that are rounded to bf16 with bf16 panels, summed in float: an option, for CPUs
// that multiply bf16 faster than float.  Rows run with it on every CPU.
//
// Inputs are taken in pairs, ascending: sum = fma(x[1], w[1], sum), sum = fma(x[0], w[0], sum).
// AMX has an order of its own: in blocks of 32, the even ones in one chain, the odd ones in
// another, both from 0; then sum = sum + (even + odd).  Every output is the same bit for bit
// however a product is cut, and on every instruction set but AMX, if no number on the way is
// subnormal: CPUs that multiply bf16 take those as zero.
#pragma once

#include <cstddef>

#include "rushlight/half.h"
#include "src/kernels/isa.h"
#include "src/kernels/packed/layout.h"
#include "src/kernels/packed/matmul.h"  // MatmulOutput

namespace rushlight::kernels {

// Elements between rounded rows: what lies behind k is zero.
constexpr size_t RoundedStride(size_t k) { return DivideUp(k, 32) * 32; }

// A row of floats to the nearest bf16, ties to even, subnormal ones to zero; out
// [RoundedStride(k)].
using RoundRow = void (*)(const float* x, size_t k, BFloat16* out);
extern const PerIsa<RoundRow> kRoundRow;

struct BF16MatmulArgs {
  PackedMatrix weight;  // kBF16
  const BFloat16* x;    // [m, RoundedStride(k)]
  size_t m;
  MatmulOutput out;
};

using BF16Matmul = void (*)(const BF16MatmulArgs&);
extern const PerIsa<BF16Matmul> kBF16Matmul;

}  // namespace rushlight::kernels
