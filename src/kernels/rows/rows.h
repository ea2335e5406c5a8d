// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// What is done to a row of floats between products.  A call takes one row, so that no row depends
// on its company; all instruction sets agree bit for bit.  `out` may be the row itself.
#pragma once

#include <cstddef>
#include <cstdint>

#include "rushlight/dtype.h"
#include "src/kernels/isa.h"
#include "src/kernels/packed/matmul.h"  // Activation

namespace rushlight::kernels {

enum class Rope : uint8_t {
  kHalves,       // element i turns with i + rotary / 2 (Llama)
  kInterleaved,  // element 2 i turns with 2 i + 1 (GPT-J)
};

struct RopeArgs {
  const float* x;    // [heads, size]
  float* out;        // likewise
  const float* cos;  // [rotary / 2], the row of this position
  const float* sin;  // likewise
  size_t heads;
  size_t size;    // of a head
  size_t rotary;  // the elements that turn; the others stay.  Requires: even, <= size
  Rope kind;
};

struct RowKernels {
  // x / sqrt(mean(x^2) + eps) * weight.  Gemma's 1 + weight is made by the compiler.
  void (*rms_norm)(const float* x, const float* weight, float eps, size_t n, float* out);
  // (x - mean) / sqrt(variance + eps) * weight + bias; either may be null.
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float eps, size_t n,
                     float* out);
  void (*rope)(const RopeArgs& args);
  // activation(gate) * x
  void (*gate)(Activation activation, const float* gate, const float* x, size_t n, float* out);
  // Of scale * x, or of cap * tanh(scale * x / cap) if cap is not 0.
  void (*softmax)(const float* x, float scale, float cap, size_t n, float* out);
  void (*add)(const float* a, const float* b, size_t n, float* out);
  // x * weight + bias, rounded in between; either may be null.
  void (*affine)(const float* x, const float* weight, const float* bias, size_t n, float* out);
  // A row of an embedding of kFloat32, kBFloat16 or kFloat16, times scale.  (Of packed panels:
  // DequantizeRow.)
  void (*widen)(DType type, const void* row, float scale, size_t n, float* out);
  // The first of the largest; NaN is never the largest.  0 where there are NaN alone.
  size_t (*argmax)(const float* x, size_t n);
  // The k largest in descending order, the first of equals first, without NaN; returns their
  // number.
  size_t (*top_k)(const float* x, size_t n, size_t k, size_t* places);
};

extern const PerIsa<const RowKernels*> kRowKernels;

}  // namespace rushlight::kernels
