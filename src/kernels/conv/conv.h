// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Convolution, plain and transposed, over up to three spatial dimensions (those that a tensor does
// not have are of size 1), in any layout.
//
// Output channels are the rows of a matrix product and output positions its columns; what would be
// its right-hand matrix is gathered panel by panel (panel.h), never as a whole.  Where a group has
// a single input channel and few output channels, rows of the image are summed up directly.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/kernels/gemm/panel.h"

namespace rushlight::kernels {

inline constexpr size_t kConvRows = kPanelRows;  // most output channels of a block
inline constexpr size_t kConvColumns = 8;        // positions come in multiples of it

struct ConvDim {
  int64_t in;
  int64_t out;
  int64_t kernel;
  int64_t stride;
  int64_t padding;
  int64_t dilation;
  int64_t in_stride;  // elements from one to the next
  int64_t out_stride;
};

struct ConvShape {
  ConvDim dims[3];  // depth, height, width
  bool transposed;
  size_t channels;     // input channels of a group
  size_t taps;         // product of the kernel sizes
  int64_t in_channel;  // elements from one channel to the next
  int64_t out_channel;
  int64_t weight_row;      // from one output channel to the next
  int64_t weight_channel;  // from one input channel to the next
  int64_t weight_tap;
};

// The outputs [begin, end) of `rows` channels of one group of one image.  Positions are counted in
// an order of the kernel's choice.
struct ConvArgs {
  const ConvShape* shape;
  const void* in;      // the group's first input channel
  const void* weight;  // of the first of the output channels
  const void* bias;    // [rows]; null for none
  void* out;           // the first of the output channels
  Storage storage;     // of all four
  size_t rows;         // <= kConvRows
  size_t begin;        // a multiple of kConvColumns
  size_t end;
};

// C is float, double, uint32_t or uint64_t.
template <class C>
void Convolve(const ConvArgs& a);

// The case of one input channel, not transposed.
template <class C>
void ConvolveChannel(const ConvArgs& a);

}  // namespace rushlight::kernels
