// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Images as columns: the inputs of each window of a convolution, [channels * taps, windows], and
// back.  Images may lie in any layout; columns are contiguous.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rushlight::kernels {

struct ColumnsDim {
  int64_t image;
  int64_t windows;
  int64_t kernel;
  int64_t stride;
  int64_t padding;
  int64_t dilation;
  int64_t image_stride;  // elements from one to the next
};

struct ColumnsShape {
  ColumnsDim dims[2];  // height, width
  int64_t channels;
  int64_t image_batch;  // elements from one image to the next
  int64_t image_channel;
};

// The outputs [begin, end), counted in the order image, channel, then tap and window or height and
// width.
struct ColumnsArgs {
  const ColumnsShape* shape;
  const void* in;
  void* out;
  size_t begin;
  size_t end;
};

// T is a floating-point storage type.
template <class T>
void ImageToColumns(const ColumnsArgs& a);

// Where windows overlap, their columns are added.
template <class T>
void ColumnsToImage(const ColumnsArgs& a);

}  // namespace rushlight::kernels
