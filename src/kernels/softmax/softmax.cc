// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/softmax/softmax.h"

#include <cmath>
#include <limits>

#include "src/kernels/reduce/lanes.h"
#include "src/kernels/softmax/exp.h"

namespace rushlight::kernels {
namespace {

constexpr size_t kBlock = 512;  // elements whose exponentials are summed in T

// NaN may win or not: the sum of exponentials is NaN either way.
template <class T>
T Greatest(const T* x, size_t n) {
  return FoldRow(
      -std::numeric_limits<T>::infinity(), x, n, T(0),
      [](auto acc, auto v, auto) { return v > acc ? v : acc; },
      [](auto a, auto b) { return b > a ? b : a; });
}

// to[i] = exp(x[i] - shift); returns their sum.
template <class T>
T ExpBlock(T* to, const T* x, size_t n, T shift) {
#pragma GCC ivdep
  for (size_t i = 0; i < n; ++i) to[i] = ExpBounded(x[i] - shift);
  return FoldRow(
      T(0), to, n, T(0), [](auto acc, auto v, auto) { return acc + v; },
      [](auto a, auto b) { return a + b; });
}

}  // namespace

template <class T>
void Softmax(const SoftmaxArgs& a) {
  T* out = static_cast<T*>(a.out);
  const T* x = static_cast<const T*>(a.in);
  const T greatest = Greatest(x, a.n);
  double sum = 0;
  for (size_t b = 0; b < a.n; b += kBlock) {
    sum += ExpBlock(out + b, x + b, a.n - b < kBlock ? a.n - b : kBlock, greatest);
  }
  const T scale = static_cast<T>(1 / sum);
  for (size_t i = 0; i < a.n; ++i) out[i] *= scale;
}

template <class T>
void LogSoftmax(const SoftmaxArgs& a) {
  T* out = static_cast<T*>(a.out);
  const T* x = static_cast<const T*>(a.in);
  const T greatest = Greatest(x, a.n);
  T block[kBlock];
  double sum = 0;
  for (size_t b = 0; b < a.n; b += kBlock) {
    sum += ExpBlock(block, x + b, a.n - b < kBlock ? a.n - b : kBlock, greatest);
  }
  const T log_sum = static_cast<T>(std::log(sum));
#pragma GCC ivdep
  for (size_t i = 0; i < a.n; ++i) out[i] = (x[i] - greatest) - log_sum;
}

template void Softmax<float>(const SoftmaxArgs&);
template void Softmax<double>(const SoftmaxArgs&);
template void LogSoftmax<float>(const SoftmaxArgs&);
template void LogSoftmax<double>(const SoftmaxArgs&);

}  // namespace rushlight::kernels
