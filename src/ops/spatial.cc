// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/ops/spatial.h"

namespace rushlight::ops {

Image::Image(const Tensor& tensor, size_t dims) {
  int64_t strides[kMaxRank];
  ComputeStrides(tensor, strides);
  size_t d = tensor.rank();
  for (size_t s = kSpatial; s-- > kSpatial - dims;) {
    --d;
    size[s] = tensor.size(d);
    stride[s] = strides[d];
  }
  if (d > 0) {
    --d;
    channels = tensor.size(d);
    channel_stride = strides[d];
  }
  if (d > 0) {
    --d;
    batch = tensor.size(d);
    batch_stride = strides[d];
  }
}

Error ReadSpatial(Span<const int64_t> list, size_t dims, int64_t low, int64_t missing,
                  size_t argument, int64_t* out) {
  if (list.size() != dims && list.size() != 1) {
    return Error(Reason::kArgumentSize, Error::kNone, static_cast<int64_t>(list.size()),
                 static_cast<int64_t>(dims))
        .WithArgument(argument);
  }
  for (size_t s = 0; s < kSpatial; ++s) {
    out[s] = missing;
    if (s < kSpatial - dims) continue;
    const int64_t value = list[list.size() == 1 ? 0 : s - (kSpatial - dims)];
    if (value < low || value > INT32_MAX) {
      return Error(Reason::kArgumentValue, Error::kNone, value, low).WithArgument(argument);
    }
    out[s] = value;
  }
  return kOk;
}

}  // namespace rushlight::ops
