// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/tensor.h"

namespace rushlight {

bool CheckedNumel(Span<const int32_t> sizes, size_t* numel) {
  size_t n = 1;
  for (const int32_t size : sizes) {
    if (size < 0) return false;
    if (__builtin_mul_overflow(n, static_cast<size_t>(size), &n)) return false;
  }
  *numel = n;
  return true;
}

Tensor::Tensor(DType dtype, void* data, Span<int32_t> sizes, const uint8_t* dim_order)
    : data_(data),
      sizes_(sizes.data()),
      dim_order_(dim_order),
      rank_(static_cast<uint8_t>(sizes.size())),
      dtype_(dtype) {
  if (!CheckedNumel(sizes, &capacity_)) capacity_ = 0;
}

size_t Tensor::numel() const {
  size_t n = 1;
  for (size_t d = 0; d < rank_; ++d) n *= static_cast<size_t>(sizes_[d]);
  return n;
}

Error Tensor::Resize(Span<const int32_t> sizes) {
  RL_CHECK(sizes.size() == rank_, Reason::kOutputRank, Error::kNone,
           static_cast<int64_t>(sizes.size()), rank_);
  for (size_t d = 0; d < rank_; ++d) {
    RL_CHECK(dynamic_ || sizes[d] == sizes_[d], Reason::kOutputShape, Error::kNone, sizes[d],
             sizes_[d], d);
  }
  size_t n = 0;
  RL_CHECK(CheckedNumel(sizes, &n), Reason::kArgumentSize);
  RL_CHECK(n <= capacity_, Reason::kOutputTooSmall, Error::kNone, static_cast<int64_t>(n),
           static_cast<int64_t>(capacity_));
  if (dynamic_) {  // the sizes of a static tensor may lie in read-only memory
    for (size_t d = 0; d < rank_; ++d) sizes_[d] = sizes[d];
  }
  return kOk;
}

bool Tensor::IsContiguous() const {
  if (dim_order_ == nullptr) return true;
  int last = -1;
  for (size_t j = 0; j < rank_; ++j) {
    const int d = dim_order_[j];
    if (sizes_[d] == 1) continue;
    if (d < last) return false;
    last = d;
  }
  return true;
}

void ComputeStrides(const Tensor& tensor, int64_t* strides) {
  const Span<const uint8_t> order = tensor.dim_order();
  uint64_t stride = 1;  // wraps around in an empty tensor of huge sizes, where nothing is strided
  for (size_t j = tensor.rank(); j-- > 0;) {
    const size_t d = order.empty() ? j : order[j];
    strides[d] = static_cast<int64_t>(stride);
    stride *= tensor.size(d) > 0 ? static_cast<uint64_t>(tensor.size(d)) : 1;
  }
}

bool SameDimOrder(const Tensor& a, const Tensor& b) {
  if (a.IsContiguous() && b.IsContiguous()) return true;
  int64_t sa[kMaxRank];
  int64_t sb[kMaxRank];
  ComputeStrides(a, sa);
  ComputeStrides(b, sb);
  for (size_t d = 0; d < a.rank(); ++d) {
    if (a.size(d) != 1 && sa[d] != sb[d]) return false;
  }
  return true;
}

bool Overlap(const Tensor& a, const Tensor& b) {
  const auto begin_a = reinterpret_cast<uintptr_t>(a.raw());
  const auto begin_b = reinterpret_cast<uintptr_t>(b.raw());
  return begin_a < begin_b + b.nbytes() && begin_b < begin_a + a.nbytes();
}

}  // namespace rushlight
