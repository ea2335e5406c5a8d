// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/scan/scan.h"

#include <cstdint>
#include <type_traits>

namespace rushlight::kernels {
namespace {

template <class T, class F>
void Scan(const ScanArgs& a, std::conditional_t<std::is_same_v<T, float>, double, T> acc, F f) {
  T* out = static_cast<T*>(a.out);
  const T* x = static_cast<const T*>(a.in);
  for (size_t i = 0; i < a.n; ++i) {
    acc = f(acc, x[i]);
    out[i] = static_cast<T>(acc);
  }
}

}  // namespace

template <class T>
void CumulativeSum(const ScanArgs& a) {
  Scan<T>(a, 0, [](auto acc, T x) { return acc + x; });
}
template <class T>
void CumulativeProduct(const ScanArgs& a) {
  Scan<T>(a, 1, [](auto acc, T x) { return acc * x; });
}

template void CumulativeSum<float>(const ScanArgs&);
template void CumulativeSum<double>(const ScanArgs&);
template void CumulativeSum<uint64_t>(const ScanArgs&);
template void CumulativeProduct<float>(const ScanArgs&);
template void CumulativeProduct<double>(const ScanArgs&);
template void CumulativeProduct<uint64_t>(const ScanArgs&);

}  // namespace rushlight::kernels
