// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/ops/loop_nest.h"

namespace rushlight::ops {

LoopNest::LoopNest(const Tensor& out) : out_rank_(out.rank()) {
  for (size_t d = 0; d < out_rank_; ++d) out_size_[d] = out.size(d);
  AddLoops(out.dim_order());
}

LoopNest::LoopNest(Span<const int64_t> sizes, Span<const uint8_t> order) : out_rank_(sizes.size()) {
  for (size_t d = 0; d < out_rank_; ++d) out_size_[d] = sizes[d];
  AddLoops(order);
}

void LoopNest::AddLoops(Span<const uint8_t> order) {
  for (size_t j = out_rank_; j-- > 0;) {
    const size_t d = order.empty() ? j : order[j];
    numel_ *= static_cast<size_t>(out_size_[d]);
    if (out_size_[d] == 1) continue;
    dim_[rank_] = static_cast<uint8_t>(d);
    size_[rank_++] = out_size_[d];
  }
}

void LoopNest::AddOperand(const int64_t* strides) {
  for (size_t l = 0; l < rank_; ++l) stride_[operands_][l] = strides[dim_[l]];
  ++operands_;
}

Error LoopNest::AddBroadcast(Span<const int32_t> sizes, const int64_t* strides) {
  RL_CHECK(sizes.size() <= out_rank_, Reason::kOutputRank, Error::kNone,
           static_cast<int64_t>(out_rank_), static_cast<int64_t>(sizes.size()));
  int64_t stretched[kMaxRank] = {};
  const size_t skip = out_rank_ - sizes.size();
  for (size_t d = 0; d < sizes.size(); ++d) {
    RL_CHECK(sizes[d] == 1 || sizes[d] == out_size_[skip + d], Reason::kBroadcast, Error::kNone,
             sizes[d], out_size_[skip + d]);
    stretched[skip + d] = sizes[d] == 1 ? 0 : strides[d];
  }
  AddOperand(stretched);
  return kOk;
}

void LoopNest::Finish() {
  if (rank_ == 0) {  // one element
    size_[0] = 1;
    for (size_t o = 0; o < operands_; ++o) stride_[o][0] = 1;
    rank_ = 1;
    return;
  }
  size_t last = 0;
  for (size_t l = 1; l < rank_; ++l) {
    bool continues = true;
    for (size_t o = 0; o < operands_; ++o) {
      continues &= stride_[o][l] == stride_[o][last] * size_[last];
    }
    if (continues) {
      size_[last] *= size_[l];
      continue;
    }
    ++last;
    size_[last] = size_[l];
    for (size_t o = 0; o < operands_; ++o) stride_[o][last] = stride_[o][l];
  }
  rank_ = last + 1;
}

void LoopNest::Locate(size_t position, int64_t* index, int64_t* offset) const {
  auto left = static_cast<int64_t>(position);
  for (size_t l = 0; l < rank_; ++l) {
    const int64_t size = size_[l] > 0 ? size_[l] : 1;
    index[l] = left % size;
    left /= size;
    for (size_t o = 0; o < operands_; ++o) offset[o] += index[l] * stride_[o][l];
  }
}

void LoopNest::Advance(int64_t n, int64_t* index, int64_t* offset) const {
  index[0] += n;
  for (size_t o = 0; o < operands_; ++o) offset[o] += n * stride_[o][0];
  for (size_t l = 0; index[l] == size_[l] && l + 1 < rank_; ++l) {
    index[l] = 0;
    ++index[l + 1];
    for (size_t o = 0; o < operands_; ++o) {
      offset[o] += stride_[o][l + 1] - size_[l] * stride_[o][l];
    }
  }
}

}  // namespace rushlight::ops
