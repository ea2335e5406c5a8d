// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/ops/index_map.h"

#include "src/kernels/copy/copy.h"
#include "src/ops/copy.h"

namespace rushlight::ops {
Error CheckIndexDType(const Tensor& index, size_t argument) {
  if (index.dtype() == DType::kInt64 || index.dtype() == DType::kInt32) return kOk;
  return Error(Reason::kArgumentDType, Error::kNone, static_cast<int64_t>(index.dtype()),
               static_cast<int64_t>(DType::kInt64))
      .WithArgument(argument);
}

Error CheckIndex(const Tensor& index, int64_t low, int64_t size, const Tensor& written,
                 size_t argument) {
  RL_RETURN_IF_ERROR(CheckIndexDType(index, argument));
  if (index.numel() == 0) return kOk;
  if (Overlap(index, written)) return Error(Reason::kArgumentOverlap).WithArgument(argument);
  const kernels::IndexRange range =
      kernels::FindRange(index.raw(), ElementSize(index.dtype()), index.numel());
  if (range.least >= low && range.greatest < size) return kOk;
  const int64_t wrong = range.least < low ? range.least : range.greatest;
  return Error(Reason::kIndexOutOfRange, Error::kNone, wrong, size).WithArgument(argument);
}

Error IndexDim(IndexedView& x, size_t d, const View& index) {
  RL_CHECK(x.view.rank - 1 + index.rank <= kMaxRank, Reason::kTooManyDimensions, Error::kNone,
           static_cast<int64_t>(x.view.rank - 1 + index.rank), kMaxRank);
  IndexedView::Index& entry = x.indices[x.count++];
  entry = {index.at(0), index.element_size, x.view.sizes[d], x.view.strides[d], {}};
  Drop(x.view, d);
  for (size_t j = 0; j < index.rank; ++j) {
    Insert(x.view, d + j, index.sizes[j], 0);
    entry.strides[d + j] = index.strides[j];
  }
  return kOk;
}

Error IndexAlong(IndexedView& x, size_t d, const View& index, size_t argument) {
  RL_RETURN_IF_ERROR(CheckWithin(index, x.view, d, argument));
  IndexedView::Index& entry = x.indices[x.count++];
  entry = {index.at(0), index.element_size, x.view.sizes[d], x.view.strides[d], {}};
  x.view.strides[d] = 0;
  for (size_t j = 0; j < index.rank; ++j) {
    x.view.sizes[j] = index.sizes[j];
    entry.strides[j] = index.strides[j];
  }
  return kOk;
}

View AtLeastVector(const Tensor& tensor) {
  View v = ViewOf(tensor);
  if (v.rank == 0) Insert(v, 0, 1, 1);
  return v;
}

Error CheckWithin(const View& v, const View& limit, size_t except, size_t argument) {
  if (v.rank != limit.rank) {
    return Error(Reason::kArgumentRank, Error::kNone, static_cast<int64_t>(v.rank),
                 static_cast<int64_t>(limit.rank))
        .WithArgument(argument);
  }
  for (size_t d = 0; d < v.rank; ++d) {
    if (d != except && v.sizes[d] > limit.sizes[d]) {
      return Error(Reason::kArgumentSize, Error::kNone, v.sizes[d], limit.sizes[d])
          .WithArgument(argument);
    }
  }
  return kOk;
}

IndexMap::IndexMap(const IndexedView& indexed, const View& plain, Span<const uint8_t> order)
    : indexed_(indexed), nest_(indexed.view.shape(), order) {
  nest_.AddOperand(plain.strides);
  nest_.AddOperand(indexed.view.strides);
  for (size_t k = 0; k < indexed.count; ++k) nest_.AddOperand(indexed.indices[k].strides);
  nest_.Finish();
}

bool IndexMap::uniform() const {
  for (size_t k = 0; k < indexed_.count; ++k) {
    if (nest_.inner_stride(kFirstIndex + k) != 0) return false;
  }
  return true;
}

void IndexMap::FindPlaces(const int64_t* offsets, size_t begin, size_t n, int64_t* places) const {
  const auto first = static_cast<int64_t>(begin);
  for (size_t i = 0; i < n; ++i) {
    places[i] = offsets[kIndexed] + (first + static_cast<int64_t>(i)) * indexed_stride();
  }
  for (size_t k = 0; k < indexed_.count; ++k) {
    const IndexedView::Index& index = indexed_.indices[k];
    const int64_t stride = nest_.inner_stride(kFirstIndex + k);
    const int64_t at = offsets[kFirstIndex + k] + first * stride;
    kernels::AddPlaces(
        {places,
         static_cast<const uint8_t*>(index.data) + at * static_cast<int64_t>(index.element_size),
         index.element_size, n, stride, index.size, index.step});
  }
}

Error Gather(Context& context, Tensor& out, const IndexedView& from) {
  const View to = ViewOf(out);
  if (to.empty()) return kOk;
  const IndexMap map(from, to, out.dim_order());
  const size_t size = to.element_size;
  return context.ParallelFor(map.numel(), CopyGrain(size), [&](size_t begin, size_t end) {
    if (map.uniform()) {
      map.ForEachRun(begin, end, [&](int64_t plain, int64_t place, size_t n) {
        kernels::CopyRun(to.at(plain), map.plain_stride(), from.view.at(place),
                         map.indexed_stride(), n, size);
      });
    } else {
      map.ForEachBlock(begin, end, [&](int64_t plain, const int64_t* places, size_t n) {
        kernels::GatherPlaces(to.at(plain), map.plain_stride(), from.view.at(0), places, n, size);
      });
    }
  });
}

Error Scatter(Context& context, const IndexedView& into, const View& from) {
  if (from.empty()) return kOk;
  const IndexMap map(into, from);
  const size_t size = from.element_size;
  return Serial(context).ParallelFor(map.numel(), CopyGrain(size), [&](size_t begin, size_t end) {
    if (map.uniform()) {
      map.ForEachRun(begin, end, [&](int64_t plain, int64_t place, size_t n) {
        kernels::CopyRun(into.view.at(place), map.indexed_stride(), from.at(plain),
                         map.plain_stride(), n, size);
      });
    } else {
      map.ForEachBlock(begin, end, [&](int64_t plain, const int64_t* places, size_t n) {
        kernels::ScatterPlaces(into.view.at(0), places, from.at(plain), map.plain_stride(), n,
                               size);
      });
    }
  });
}

}  // namespace rushlight::ops
