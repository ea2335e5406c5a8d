// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Images sampled at other places: resized, or at the points of a grid.  Any layout.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rushlight::kernels {

struct ResizeDim {
  int64_t in;
  int64_t out;
  double scale;       // outputs to an input, or 0 to take it from the sizes
  int64_t in_stride;  // elements from one to the next
  int64_t out_stride;
};

struct ResizeShape {
  ResizeDim dims[2];   // height, width
  bool align_corners;  // the centers of the outermost pixels coincide, not their edges
  bool from_centers;   // Nearest: measured from the pixels' centers, not from their corners
  int64_t channels;
  int64_t in_batch;    // elements from one image to the next
  int64_t in_channel;  // from one channel to the next
  int64_t out_batch;
  int64_t out_channel;
  size_t element_size;
};

// The outputs [begin, end), counted in the order image, channel, height, width.
struct ResizeArgs {
  const ResizeShape* shape;
  const void* in;
  void* out;
  size_t begin;
  size_t end;
};

// The pixel that a place falls into.  Elements of 1, 2, 4 or 8 bytes are moved as they are.
void ResizeNearest(const ResizeArgs& a);

// Between the four pixels around a place.  T is a floating-point storage type.
template <class T>
void ResizeBilinear(const ResizeArgs& a);

// The same where the output is larger; where it is smaller, a weighted average of all that an
// output pixel covers.
template <class T>
void ResizeBilinearAntialiased(const ResizeArgs& a);

enum class Interpolation { kBilinear = 0, kNearest = 1, kBicubic = 2 };
enum class Padding { kZeros = 0, kBorder = 1, kReflection = 2 };

struct GridDim {
  int64_t in;
  int64_t in_stride;
};

struct GridShape {
  GridDim dims[2];  // height, width
  Interpolation interpolation;
  Padding padding;
  bool align_corners;  // -1 and 1 are the centers of the outermost pixels, not their edges
  int64_t channels;
  int64_t height;  // of the grid and the output
  int64_t width;
  int64_t in_batch;  // strides in elements: input, grid, output
  int64_t in_channel;
  int64_t grid_batch;
  int64_t grid_height;
  int64_t grid_width;
  int64_t grid_axis;  // from a point's x to its y
  int64_t out_batch;
  int64_t out_channel;
  int64_t out_height;
  int64_t out_width;
};

inline constexpr int64_t kGridChannels = 32;  // of a block, which uses the weights of a point again

// The points [begin, end), counted in the order image, block of channels, height, width.
struct GridArgs {
  const GridShape* shape;
  const void* in;
  const void* grid;
  void* out;
  size_t begin;
  size_t end;
};

template <class T>
void SampleGrid(const GridArgs& a);

}  // namespace rushlight::kernels
