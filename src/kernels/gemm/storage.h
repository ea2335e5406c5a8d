// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Storage: how elements lie in memory that a product computes with.
//
// Products exist for float, double and 32- and 64-bit integers.  Elements of another dtype are
// converted in small blocks by the casts of the elementwise family, which have to exist anyway.
#pragma once

#include "src/kernels/elementwise/elementwise.h"

namespace rushlight::kernels {

struct Storage {
  size_t size;                  // bytes of an element
  void (*widen)(const void*);   // CastArgs: to the compute type; null where elements are of it
  void (*narrow)(const void*);  // CastArgs: back

  const void* At(const void* base, int64_t index) const {
    return static_cast<const uint8_t*>(base) + index * static_cast<int64_t>(size);
  }
  void* At(void* base, int64_t index) const {
    return static_cast<uint8_t*>(base) + index * static_cast<int64_t>(size);
  }

  // n elements that are `stride` apart: where they lie if that is possible, else in `buffer`.
  template <class C>
  const C* Read(const void* from, size_t n, int64_t stride, C* buffer) const {
    if (widen != nullptr) {
      const CastArgs args{buffer, from, n, stride};
      widen(&args);
      return buffer;
    }
    const C* elements = static_cast<const C*>(from);
    if (stride == 1) return elements;
    for (size_t i = 0; i < n; ++i) buffer[i] = elements[static_cast<int64_t>(i) * stride];
    return buffer;
  }

  template <class C>
  void Write(void* to, const C* values, size_t n) const {
    if (narrow != nullptr) {
      const CastArgs args{to, values, n, 1};
      narrow(&args);
    } else {
      C* elements = static_cast<C*>(to);
      for (size_t i = 0; i < n; ++i) elements[i] = values[i];
    }
  }
};

}  // namespace rushlight::kernels
