// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Normalisation of one row: layer norm, one group of group norm, one channel of batch norm.
#pragma once

#include <cstddef>

namespace rushlight::kernels {

struct NormalizeArgs {
  void* out;        // T [channels][spatial]; may be `in`
  const void* in;   // T [channels][spatial]
  size_t channels;  // that have a weight and a bias each
  size_t spatial;
  const void* weight;  // T [channels], or null for 1
  const void* bias;    // T [channels], or null for 0
  double eps;
  bool measure;  // sets *mean and *variance to those of the row; or they are given
  double* mean;
  double* variance;  // the mean square about the mean
  double* rstd;      // set: 1 / sqrt(*variance + eps)
};

// out = (in - mean) * rstd * weight + bias.  T is float or double.
template <class T>
void Normalize(const NormalizeArgs& a);

}  // namespace rushlight::kernels
