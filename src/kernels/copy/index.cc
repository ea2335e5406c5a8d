// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/copy/index.h"

namespace rushlight::kernels {
namespace {

template <class I>
IndexRange Range(const void* index, size_t n) {
  const I* v = static_cast<const I*>(index);
  I least = v[0];
  I greatest = v[0];
  for (size_t i = 1; i < n; ++i) {
    least = v[i] < least ? v[i] : least;
    greatest = v[i] > greatest ? v[i] : greatest;
  }
  return {least, greatest};
}

template <class I>
void Add(const AddPlacesArgs& a) {
  const I* index = static_cast<const I*>(a.index);
  for (size_t i = 0; i < a.n; ++i) {
    const int64_t v = index[static_cast<int64_t>(i) * a.stride];
    a.places[i] += (v < 0 ? v + a.size : v) * a.step;
  }
}

}  // namespace

IndexRange FindRange(const void* index, size_t index_size, size_t n) {
  return index_size == 8 ? Range<int64_t>(index, n) : Range<int32_t>(index, n);
}

void AddPlaces(const AddPlacesArgs& args) {
  if (args.index_size == 8) {
    Add<int64_t>(args);
  } else {
    Add<int32_t>(args);
  }
}

}  // namespace rushlight::kernels
