// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// View: elements of a tensor's memory at regular distances, as PyTorch's views are.
//
// Tensors of a program are dense, so every view of one is in the end a copy.  What a view shows is
// said once, here; operators copy out of it (slice_copy, permute_copy, ...) or into it
// (slice_scatter, cat, ...):
//
//   View from = ViewOf(self);
//   RL_RETURN_IF_ERROR(Permute(from, dims));
//   return CopyTo(c.context, out, from);       // copy.h
//
// The functions take the arguments of the operator of their name, unchecked, and leave a view
// whose elements all lie in the tensor's memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "rushlight/error.h"
#include "rushlight/span.h"
#include "rushlight/tensor.h"

namespace rushlight::ops {

// Element (i0, i1, ...) is number  offset + sum(i_d * strides[d])  of the memory.  Strides may be
// zero or negative; those of an empty tensor are zero.
struct View {
  uint8_t* data;
  size_t element_size;
  int64_t offset;
  size_t rank;
  int64_t sizes[kMaxRank];
  int64_t strides[kMaxRank];

  Span<const int64_t> shape() const { return {sizes, rank}; }
  bool empty() const;
  // The address of the element that lies `element` elements from the first one.
  uint8_t* at(int64_t element) const {
    return data + (offset + element) * static_cast<int64_t>(element_size);
  }
};

View ViewOf(const Tensor& tensor);

// Keeps `length` indices from `start` of dimension d.
// Requires: 0 <= start, 0 <= length, start + length <= sizes[d].
void Cut(View& v, size_t d, int64_t start, int64_t length);
// Adds dimension d in front of what was d.  Requires: d <= rank < kMaxRank.
void Insert(View& v, size_t d, int64_t size, int64_t stride);
// Drops dimension d, whose index is 0.  Requires: d < rank.
void Drop(View& v, size_t d);
// Fails where the product of sizes does not fit size_t.
Error CheckNumel(const View& v);
// Fails unless the sizes are equal.
Error CheckSameSizes(const View& v, const View& expected, size_t argument);

Error Slice(View& v, int64_t dim, std::optional<int64_t> start, std::optional<int64_t> end,
            int64_t step);
Error Narrow(View& v, int64_t dim, int64_t start, int64_t length);
Error Select(View& v, int64_t dim, int64_t index);
Error Permute(View& v, Span<const int64_t> dims);
Error Transpose(View& v, int64_t dim0, int64_t dim1);
Error TransposeMatrix(View& v);  // aten::t
Error Expand(View& v, Span<const int64_t> size);
Error Unsqueeze(View& v, int64_t dim);
Error Squeeze(View& v);
Error SqueezeDim(View& v, int64_t dim);
Error SqueezeDims(View& v, Span<const int64_t> dims);
Error Diagonal(View& v, int64_t offset, int64_t dim1, int64_t dim2);
Error Unfold(View& v, int64_t dim, int64_t size, int64_t step);
Error Flip(View& v, Span<const int64_t> dims);
// Requires: a view of a whole tensor.
Error AsStrided(View& v, Span<const int64_t> size, Span<const int64_t> stride,
                std::optional<int64_t> storage_offset);

}  // namespace rushlight::ops
