// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Pooling over up to three spatial dimensions (those that a tensor does not have are of size 1), in
// any layout.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rushlight::kernels {

struct PoolDim {
  int64_t in;
  int64_t out;
  int64_t kernel;
  int64_t stride;
  int64_t padding;
  int64_t dilation;
  int64_t in_stride;  // elements from one to the next
  int64_t out_stride;
  int64_t indices_stride;
};

struct PoolShape {
  PoolDim dims[3];     // depth, height, width
  bool adaptive;       // windows divide the input evenly; kernel and what follows it do not count
  bool count_padding;  // in the divisor of an average
  int64_t divisor;     // instead of the window's size; 0 for none
  int64_t channels;
  int64_t in_batch;    // elements from one image to the next
  int64_t in_channel;  // from one channel to the next
  int64_t out_batch;
  int64_t out_channel;
  int64_t indices_batch;
  int64_t indices_channel;
};

// The outputs [begin, end), counted in the order image, channel, depth, height, width.
struct PoolArgs {
  const PoolShape* shape;
  const void* in;
  void* out;
  int64_t* indices;  // of the greatest elements, in their plane or volume; only for MaxPool
  size_t begin;
  size_t end;
};

// NaN is the greatest.  T is a floating-point or integer storage type.
template <class T>
void MaxPool(const PoolArgs& a);

// T is a floating-point type or int64_t.
template <class T>
void AvgPool(const PoolArgs& a);

}  // namespace rushlight::kernels
