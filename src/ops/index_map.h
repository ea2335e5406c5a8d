// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Reading and writing tensors through index tensors: the common part of index, index_put, gather,
// scatter, embedding and their like.
//
// An operator describes an IndexedView, whose elements lie where a view and some index tensors say,
// and moves them from or to a plain view of the same sizes with an IndexMap:
//
//   IndexedView rows(ViewOf(weight));
//   RL_RETURN_IF_ERROR(IndexDim(rows, 0, ViewOf(indices)));
//   RL_RETURN_IF_ERROR(ResizeAs(out, rows.view));
//   RL_RETURN_IF_ERROR(CheckIndex(indices, 0, weight.size(0), out, 1));
//   return Gather(c.context, out, rows);
#pragma once

#include <cstddef>
#include <cstdint>

#include "rushlight/op.h"
#include "src/kernels/copy/index.h"
#include "src/ops/loop_nest.h"
#include "src/ops/view.h"

namespace rushlight::ops {

inline constexpr size_t kMaxIndices = kMaxNestOperands - 2;

// Element (i0, i1, ...) is number  view.offset + sum(i_d * view.strides[d]) + sum(v_k * step_k)  of
// the memory, where  v_k = index_k[sum(i_d * strides_k[d])].
struct IndexedView {
  struct Index {
    const void* data;
    size_t element_size;  // 4 or 8
    int64_t size;         // of the dimension: added to negative indices
    int64_t step;
    int64_t strides[kMaxRank];
  };

  IndexedView() = default;
  explicit IndexedView(const View& v) : view(v) {}

  View view{};
  size_t count = 0;
  Index indices[kMaxIndices];
};

// int32 or int64.
Error CheckIndexDType(const Tensor& index, size_t argument);
// Each index is in [low, size), and writing to `written`, which has its final sizes, cannot change
// that.  Gather and Scatter rely on it.
Error CheckIndex(const Tensor& index, int64_t low, int64_t size, const Tensor& written,
                 size_t argument);

// Puts the dimensions of `index` in the place of dimension d, of which it picks indices.
Error IndexDim(IndexedView& x, size_t d, const View& index);
// Takes the sizes of `index`, which picks an index of dimension d for each of its elements; the
// view's other sizes must not be smaller.
Error IndexAlong(IndexedView& x, size_t d, const View& index, size_t argument);
// A tensor without dimensions counts as a vector of one element in both.
View AtLeastVector(const Tensor& tensor);

// The sizes of `v` are at most those of `limit`, but for dimension `except`.
Error CheckWithin(const View& v, const View& limit, size_t except, size_t argument);

// The places of an IndexedView's elements beside those of a plain view of the same sizes.
// Requires: none of the sizes is 0, and their product fits size_t.
class IndexMap {
 public:
  IndexMap(const IndexedView& indexed, const View& plain, Span<const uint8_t> order = {});

  size_t numel() const { return nest_.numel(); }
  int64_t plain_stride() const { return nest_.inner_stride(kPlain); }
  int64_t indexed_stride() const { return nest_.inner_stride(kIndexed); }

  // True where neighbours are indexed_stride() apart, since the indices do not change between them.
  bool uniform() const;
  // Calls run(plain, place, n) for runs of neighbours.  Requires: uniform().
  template <class F>
  void ForEachRun(size_t begin, size_t end, F run) const {
    nest_.ForEachRun(begin, end, [&](size_t, const int64_t* offsets, size_t n) {
      int64_t place;
      FindPlaces(offsets, 0, 1, &place);
      run(offsets[kPlain], place, n);
    });
  }

  // Calls run(plain, places, n) with a place for each of n elements, kBlock at most.
  static constexpr size_t kBlock = 64;
  template <class F>
  void ForEachBlock(size_t begin, size_t end, F run) const {
    nest_.ForEachRun(begin, end, [&](size_t, const int64_t* offsets, size_t n) {
      int64_t places[kBlock];
      for (size_t done = 0; done < n; done += kBlock) {
        const size_t m = n - done < kBlock ? n - done : kBlock;
        FindPlaces(offsets, done, m, places);
        run(offsets[kPlain] + static_cast<int64_t>(done) * plain_stride(), places, m);
      }
    });
  }

 private:
  // Operands of the nest; the indices follow.
  static constexpr size_t kPlain = 0;
  static constexpr size_t kIndexed = 1;
  static constexpr size_t kFirstIndex = 2;

  void FindPlaces(const int64_t* offsets, size_t begin, size_t n, int64_t* places) const;

  const IndexedView& indexed_;
  LoopNest nest_;
};

// out = from, in parallel.  Requires: equal sizes.
Error Gather(Context& context, Tensor& out, const IndexedView& from);
// into = from, one after another in the order of indices, so that of equal places the last wins.
Error Scatter(Context& context, const IndexedView& into, const View& from);

}  // namespace rushlight::ops
