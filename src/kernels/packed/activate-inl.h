// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Activation by its name.  Included once for each instruction set (RUSHLIGHT_ISA), in its target
// region.

#include "src/kernels/vector/math-inl.h"

namespace rushlight::kernels::RUSHLIGHT_ISA {
namespace {

F32x16 Activate(Activation activation, F32x16 x) {
  switch (activation) {
    case Activation::kSilu:
      return Silu(x);
    case Activation::kGelu:
      return GeluErf(x);
    case Activation::kGeluTanh:
      return GeluTanh(x);
    case Activation::kRelu:
      return SelectLess(x, Set(0.0f), Set(0.0f), x);  // NaN stays
    case Activation::kTanh:
      return Tanh(x);
    case Activation::kQuickGelu:
      return QuickGelu(x);
    default:
      return x;
  }
}

}  // namespace
}  // namespace rushlight::kernels::RUSHLIGHT_ISA
