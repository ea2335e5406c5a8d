// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// softmax and log_softmax of one row.
#pragma once

#include <cstddef>

namespace rushlight::kernels {

struct SoftmaxArgs {
  void* out;       // T [n]; may be `in`
  const void* in;  // T [n]
  size_t n;
};

// out[i] = exp(in[i]) / sum(exp(in)).  A row of nothing but -infinity, or with +infinity or NaN,
// gives NaN, as in PyTorch.  T is float or double.
template <class T>
void Softmax(const SoftmaxArgs& a);

// out[i] = in[i] - log(sum(exp(in)))
template <class T>
void LogSoftmax(const SoftmaxArgs& a);

}  // namespace rushlight::kernels
