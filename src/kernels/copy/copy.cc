// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/copy/copy.h"

#include <cstring>

#include "src/kernels/elementwise/elementwise.h"  // Gather

namespace rushlight::kernels {
namespace {

struct Element16 {
  uint64_t halves[2];
};

template <class E>
E Load(const void* base, int64_t i) {
  E e;
  std::memcpy(&e, static_cast<const uint8_t*>(base) + i * static_cast<int64_t>(sizeof(E)),
              sizeof e);
  return e;
}
template <class E>
void Store(void* base, int64_t i, E e) {
  std::memcpy(static_cast<uint8_t*>(base) + i * static_cast<int64_t>(sizeof(E)), &e, sizeof e);
}

// Calls f with an element of that size, whose type is all that matters.
template <class F>
void WithElement(size_t element_size, F f) {
  switch (element_size) {
    case 1:
      return f(uint8_t());
    case 2:
      return f(uint16_t());
    case 4:
      return f(uint32_t());
    case 8:
      return f(uint64_t());
    default:
      return f(Element16());
  }
}

}  // namespace

void CopyRun(void* to, int64_t to_stride, const void* from, int64_t from_stride, size_t n,
             size_t element_size) {
  if (from_stride == 0) return FillRun(to, to_stride, from, n, element_size);
  if (to == from && to_stride == from_stride) return;
  if (to_stride == 1) return Gather(to, from, n, from_stride, element_size);
  WithElement(element_size, [=](auto e) {
    using E = decltype(e);
    const auto count = static_cast<int64_t>(n);
    for (int64_t i = 0; i < count; ++i) Store(to, i * to_stride, Load<E>(from, i * from_stride));
  });
}

void Transpose(void* to, int64_t to_stride, const void* from, int64_t from_stride, size_t rows,
               size_t columns, size_t element_size) {
  // Eight columns at a time: their lines fit a set of the cache even where from_stride is a power
  // of two that maps them all to the same one.
  constexpr int64_t kColumns = 8;
  WithElement(element_size, [=](auto e) {
    using E = decltype(e);
    const auto last_row = static_cast<int64_t>(rows);
    const auto last_column = static_cast<int64_t>(columns);
    int64_t c = 0;
    for (; c + kColumns <= last_column; c += kColumns) {
      for (int64_t r = 0; r < last_row; ++r) {
        E line[kColumns];
        for (int64_t k = 0; k < kColumns; ++k) line[k] = Load<E>(from, (c + k) * from_stride + r);
        for (int64_t k = 0; k < kColumns; ++k) Store(to, r * to_stride + c + k, line[k]);
      }
    }
    for (; c < last_column; ++c) {
      for (int64_t r = 0; r < last_row; ++r) {
        Store(to, r * to_stride + c, Load<E>(from, c * from_stride + r));
      }
    }
  });
}

void FillRun(void* to, int64_t stride, const void* element, size_t n, size_t element_size) {
  WithElement(element_size, [=](auto e) {
    using E = decltype(e);
    const E value = Load<E>(element, 0);  // a copy: `to` may hold the element
    const auto count = static_cast<int64_t>(n);
    if (stride == 1) {
      for (int64_t i = 0; i < count; ++i) Store(to, i, value);
    } else {
      for (int64_t i = 0; i < count; ++i) Store(to, i * stride, value);
    }
  });
}

void GatherPlaces(void* to, int64_t to_stride, const void* from, const int64_t* places, size_t n,
                  size_t element_size) {
  WithElement(element_size, [=](auto e) {
    using E = decltype(e);
    const auto count = static_cast<int64_t>(n);
    for (int64_t i = 0; i < count; ++i) Store(to, i * to_stride, Load<E>(from, places[i]));
  });
}

void ScatterPlaces(void* to, const int64_t* places, const void* from, int64_t from_stride, size_t n,
                   size_t element_size) {
  WithElement(element_size, [=](auto e) {
    using E = decltype(e);
    const auto count = static_cast<int64_t>(n);
    for (int64_t i = 0; i < count; ++i) Store(to, places[i], Load<E>(from, i * from_stride));
  });
}

}  // namespace rushlight::kernels
