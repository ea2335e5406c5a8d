// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Lanes: accumulators side by side, the one way in which reductions run over memory.
//
//   columns   neighbouring accumulators belong to neighbouring results, and a step goes down a row
//   a row     one result: the row is cut into steps of kLanes elements, and the lanes are combined
//             in a fixed order at the end
//
// Either way an inner step is one vector operation for each register, on independent chains.
// Vectors are those of GCC and Clang, 16 bytes wide: every target has them, in hardware or lowered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace rushlight::kernels {

template <class T>
inline constexpr size_t kLanes = 64 / sizeof(T);  // four vectors

template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(16)));
};
template <class T>
using Vector = typename VectorOf<T>::type;

// W elements: vectors, or for W == 1 a plain number, so that one function serves both.
template <class T, size_t W>
struct Lanes {
  using Unit = std::conditional_t<W == 1, T, Vector<T>>;
  static constexpr size_t kUnits = W * sizeof(T) / sizeof(Unit);

  Unit unit[kUnits];

  static Unit LoadUnit(const T* x, size_t u) {
    Unit unit;
    std::memcpy(&unit, x + u * (W / kUnits), sizeof unit);
    return unit;
  }
  static Lanes Load(const T* x) {
    Lanes l;
    for (size_t u = 0; u < kUnits; ++u) l.unit[u] = LoadUnit(x, u);
    return l;
  }
  static Lanes Fill(T x) {
    Lanes l;
    for (size_t u = 0; u < kUnits; ++u) l.unit[u] = Unit{} + x;
    return l;
  }
  void Store(T* x) const { std::memcpy(x, this, sizeof *this); }
};

// acc = f(acc, row, parameter) for each of `rows` rows, `stride` elements apart.
template <class F, class T, size_t W>
Lanes<T, W> FoldColumns(Lanes<T, W> acc, const T* x, size_t rows, int64_t stride,
                        const Lanes<T, W>& parameter, F f) {
  using L = Lanes<T, W>;
  for (size_t r = 0; r < rows; ++r) {
    const T* row = x + static_cast<int64_t>(r) * stride;
    for (size_t u = 0; u < L::kUnits; ++u) {
      acc.unit[u] = f(acc.unit[u], L::LoadUnit(row, u), parameter.unit[u]);
    }
  }
  return acc;
}

// Folds n contiguous elements into one; combine(a, b) joins two accumulators.
template <class F, class C, class T>
T FoldRow(T identity, const T* x, size_t n, T parameter, F f, C combine) {
  T result = identity;
  const T* rest = x + n / kLanes<T> * kLanes<T>;
  for (; rest != x + n; ++rest) result = f(result, *rest, parameter);
  if (n < kLanes<T>) return result;

  using L = Lanes<T, kLanes<T>>;
  L acc = FoldColumns(L::Fill(identity), x, n / kLanes<T>, kLanes<T>, L::Fill(parameter), f);
  for (size_t half = L::kUnits / 2; half > 0; half /= 2) {
    for (size_t u = 0; u < half; ++u) acc.unit[u] = combine(acc.unit[u], acc.unit[u + half]);
  }
  for (size_t i = 0; i < sizeof acc.unit[0] / sizeof(T); ++i)
    result = combine(result, acc.unit[0][i]);
  return result;
}

}  // namespace rushlight::kernels
