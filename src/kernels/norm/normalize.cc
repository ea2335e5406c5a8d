// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/norm/normalize.h"

#include <cmath>

#include "src/kernels/reduce/reduce.h"

namespace rushlight::kernels {
namespace {

template <class T>
void Measure(const NormalizeArgs& a) {
  const size_t n = a.channels * a.spatial;
  double squares;
  FoldArgs fold{&squares, a.mean, nullptr, 1, 0, n, 1, 0, 0};
  Fold<Moments, T>(fold);
  fold.in = a.in;
  Fold<Moments, T>(fold);
  *a.variance = squares / static_cast<double>(n);
}

}  // namespace

template <class T>
void Normalize(const NormalizeArgs& a) {
  if (a.measure) Measure<T>(a);
  *a.rstd = 1 / std::sqrt(*a.variance + a.eps);
  const T mean = static_cast<T>(*a.mean);
  const T rstd = static_cast<T>(*a.rstd);
  T* out = static_cast<T*>(a.out);
  const T* x = static_cast<const T*>(a.in);
  const T* weight = static_cast<const T*>(a.weight);
  const T* bias = static_cast<const T*>(a.bias);
  if (a.spatial == 1) {
#pragma GCC ivdep
    for (size_t i = 0; i < a.channels; ++i) {
      const T scale = weight == nullptr ? rstd : rstd * weight[i];
      out[i] = (x[i] - mean) * scale + (bias == nullptr ? T(0) : bias[i]);
    }
    return;
  }
  for (size_t c = 0; c < a.channels; ++c, out += a.spatial, x += a.spatial) {
    const T scale = weight == nullptr ? rstd : rstd * weight[c];
    const T shift = bias == nullptr ? T(0) : bias[c];
#pragma GCC ivdep
    for (size_t i = 0; i < a.spatial; ++i) out[i] = (x[i] - mean) * scale + shift;
  }
}

template void Normalize<float>(const NormalizeArgs&);
template void Normalize<double>(const NormalizeArgs&);

}  // namespace rushlight::kernels
