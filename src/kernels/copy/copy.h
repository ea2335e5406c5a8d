// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Moving elements: by their size, whatever they mean.
//
// Elements have 1, 2, 4, 8 or 16 bytes; strides count elements and may be zero or negative.  Memory
// that overlaps gives elements in an undefined order, except where it says otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rushlight::kernels {

// to[i * to_stride] = from[i * from_stride].  Contiguous runs may overlap.
void CopyRun(void* to, int64_t to_stride, const void* from, int64_t from_stride, size_t n,
             size_t element_size);

// to[r * to_stride + c] = from[c * from_stride + r]: a tile of a transposition.  The caller picks
// tiles that stay in the first-level cache.
void Transpose(void* to, int64_t to_stride, const void* from, int64_t from_stride, size_t rows,
               size_t columns, size_t element_size);

// to[i * stride] = *element.
void FillRun(void* to, int64_t stride, const void* element, size_t n, size_t element_size);

// to[i * to_stride] = from[places[i]].
void GatherPlaces(void* to, int64_t to_stride, const void* from, const int64_t* places, size_t n,
                  size_t element_size);

// to[places[i]] = from[i * from_stride], in this order: of equal places the last wins.
void ScatterPlaces(void* to, const int64_t* places, const void* from, int64_t from_stride, size_t n,
                   size_t element_size);

}  // namespace rushlight::kernels
