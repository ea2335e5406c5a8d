// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Images, signals and volumes: tensors [batch, channels, depth, height, width] without some of the
// dimensions, and the numbers that operators take for each spatial one.
#pragma once

#include <cstdint>

#include "rushlight/op.h"

namespace rushlight::ops {

inline constexpr size_t kSpatial = 3;  // depth, height, width

// Sizes and strides (in elements) of a tensor with all five dimensions; those it lacks are of
// size 1.
struct Image {
  // The last `dims` dimensions are spatial; batch and channels may be missing, in this order.
  // Requires: dims <= kSpatial, dims <= tensor.rank() <= dims + 2.
  Image(const Tensor& tensor, size_t dims);

  int64_t batch = 1;
  int64_t channels = 1;
  int64_t size[kSpatial] = {1, 1, 1};
  int64_t batch_stride = 0;
  int64_t channel_stride = 0;
  int64_t stride[kSpatial] = {0, 0, 0};
  // Requires: the tensor has elements (so that the product of its sizes fits).
  int64_t positions() const { return size[0] * size[1] * size[2]; }
};

// Reads an argument of one number for each of the last `dims` spatial dimensions, or one for all of
// them; the others get `missing`.  Fails where a number is not in [low, INT32_MAX].
Error ReadSpatial(Span<const int64_t> list, size_t dims, int64_t low, int64_t missing,
                  size_t argument, int64_t* out);

}  // namespace rushlight::ops
