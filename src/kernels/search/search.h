// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Binary search in sorted sequences.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rushlight::kernels {

struct SearchArgs {
  int64_t* out;        // [n]
  const void* values;  // T, element i at i * value_stride
  int64_t value_stride;
  const void* sequences;  // T, the sequence of element i begins at i * sequence_step
  int64_t sequence_step;  // 0: one for all
  int64_t stride;         // between the elements of a sequence
  int64_t length;
  size_t n;
  bool right;
};

// out[i] is how many elements of the sequence are less than the value (with `right`: less or
// equal), NaN being greater than everything.  A sequence that is not sorted gives some number from
// 0 to length.
template <class T>
void Search(const SearchArgs& a) {
  const T* sequence = static_cast<const T*>(a.sequences);
  const T* values = static_cast<const T*>(a.values);
  for (size_t i = 0; i < a.n; ++i, sequence += a.sequence_step, values += a.value_stride) {
    const T value = *values;
    int64_t low = 0;
    int64_t high = a.length;
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      const T element = sequence[middle * a.stride];
      if (a.right ? !(element > value) : !(element >= value)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    a.out[i] = low;
  }
}

}  // namespace rushlight::kernels
