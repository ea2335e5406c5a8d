// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Elementwise loops: contiguous operands in, contiguous results out.
//
// The caller (src/ops/elementwise.h) lays operands out: it repeats scalars, gathers strided
// elements and converts dtypes, in blocks that stay in the first-level cache.  So there is one loop
// for each function and compute type, and nothing else to instantiate.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rushlight::kernels {

inline constexpr size_t kMaxMapInputs = 4;

struct MapArgs {
  void* out;                      // R [n]; may be one of the inputs
  const void* in[kMaxMapInputs];  // T [n] each
  size_t n;
  bool* undefined;  // set where an element has no result: MapDivide
};

// out[i] = F()(in[0][i], in[1][i], ...)
template <class F, class T, class R = T>
void Map1(const MapArgs& a) {
  R* out = static_cast<R*>(a.out);
  const T* x = static_cast<const T*>(a.in[0]);
#pragma GCC ivdep
  for (size_t i = 0; i < a.n; ++i) out[i] = static_cast<R>(F()(x[i]));
}
template <class F, class T, class R = T>
void Map2(const MapArgs& a) {
  R* out = static_cast<R*>(a.out);
  const T* x = static_cast<const T*>(a.in[0]);
  const T* y = static_cast<const T*>(a.in[1]);
#pragma GCC ivdep
  for (size_t i = 0; i < a.n; ++i) out[i] = static_cast<R>(F()(x[i], y[i]));
}
template <class F, class T, class R = T>
void Map3(const MapArgs& a) {
  R* out = static_cast<R*>(a.out);
  const T* x = static_cast<const T*>(a.in[0]);
  const T* y = static_cast<const T*>(a.in[1]);
  const T* z = static_cast<const T*>(a.in[2]);
#pragma GCC ivdep
  for (size_t i = 0; i < a.n; ++i) out[i] = static_cast<R>(F()(x[i], y[i], z[i]));
}
template <class F, class T, class R = T>
void Map4(const MapArgs& a) {
  R* out = static_cast<R*>(a.out);
  const T* x = static_cast<const T*>(a.in[0]);
  const T* y = static_cast<const T*>(a.in[1]);
  const T* z = static_cast<const T*>(a.in[2]);
  const T* w = static_cast<const T*>(a.in[3]);
#pragma GCC ivdep
  for (size_t i = 0; i < a.n; ++i) out[i] = static_cast<R>(F()(x[i], y[i], z[i], w[i]));
}

// Map2 where y is one number throughout: what depends on it alone is decided outside of the loop.
// Requires: n > 0.
template <class F, class T>
void MapNumber(const MapArgs& a) {
  T* out = static_cast<T*>(a.out);
  const T* x = static_cast<const T*>(a.in[0]);
  const T y = *static_cast<const T*>(a.in[1]);
#pragma GCC ivdep
  for (size_t i = 0; i < a.n; ++i) out[i] = F()(x[i], y);
}

// Map2 for integer division: where y is zero, F is not called and `undefined` is set.
template <class F, class T>
void MapDivide(const MapArgs& a) {
  T* out = static_cast<T*>(a.out);
  const T* x = static_cast<const T*>(a.in[0]);
  const T* y = static_cast<const T*>(a.in[1]);
  bool undefined = false;
  for (size_t i = 0; i < a.n; ++i) {
    undefined |= y[i] == 0;
    out[i] = y[i] == 0 ? T(0) : F()(x[i], y[i]);
  }
  if (undefined) *a.undefined = true;
}

struct CastArgs {
  void* out;       // R [n]
  const void* in;  // T, element i at i * stride
  size_t n;
  int64_t stride;  // in elements; 0 repeats one element
};

// out[i] = R(in[i * stride]).  Floating-point values truncate; those that an integer cannot hold
// give what x86 gives, never undefined behaviour.  Instantiated in cast.cc.
template <class T, class R>
void Cast(const CastArgs& a);

// Copies n elements of 1, 2, 4, 8 or 16 bytes from a strided to a contiguous place.
void Gather(void* out, const void* in, size_t n, int64_t stride, size_t element_size);

}  // namespace rushlight::kernels
