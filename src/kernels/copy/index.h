// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Index tensors: their bounds, the places they name, and reductions into those places.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/kernels/elementwise/functions.h"

namespace rushlight::kernels {

// The least and the greatest of n indices of 4 or 8 bytes.  Requires: n > 0.
struct IndexRange {
  int64_t least;
  int64_t greatest;
};
IndexRange FindRange(const void* index, size_t index_size, size_t n);

// places[i] += (v < 0 ? v + size : v) * step  for v = index[i * stride].
struct AddPlacesArgs {
  int64_t* places;
  const void* index;
  size_t index_size;  // bytes: 4 or 8
  size_t n;
  int64_t stride;
  int64_t size;
  int64_t step;
};
void AddPlaces(const AddPlacesArgs& args);

// How an element joins the one in its place.
enum class Reduction : uint8_t { kReplace, kSum, kProduct, kMaximum, kMinimum, kDivide };

struct ReduceArgs {
  void* into;             // T
  const int64_t* places;  // [n]
  const void* from;       // T [n]
  size_t n;
  Reduction reduction;
};

template <class F, class T>
void ReduceBy(const ReduceArgs& a) {
  T* into = static_cast<T*>(a.into);
  const T* from = static_cast<const T*>(a.from);
  for (size_t i = 0; i < a.n; ++i) into[a.places[i]] = F()(into[a.places[i]], from[i]);
}

struct Second {
  template <class T>
  T operator()(T, T b) const {
    return b;
  }
};
struct Sum {
  template <class T>
  T operator()(T a, T b) const {
    return WrapAdd(a, b);
  }
};
// True division of floating point, floor division of integers.
struct Quotient {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) return DivFloor()(a, b);
    return a / b;
  }
};

// into[places[i]] = F(into[places[i]], from[i]), in this order.
template <class T>
void ReducePlaces(const ReduceArgs& a) {
  switch (a.reduction) {
    case Reduction::kReplace:
      return ReduceBy<Second, T>(a);
    case Reduction::kSum:
      return ReduceBy<Sum, T>(a);
    case Reduction::kProduct:
      return ReduceBy<Mul, T>(a);
    case Reduction::kMaximum:
      return ReduceBy<Maximum, T>(a);
    case Reduction::kMinimum:
      return ReduceBy<Minimum, T>(a);
    case Reduction::kDivide:
      return ReduceBy<Quotient, T>(a);
  }
}

}  // namespace rushlight::kernels
