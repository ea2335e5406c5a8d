// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Running sums and products of one row.
#pragma once

#include <cstddef>

namespace rushlight::kernels {

struct ScanArgs {
  void* out;       // T [n]; may be `in`
  const void* in;  // T [n]
  size_t n;
};

// out[i] = in[0] + ... + in[i], accumulated in double for floating point and modulo 2^64 for
// integers.  T is float, double or uint64_t.
template <class T>
void CumulativeSum(const ScanArgs& a);
template <class T>
void CumulativeProduct(const ScanArgs& a);

}  // namespace rushlight::kernels
