// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/ops/index_list.h"

#include "src/ops/elementwise.h"  // Broadcast
#include "src/ops/mask.h"
#include "src/ops/shapes.h"

namespace rushlight::ops {
namespace {

bool IsMask(const Tensor& t) { return t.dtype() == DType::kBool || t.dtype() == DType::kUInt8; }

// The places that a mask selects, as if it were a vector of indices: their distances in the
// memory of the dimensions that it covers.
Error FindTrue(RunContext& c, const Tensor& mask, const View& self, size_t d, size_t argument,
               Span<const int64_t>* places) {
  for (size_t j = 0; j < mask.rank(); ++j) {
    if (mask.size(j) != self.sizes[d + j]) {
      return Error(Reason::kArgumentSize, Error::kNone, mask.size(j), self.sizes[d + j])
          .WithArgument(argument);
    }
  }
  const size_t numel = mask.numel();
  size_t bytes = 0;
  RL_CHECK(!__builtin_mul_overflow(numel, sizeof(int64_t), &bytes), Reason::kArgumentSize);
  auto* const list = static_cast<int64_t*>(c.context.scratch.Allocate(bytes, alignof(int64_t)));
  RL_CHECK(list != nullptr, Reason::kScratchArena, Error::kNone, static_cast<int64_t>(bytes));
  size_t count = 0;
  RL_RETURN_IF_ERROR(ForEachTrue(c.context, ViewOf(mask), Conversion(), self.strides + d,
                                 [&](size_t, int64_t offset) { list[count++] = offset; }));
  *places = {list, count};
  return kOk;
}

}  // namespace

Error CheckIndexList(OptionalTensors indices, size_t argument, size_t* scratch) {
  size_t count = 0;
  for (const Tensor* t : indices.tensors) {
    if (t == nullptr) continue;
    ++count;
    if (!IsMask(*t)) {
      RL_RETURN_IF_ERROR(CheckIndexDType(*t, argument));
      continue;
    }
    size_t bytes = 0;  // with room to align
    RL_CHECK(!__builtin_mul_overflow(t->numel() + 1, sizeof(int64_t), &bytes) &&
                 !__builtin_add_overflow(*scratch, bytes, scratch),
             Reason::kArgumentSize);
  }
  RL_CHECK(count <= kMaxIndices, Reason::kUnsupported, Error::kNone, static_cast<int64_t>(count),
           kMaxIndices);
  return kOk;
}

Error SelectIndices(RunContext& c, OptionalTensors indices, size_t argument, IndexedView& x) {
  const View self = x.view;
  Shape common;               // of the index tensors
  size_t ranks[kMaxIndices];  // of each of them
  bool covered[kMaxRank] = {};
  size_t front = 0;   // unindexed dimensions before the first indexed one
  size_t groups = 0;  // of neighbouring indexed dimensions
  size_t d = 0;
  bool last_indexed = false;
  for (const Tensor* t : indices.tensors) {
    const bool mask = t != nullptr && IsMask(*t);
    const size_t covers = mask ? t->rank() : 1;
    RL_CHECK(covers > 0 && covers <= self.rank - d, Reason::kArgumentRank, Error::kNone,
             static_cast<int64_t>(covers), static_cast<int64_t>(self.rank - d));
    if (t == nullptr) {
      if (groups == 0) ++front;
      last_indexed = false;
      ++d;
      continue;
    }
    RL_CHECK(x.count < kMaxIndices, Reason::kUnsupported, Error::kNone,
             static_cast<int64_t>(x.count + 1), kMaxIndices);
    IndexedView::Index& entry = x.indices[x.count];
    if (mask) {
      Span<const int64_t> places;
      RL_RETURN_IF_ERROR(FindTrue(c, *t, self, d, argument, &places));
      const auto count = static_cast<int64_t>(places.size());
      int32_t size = 0;
      RL_RETURN_IF_ERROR(NarrowSizes({&count, 1}, &size));
      RL_RETURN_IF_ERROR(Broadcast({&size, 1}, &common));
      entry = {places.data(), sizeof(int64_t), 0, 1, {size == 1 ? 0 : 1}};
      ranks[x.count++] = 1;
    } else {
      RL_RETURN_IF_ERROR(Broadcast(t->sizes(), &common));
      entry = {t->raw(), ElementSize(t->dtype()), self.sizes[d], self.strides[d], {}};
      ComputeStrides(*t, entry.strides);
      for (size_t j = 0; j < t->rank(); ++j) entry.strides[j] *= t->size(j) == 1 ? 0 : 1;
      ranks[x.count++] = t->rank();
    }
    if (!last_indexed) ++groups;
    last_indexed = true;
    for (size_t j = 0; j < covers; ++j) covered[d++] = true;
  }
  if (groups > 1) front = 0;

  size_t kept = 0;
  for (size_t i = 0; i < self.rank; ++i) kept += covered[i] ? 0 : 1;
  RL_CHECK(kept + common.rank <= kMaxRank, Reason::kTooManyDimensions, Error::kNone,
           static_cast<int64_t>(kept + common.rank), kMaxRank);
  for (size_t i = self.rank; i-- > 0;) {
    if (covered[i]) Drop(x.view, i);
  }
  for (size_t j = 0; j < common.rank; ++j) Insert(x.view, front + j, common.sizes[j], 0);
  for (size_t k = 0; k < x.count; ++k) {  // strides move to where the dimensions stand
    const size_t skip = front + common.rank - ranks[k];
    int64_t* const strides = x.indices[k].strides;
    for (size_t j = skip + ranks[k]; j-- > 0;) strides[j] = j < skip ? 0 : strides[j - skip];
  }
  return kOk;
}

Error CheckIndices(OptionalTensors indices, size_t argument, const View& self,
                   const Tensor& written) {
  size_t d = 0;
  for (const Tensor* t : indices.tensors) {
    if (t != nullptr && IsMask(*t)) {
      d += t->rank();
      continue;
    }
    if (t != nullptr) {
      RL_RETURN_IF_ERROR(CheckIndex(*t, -self.sizes[d], self.sizes[d], written, argument));
    }
    ++d;
  }
  return kOk;
}

}  // namespace rushlight::ops
