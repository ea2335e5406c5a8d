// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Lanes: 32 bytes of numbers in two vector registers (SSE2, NEON; plain code where there are none).
// C is float, double, uint32_t or uint64_t; integers are unsigned so that they wrap around.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace rushlight::kernels {

namespace internal {
template <class C>
struct VectorOf {
  typedef C type __attribute__((vector_size(16)));
};
}  // namespace internal
template <class C>
using Vec = typename internal::VectorOf<C>::type;

template <class C>
inline constexpr size_t kLanes = 32 / sizeof(C);

template <class C>
struct Lanes {
  Vec<C> low = {};
  Vec<C> high = {};

  // *this += a * b
  void AddProduct(const Lanes& a, const Lanes& b) {
    low += a.low * b.low;
    high += a.high * b.high;
  }
  void Store(C* p) const {
    std::memcpy(p, &low, sizeof low);
    std::memcpy(p + kLanes<C> / 2, &high, sizeof high);
  }
};

// kLanes<C> numbers at any address.
template <class C>
inline Lanes<C> Load(const C* p) {
  Lanes<C> x;
  std::memcpy(&x.low, p, sizeof x.low);
  std::memcpy(&x.high, p + kLanes<C> / 2, sizeof x.high);
  return x;
}

// n numbers, then zeros.  Requires: n <= kLanes<C>.
template <class C>
inline Lanes<C> LoadPartial(const C* p, size_t n) {
  C some[kLanes<C>] = {};
  std::memcpy(some, p, n * sizeof(C));
  return Load(some);
}

template <class C>
inline Lanes<C> Splat(C v) {
  Lanes<C> x;
  if constexpr (kLanes<C> == 8) {
    x.low = Vec<C>{v, v, v, v};
  } else {
    x.low = Vec<C>{v, v};
  }
  x.high = x.low;
  return x;
}

}  // namespace rushlight::kernels
