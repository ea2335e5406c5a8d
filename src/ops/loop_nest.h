// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// LoopNest: the loops over an output's elements in the order of its memory, with the strides of
// what is read beside it.  Dimensions of size 1 are dropped and dimensions that continue each other
// are merged, so most nests have one or two loops.
//
// Where the output is not a whole tensor (a slice of one, say), the nest is made of sizes and an
// order, and the output is an operand like those that are read.
#pragma once

#include <cstddef>
#include <cstdint>

#include "rushlight/error.h"
#include "rushlight/tensor.h"

namespace rushlight::ops {

inline constexpr size_t kMaxNestOperands = 8;

class LoopNest {
 public:
  // Loops over `out`, which is dense in its own order.
  explicit LoopNest(const Tensor& out);
  // Loops over these sizes in an order of dimensions, outermost first; none is 0, 1, 2, ...
  explicit LoopNest(Span<const int64_t> sizes, Span<const uint8_t> order = {});

  // Adds an operand that element (i0, i1, ...) of the output reads at sum(i_d * strides[d]);
  // strides are in elements, one for each dimension of the output.
  void AddOperand(const int64_t* strides);
  // Adds a tensor that broadcasts against the output, or fails with kBroadcast.
  Error AddBroadcast(const Tensor& tensor);

  // Merges dimensions.  Call once, after the operands.
  void Finish();

  size_t numel() const { return numel_; }

  // Calls run(position in this order, offsets of the operands, n) for pieces of [begin, end) along
  // the innermost loop.  An operand's elements within a piece are inner_stride(operand) apart.
  template <class F>
  void ForEachRun(size_t begin, size_t end, F run) const {
    int64_t index[kMaxRank];
    int64_t offset[kMaxNestOperands] = {};
    Locate(begin, index, offset);
    while (begin < end) {
      const auto left = static_cast<size_t>(size_[0] - index[0]);
      const size_t n = end - begin < left ? end - begin : left;
      run(begin, static_cast<const int64_t*>(offset), n);
      begin += n;
      if (begin < end) Advance(static_cast<int64_t>(n), index, offset);
    }
  }
  int64_t inner_stride(size_t operand) const { return stride_[operand][0]; }
  int64_t inner_size() const { return size_[0]; }

  // The loops that are left after Finish, innermost first.
  size_t loops() const { return rank_; }
  int64_t size(size_t loop) const { return size_[loop]; }
  int64_t stride(size_t operand, size_t loop) const { return stride_[operand][loop]; }

 private:
  void AddLoops(Span<const uint8_t> order);
  void Locate(size_t position, int64_t* index, int64_t* offset) const;
  void Advance(int64_t n, int64_t* index, int64_t* offset) const;

  size_t rank_ = 0;         // loops
  size_t operands_ = 0;
  size_t numel_ = 1;
  uint8_t dim_[kMaxRank];   // loop, innermost first, to dimension of the output (until Finish)
  size_t out_rank_;
  int64_t out_size_[kMaxRank];
  int64_t size_[kMaxRank];
  int64_t stride_[kMaxNestOperands][kMaxRank];
};

}  // namespace rushlight::ops
