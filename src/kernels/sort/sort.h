// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Sorting one row, and picking its first few elements, by position.
//
// Numbers become 64-bit keys whose unsigned order is that of the row: NaN is the greatest number,
// and both zeros are equal.  Of equal elements the one with the lower position comes first.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rushlight::kernels {

struct SortArgs {
  void* keys;       // T [n]: the row; overwritten
  uint32_t* order;  // [n], of which the first k are set: positions in the order of the row
  size_t n;
  size_t k;
  bool descending;
  uint64_t* spare_keys;   // [n], for Sort
  uint32_t* spare_order;  // [n], for Sort
};

// The order of all elements; k is not used.  Time is linear in n.  T is double, int64_t or
// uint64_t.
template <class T>
void Sort(const SortArgs& a);

// The order of the first k.  Requires: 0 < k <= n.
template <class T>
void SelectFirst(const SortArgs& a);

}  // namespace rushlight::kernels
