// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Products of rows with packed weights: out = epilogue(rows weights^T).
//
// A call computes any rows and any range of panels; every output is one chain of the same
// operations however a product is cut, and on every instruction set.
#pragma once

#include "src/kernels/isa.h"
#include "src/kernels/packed/layout.h"
#include "src/kernels/packed/quantize.h"

namespace rushlight::kernels {

enum class Activation : uint8_t {
  kNone,
  kSilu,
  kGelu,
  kGeluTanh,
  kRelu,
  kTanh,
  kQuickGelu,  // x * sigmoid(1.702 x)
};

// What becomes of the sums before they are stored.
struct Epilogue {
  const float* bias = nullptr;      // [n], in the order of the packed rows; or null
  const float* residual = nullptr;  // [m, columns], added; or null.  Requires: kNone, not gated
  size_t residual_stride = 0;       // in elements
  Activation activation = Activation::kNone;
  // The panels alternate: a panel of gates, the panel of what they gate, each padded to 16 rows;
  // an output is activation(gate) * other.
  bool gated = false;
};

// Where a product goes.
struct MatmulOutput {
  float* data;        // [m, columns]
  size_t stride;      // of rows, in elements
  size_t columns;     // n; with gates, half of n or less: what is padding is not stored
  size_t begin, end;  // panels to compute, end <= PanelCount(w); even numbers with gates
  Epilogue epilogue;
};

struct IntegerMatmulArgs {
  PackedMatrix weight;  // kU4 or kU8
  QuantizedRows rows;   // [m, k] with the weight's groups
  size_t m;
  MatmulOutput out;
};

// The kernels of an instruction set for one format each.
struct IntegerKernels {
  void (*quantize)(const QuantizeArgs&);
  void (*matmul_u4)(const IntegerMatmulArgs&);
  void (*matmul_u8)(const IntegerMatmulArgs&);
};
extern const PerIsa<IntegerKernels> kIntegerKernels;

}  // namespace rushlight::kernels
