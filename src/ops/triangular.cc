// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The lower or upper triangle of matrices; zeros elsewhere.

#include "src/kernels/copy/copy.h"
#include "src/ops/copy.h"
#include "src/ops/loop_nest.h"
#include "src/ops/shapes.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

Error PrepareTriangle(PrepareContext&, const Tensor& self, int64_t, Tensor& out) {
  RL_CHECK(self.rank() >= 2, Reason::kArgumentRank, Error::kNone, static_cast<int64_t>(self.rank()),
           2);
  return CheckDType(out, self.dtype(), 2);
}

template <bool kUpper>
Error RunTriangle(RunContext& c, const Tensor& self, int64_t diagonal, Tensor& out) {
  const View from = ViewOf(self);
  RL_RETURN_IF_ERROR(ResizeAs(out, from));
  if (from.empty()) return kOk;
  const View to = ViewOf(out);
  const size_t last = to.rank - 1;
  const int64_t rows = to.sizes[last - 1];
  const int64_t columns = to.sizes[last];
  if (diagonal < -rows) diagonal = -rows;
  if (diagonal > columns) diagonal = columns;

  // One step of the nest is a row; beside the places of the two rows it carries the row's number.
  LoopNest nest({to.sizes, last});
  int64_t row_number[kMaxRank] = {};
  row_number[last - 1] = 1;
  nest.AddOperand(to.strides);
  nest.AddOperand(from.strides);
  nest.AddOperand(row_number);
  nest.Finish();

  const size_t size = to.element_size;
  const Element zero{};
  const auto copy = [&](int64_t target, int64_t source, int64_t begin, int64_t end) {
    if (begin >= end) return;
    kernels::CopyRun(to.at(target + begin * to.strides[last]), to.strides[last],
                     from.at(source + begin * from.strides[last]), from.strides[last],
                     static_cast<size_t>(end - begin), size);
  };
  const auto clear = [&](int64_t target, int64_t begin, int64_t end) {
    if (begin >= end) return;
    kernels::FillRun(to.at(target + begin * to.strides[last]), to.strides[last], zero.bytes,
                     static_cast<size_t>(end - begin), size);
  };
  const size_t grain = CopyGrain(size) / static_cast<size_t>(columns);
  return c.context.ParallelFor(nest.numel(), grain > 0 ? grain : 1, [&](size_t begin, size_t end) {
    nest.ForEachRun(begin, end, [&](size_t, const int64_t* offsets, size_t n) {
      for (int64_t i = 0; i < static_cast<int64_t>(n); ++i) {
        const int64_t target = offsets[0] + i * nest.inner_stride(0);
        const int64_t source = offsets[1] + i * nest.inner_stride(1);
        const int64_t row = offsets[2] + i * nest.inner_stride(2);
        int64_t edge = row + diagonal + (kUpper ? 0 : 1);  // the first column on the other side
        edge = edge < 0 ? 0 : edge > columns ? columns : edge;
        if (kUpper) {
          clear(target, 0, edge);
          copy(target, source, edge, columns);
        } else {
          copy(target, source, 0, edge);
          clear(target, edge, columns);
        }
      }
    });
  });
}

constexpr Op kOps[] = {
    {"aten::tril.out", Boxed<PrepareTriangle, RunTriangle<false>>},
    {"aten::triu.out", Boxed<PrepareTriangle, RunTriangle<true>>},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> TriangularOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
