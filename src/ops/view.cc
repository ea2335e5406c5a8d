// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/ops/view.h"

#include "src/ops/shapes.h"

namespace rushlight::ops {
namespace {

// A list of dimensions as a set of bits, or an error where one of them repeats.
Error DimSet(Span<const int64_t> dims, size_t rank, uint32_t* set) {
  *set = 0;
  for (const int64_t dim : dims) {
    size_t d = 0;
    RL_RETURN_IF_ERROR(NormalizeDim(dim, rank, &d));
    RL_CHECK((*set >> d & 1) == 0, Reason::kArgumentValue, Error::kNone, dim);
    *set |= uint32_t{1} << d;
  }
  return kOk;
}

template <class T>
void Swap(T& a, T& b) {
  const T old = a;
  a = b;
  b = old;
}

}  // namespace

bool View::empty() const {
  for (size_t d = 0; d < rank; ++d) {
    if (sizes[d] == 0) return true;
  }
  return false;
}

View ViewOf(const Tensor& tensor) {
  View v{
      static_cast<uint8_t*>(tensor.raw()), ElementSize(tensor.dtype()), 0, tensor.rank(), {}, {}};
  for (size_t d = 0; d < v.rank; ++d) v.sizes[d] = tensor.size(d);
  // Strides of nothing are of no use, and products with them could overflow.
  if (!v.empty()) ComputeStrides(tensor, v.strides);
  return v;
}

void Cut(View& v, size_t d, int64_t start, int64_t length) {
  v.offset += start * v.strides[d];
  v.sizes[d] = length;
}

void Insert(View& v, size_t d, int64_t size, int64_t stride) {
  for (size_t i = v.rank++; i > d; --i) {
    v.sizes[i] = v.sizes[i - 1];
    v.strides[i] = v.strides[i - 1];
  }
  v.sizes[d] = size;
  v.strides[d] = stride;
}

void Drop(View& v, size_t d) {
  for (size_t i = d + 1; i < v.rank; ++i) {
    v.sizes[i - 1] = v.sizes[i];
    v.strides[i - 1] = v.strides[i];
  }
  --v.rank;
}

Error CheckNumel(const View& v) {
  size_t numel = 1;
  for (size_t d = 0; d < v.rank; ++d) {
    RL_CHECK(!__builtin_mul_overflow(numel, static_cast<size_t>(v.sizes[d]), &numel),
             Reason::kArgumentSize, Error::kNone, v.sizes[d]);
  }
  return kOk;
}

Error CheckSameSizes(const View& v, const View& expected, size_t argument) {
  if (v.rank != expected.rank) {
    return Error(Reason::kArgumentRank, Error::kNone, static_cast<int64_t>(v.rank),
                 static_cast<int64_t>(expected.rank))
        .WithArgument(argument);
  }
  for (size_t d = 0; d < v.rank; ++d) {
    if (v.sizes[d] != expected.sizes[d]) {
      return Error(Reason::kArgumentSize, Error::kNone, v.sizes[d], expected.sizes[d])
          .WithArgument(argument);
    }
  }
  return kOk;
}

Error Slice(View& v, int64_t dim, std::optional<int64_t> start, std::optional<int64_t> end,
            int64_t step) {
  RL_CHECK(v.rank > 0, Reason::kArgumentRank, Error::kNone, 0, 1);
  RL_CHECK(step > 0, Reason::kArgumentValue, Error::kNone, step, 1);
  size_t d = 0;
  RL_RETURN_IF_ERROR(NormalizeDim(dim, v.rank, &d));
  const int64_t size = v.sizes[d];
  const auto clamp = [size](int64_t i) {
    if (i < 0) i += size;
    return i < 0 ? 0 : i > size ? size : i;
  };
  const int64_t first = clamp(start.value_or(0));
  const int64_t last = clamp(end.value_or(INT64_MAX));
  const int64_t length = first < last ? (last - first - 1) / step + 1 : 0;
  Cut(v, d, first, length);
  if (length > 1) v.strides[d] *= step;
  return kOk;
}

Error Narrow(View& v, int64_t dim, int64_t start, int64_t length) {
  RL_CHECK(v.rank > 0, Reason::kArgumentRank, Error::kNone, 0, 1);
  size_t d = 0;
  RL_RETURN_IF_ERROR(NormalizeDim(dim, v.rank, &d));
  const int64_t size = v.sizes[d];
  RL_CHECK(start >= -size && start <= size, Reason::kArgumentValue, Error::kNone, start, size);
  if (start < 0) start += size;
  RL_CHECK(length >= 0 && length <= size - start, Reason::kArgumentValue, Error::kNone, length,
           size - start);
  Cut(v, d, start, length);
  return kOk;
}

Error Select(View& v, int64_t dim, int64_t index) {
  RL_CHECK(v.rank > 0, Reason::kArgumentRank, Error::kNone, 0, 1);
  size_t d = 0;
  RL_RETURN_IF_ERROR(NormalizeDim(dim, v.rank, &d));
  const int64_t size = v.sizes[d];
  RL_CHECK(index >= -size && index < size, Reason::kIndexOutOfRange, Error::kNone, index, size);
  Cut(v, d, index < 0 ? index + size : index, 1);
  Drop(v, d);
  return kOk;
}

Error Permute(View& v, Span<const int64_t> dims) {
  RL_CHECK(dims.size() == v.rank, Reason::kArgumentValue, Error::kNone,
           static_cast<int64_t>(dims.size()), static_cast<int64_t>(v.rank));
  uint32_t set = 0;
  RL_RETURN_IF_ERROR(DimSet(dims, v.rank, &set));
  const View old = v;
  for (size_t j = 0; j < v.rank; ++j) {
    size_t d = 0;
    RL_RETURN_IF_ERROR(NormalizeDim(dims[j], v.rank, &d));
    v.sizes[j] = old.sizes[d];
    v.strides[j] = old.strides[d];
  }
  return kOk;
}

Error Transpose(View& v, int64_t dim0, int64_t dim1) {
  size_t a = 0;
  size_t b = 0;
  RL_RETURN_IF_ERROR(NormalizeDim(dim0, v.rank, &a));
  RL_RETURN_IF_ERROR(NormalizeDim(dim1, v.rank, &b));
  Swap(v.sizes[a], v.sizes[b]);
  Swap(v.strides[a], v.strides[b]);
  return kOk;
}

Error TransposeMatrix(View& v) {
  RL_CHECK(v.rank <= 2, Reason::kArgumentRank, Error::kNone, static_cast<int64_t>(v.rank), 2);
  return v.rank < 2 ? kOk : Transpose(v, 0, 1);
}

Error Expand(View& v, Span<const int64_t> size) {
  RL_CHECK(size.size() >= v.rank && size.size() <= kMaxRank, Reason::kArgumentValue, Error::kNone,
           static_cast<int64_t>(size.size()), static_cast<int64_t>(v.rank));
  const size_t added = size.size() - v.rank;
  for (size_t d = 0; d < size.size(); ++d) {
    if (d < added) Insert(v, d, 1, 0);
    if (size[d] == v.sizes[d] || (size[d] == -1 && d >= added)) continue;
    RL_CHECK(v.sizes[d] == 1 && size[d] >= 0, Reason::kBroadcast, Error::kNone, v.sizes[d],
             size[d]);
    v.sizes[d] = size[d];
    v.strides[d] = 0;
  }
  return kOk;
}

Error Unsqueeze(View& v, int64_t dim) {
  RL_CHECK(v.rank < kMaxRank, Reason::kTooManyDimensions, Error::kNone,
           static_cast<int64_t>(v.rank + 1), kMaxRank);
  size_t d = 0;
  RL_RETURN_IF_ERROR(NormalizeDim(dim, v.rank + 1, &d));
  Insert(v, d, 1, 0);
  return kOk;
}

Error Squeeze(View& v) {
  for (size_t d = v.rank; d-- > 0;) {
    if (v.sizes[d] == 1) Drop(v, d);
  }
  return kOk;
}

Error SqueezeDim(View& v, int64_t dim) { return SqueezeDims(v, {&dim, 1}); }

Error SqueezeDims(View& v, Span<const int64_t> dims) {
  uint32_t set = 0;
  RL_RETURN_IF_ERROR(DimSet(dims, v.rank, &set));
  for (size_t d = v.rank; d-- > 0;) {
    if ((set >> d & 1) != 0 && v.sizes[d] == 1) Drop(v, d);
  }
  return kOk;
}

Error Diagonal(View& v, int64_t offset, int64_t dim1, int64_t dim2) {
  size_t a = 0;
  size_t b = 0;
  RL_RETURN_IF_ERROR(NormalizeDim(dim1, v.rank, &a));
  RL_RETURN_IF_ERROR(NormalizeDim(dim2, v.rank, &b));
  RL_CHECK(a != b, Reason::kArgumentValue, Error::kNone, dim1, dim2);
  // Start `offset` to the right, or -offset down; beyond the edge nothing is left.
  const size_t moved = offset >= 0 ? b : a;
  const int64_t size = v.sizes[moved];
  const int64_t start = offset <= -size || offset >= size ? size : offset < 0 ? -offset : offset;
  Cut(v, moved, start, size - start);
  const int64_t length = v.sizes[a] < v.sizes[b] ? v.sizes[a] : v.sizes[b];
  const int64_t stride = v.strides[a] + v.strides[b];
  Drop(v, a > b ? a : b);
  Drop(v, a > b ? b : a);
  Insert(v, v.rank, length, stride);
  return kOk;
}

Error Unfold(View& v, int64_t dim, int64_t size, int64_t step) {
  RL_CHECK(v.rank < kMaxRank, Reason::kTooManyDimensions, Error::kNone,
           static_cast<int64_t>(v.rank + 1), kMaxRank);
  size_t d = 0;
  RL_RETURN_IF_ERROR(NormalizeDim(dim, v.rank, &d));
  const int64_t whole = v.rank == 0 ? 1 : v.sizes[d];
  const int64_t stride = v.rank == 0 ? 1 : v.strides[d];
  RL_CHECK(size >= 0 && size <= whole, Reason::kArgumentValue, Error::kNone, size, whole);
  RL_CHECK(step > 0, Reason::kArgumentValue, Error::kNone, step, 1);
  if (v.rank > 0) {
    v.sizes[d] = (whole - size) / step + 1;
    if (v.sizes[d] > 1) v.strides[d] *= step;
  }
  Insert(v, v.rank, size, stride);
  return kOk;
}

Error Flip(View& v, Span<const int64_t> dims) {
  uint32_t set = 0;
  RL_RETURN_IF_ERROR(DimSet(dims, v.rank, &set));
  for (size_t d = 0; d < v.rank; ++d) {
    if ((set >> d & 1) == 0 || v.sizes[d] == 0) continue;
    v.offset += (v.sizes[d] - 1) * v.strides[d];
    v.strides[d] = -v.strides[d];
  }
  return kOk;
}

Error AsStrided(View& v, Span<const int64_t> size, Span<const int64_t> stride,
                std::optional<int64_t> storage_offset) {
  RL_CHECK(size.size() == stride.size() && size.size() <= kMaxRank, Reason::kArgumentValue,
           Error::kNone, static_cast<int64_t>(stride.size()), static_cast<int64_t>(size.size()));
  size_t numel = 1;
  for (size_t d = 0; d < v.rank; ++d) numel *= static_cast<size_t>(v.sizes[d]);
  const auto elements = static_cast<int64_t>(numel);
  const int64_t offset = storage_offset.value_or(0);
  RL_CHECK(offset >= 0, Reason::kArgumentValue, Error::kNone, offset, elements);
  v.offset = offset;
  v.rank = size.size();
  for (size_t d = 0; d < v.rank; ++d) {
    RL_CHECK(size[d] >= 0, Reason::kArgumentSize, Error::kNone, size[d]);
    RL_CHECK(stride[d] >= 0, Reason::kArgumentValue, Error::kNone, stride[d]);
    v.sizes[d] = size[d];
    v.strides[d] = stride[d];
  }
  if (v.empty()) return kOk;
  int64_t furthest = offset;
  for (size_t d = 0; d < v.rank; ++d) {
    int64_t reach = 0;
    RL_CHECK(!__builtin_mul_overflow(size[d] - 1, stride[d], &reach) &&
                 !__builtin_add_overflow(furthest, reach, &furthest),
             Reason::kArgumentValue, Error::kNone, stride[d], elements);
  }
  RL_CHECK(furthest < elements, Reason::kArgumentValue, Error::kNone, furthest, elements);
  return kOk;
}

}  // namespace rushlight::ops
