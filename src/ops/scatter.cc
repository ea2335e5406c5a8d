// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Writing through index tensors: index_put, index_copy, scatter.  Elements are written in the order
// of indices, on one thread: where several meet in one place, the result is the same every time.

#include "src/ops/accumulator.h"
#include "src/ops/casts.h"
#include "src/ops/copy.h"
#include "src/ops/index_list.h"
#include "src/ops/index_map.h"
#include "src/ops/shapes.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

using kernels::Reduction;

// index_put: self[indices] = values, or += values.

Error PreparePut(PrepareContext& c, OptionalTensors indices, const Tensor& values, bool accumulate,
                 const Tensor& out) {
  RL_RETURN_IF_ERROR(CheckDType(values, out.dtype(), 2));
  size_t scratch = 0;
  RL_RETURN_IF_ERROR(CheckIndexList(indices, 1, &scratch));
  if (accumulate) RL_RETURN_IF_ERROR(Accumulator::Prepare(c, out, false, &scratch));
  c.NeedScratch(scratch);
  return kOk;
}
// Puts into `out`, which starts as a copy of self where there is one.
Error Put(RunContext& c, const View* self, OptionalTensors indices, View values, bool accumulate,
          Tensor& out) {
  const View all = ViewOf(out);
  IndexedView x(all);
  RL_RETURN_IF_ERROR(SelectIndices(c, indices, 1, x));
  RL_RETURN_IF_ERROR(CheckIndices(indices, 1, all, out));
  RL_RETURN_IF_ERROR(Expand(values, x.view.shape()));
  RL_RETURN_IF_ERROR(CheckNumel(x.view));
  if (self != nullptr) RL_RETURN_IF_ERROR(Copy(c.context, all, *self));
  if (!accumulate) return Scatter(c.context, x, values);
  Accumulator sums;
  RL_RETURN_IF_ERROR(sums.Start(c, out));
  RL_RETURN_IF_ERROR(sums.Add(x, values, Reduction::kSum));
  return sums.Finish(out);
}

Error PrepareIndexPutInPlace(PrepareContext& c, Tensor& self, OptionalTensors indices,
                             const Tensor& values, bool accumulate) {
  return PreparePut(c, indices, values, accumulate, self);
}
Error RunIndexPutInPlace(RunContext& c, Tensor& self, OptionalTensors indices, const Tensor& values,
                         bool accumulate) {
  return Put(c, nullptr, indices, ViewOf(values), accumulate, self);
}
Error PrepareIndexPut(PrepareContext& c, const Tensor& self, OptionalTensors indices,
                      const Tensor& values, bool accumulate, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckDType(out, self.dtype(), 4));
  return PreparePut(c, indices, values, accumulate, out);
}
Error RunIndexPut(RunContext& c, const Tensor& self, OptionalTensors indices, const Tensor& values,
                  bool accumulate, Tensor& out) {
  const View from = ViewOf(self);
  const View source = ViewOf(values);
  RL_RETURN_IF_ERROR(ResizeAs(out, from));
  return Put(c, &from, indices, source, accumulate, out);
}

// index_copy: rows (or columns, ...) of self become those of source.

Error PrepareIndexCopy(PrepareContext&, const Tensor& self, int64_t, const Tensor& index,
                       const Tensor& source, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckIndexDType(index, 2));
  if (index.rank() > 1) return CheckRank(index, 1, 2);
  RL_RETURN_IF_ERROR(CheckDType(source, self.dtype(), 3));
  return CheckDType(out, self.dtype(), 4);
}
Error RunIndexCopy(RunContext& c, const Tensor& self, int64_t dim, const Tensor& index,
                   const Tensor& source, Tensor& out) {
  const View all = ViewOf(self);
  const View from = AtLeastVector(source);
  const View along = AtLeastVector(index);
  RL_RETURN_IF_ERROR(ResizeAs(out, all));
  IndexedView x(AtLeastVector(out));
  size_t d = 0;
  RL_RETURN_IF_ERROR(NormalizeDim(dim, x.view.rank, &d));
  const int64_t size = x.view.sizes[d];
  RL_RETURN_IF_ERROR(IndexDim(x, d, along));
  RL_RETURN_IF_ERROR(CheckSameSizes(from, x.view, 3));
  RL_RETURN_IF_ERROR(CheckIndex(index, 0, size, out, 2));
  RL_RETURN_IF_ERROR(Copy(c.context, ViewOf(out), all));
  return Scatter(c.context, x, from);
}

// scatter, scatter_add, scatter_reduce: element i of src goes to index[i] along a dimension.

// Resizes `out`, checks everything, makes `out` a copy of self, and describes where the elements of
// `index` point to; `src` (null where it is a number) is cut to the sizes of `index`.
Error StartScatter(RunContext& c, const Tensor& self, int64_t dim, const Tensor& index, View* src,
                   Tensor& out, IndexedView* x) {
  const View all = ViewOf(self);
  const View along = AtLeastVector(index);
  RL_RETURN_IF_ERROR(ResizeAs(out, all));
  x->view = AtLeastVector(out);
  size_t d = 0;
  RL_RETURN_IF_ERROR(NormalizeDim(dim, x->view.rank, &d));
  const int64_t size = x->view.sizes[d];
  if (along.empty()) {  // any other shape will do
    x->view = along;
    if (src != nullptr) *src = along;
    return Copy(c.context, ViewOf(out), all);
  }
  RL_RETURN_IF_ERROR(IndexAlong(*x, d, along, 2));
  RL_RETURN_IF_ERROR(CheckIndex(index, 0, size, out, 2));
  if (src != nullptr) {
    RL_RETURN_IF_ERROR(CheckWithin(along, *src, kMaxRank, 3));
    for (size_t j = 0; j < along.rank; ++j) src->sizes[j] = along.sizes[j];
  }
  return Copy(c.context, ViewOf(out), all);
}

Error PrepareScatter(PrepareContext&, const Tensor& self, int64_t, const Tensor& index,
                     const Tensor& src, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckIndexDType(index, 2));
  RL_RETURN_IF_ERROR(CheckDType(src, self.dtype(), 3));
  return CheckDType(out, self.dtype(), 4);
}
Error RunScatter(RunContext& c, const Tensor& self, int64_t dim, const Tensor& index,
                 const Tensor& src, Tensor& out) {
  View from = AtLeastVector(src);
  IndexedView x;
  RL_RETURN_IF_ERROR(StartScatter(c, self, dim, index, &from, out, &x));
  return Scatter(c.context, x, from);
}

Error PrepareScatterValue(PrepareContext& c, const Tensor& self, int64_t, const Tensor& index,
                          Scalar, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckIndexDType(index, 2));
  RL_RETURN_IF_ERROR(CheckDType(out, self.dtype(), 4));
  return UseNumber(c, 0, out.dtype());
}
Error RunScatterValue(RunContext& c, const Tensor& self, int64_t dim, const Tensor& index,
                      Scalar value, Tensor& out) {
  Element element = MakeElement(c, 0, value);
  IndexedView x;
  RL_RETURN_IF_ERROR(StartScatter(c, self, dim, index, nullptr, out, &x));
  View number{element.bytes, x.view.element_size, 0, 0, {}, {}};
  RL_RETURN_IF_ERROR(Expand(number, x.view.shape()));
  return Scatter(c.context, x, number);
}

Error PrepareScatterAdd(PrepareContext& c, const Tensor& self, int64_t dim, const Tensor& index,
                        const Tensor& src, Tensor& out) {
  RL_RETURN_IF_ERROR(PrepareScatter(c, self, dim, index, src, out));
  size_t scratch = 0;
  RL_RETURN_IF_ERROR(Accumulator::Prepare(c, out, false, &scratch));
  c.NeedScratch(scratch);
  return kOk;
}
Error RunScatterAdd(RunContext& c, const Tensor& self, int64_t dim, const Tensor& index,
                    const Tensor& src, Tensor& out) {
  View from = AtLeastVector(src);
  IndexedView x;
  RL_RETURN_IF_ERROR(StartScatter(c, self, dim, index, &from, out, &x));
  Accumulator sums;
  RL_RETURN_IF_ERROR(sums.Start(c, out));
  RL_RETURN_IF_ERROR(sums.Add(x, from, Reduction::kSum));
  return sums.Finish(out);
}

Error PrepareScatterReduce(PrepareContext& c, const Tensor& self, int64_t dim, const Tensor& index,
                           const Tensor& src, std::string_view, bool, Tensor& out) {
  RL_RETURN_IF_ERROR(PrepareScatter(c, self, dim, index, src, out));
  size_t scratch = 0;
  RL_RETURN_IF_ERROR(Accumulator::Prepare(c, out, true, &scratch));
  c.NeedScratch(scratch);
  return kOk;
}
Error RunScatterReduce(RunContext& c, const Tensor& self, int64_t dim, const Tensor& index,
                       const Tensor& src, std::string_view reduce, bool include_self, Tensor& out) {
  const bool mean = reduce == "mean";
  Reduction reduction = Reduction::kSum;
  if (reduce == "prod") {
    reduction = Reduction::kProduct;
  } else if (reduce == "amax") {
    reduction = Reduction::kMaximum;
  } else if (reduce == "amin") {
    reduction = Reduction::kMinimum;
  } else {
    RL_CHECK(mean || reduce == "sum", Reason::kArgumentValue);
  }
  View from = AtLeastVector(src);
  IndexedView x;
  RL_RETURN_IF_ERROR(StartScatter(c, self, dim, index, &from, out, &x));
  Accumulator values;
  RL_RETURN_IF_ERROR(values.Start(c, out));
  if (!include_self) RL_RETURN_IF_ERROR(values.Forget(x, from, reduction));
  RL_RETURN_IF_ERROR(values.Add(x, from, reduction));
  if (mean) RL_RETURN_IF_ERROR(values.DivideByCounts(x, include_self));
  return values.Finish(out);
}

constexpr Op kOps[] = {
    {"aten::index_copy.out", Boxed<PrepareIndexCopy, RunIndexCopy>},
    {"aten::index_put.out", Boxed<PrepareIndexPut, RunIndexPut>, kAccumulatorLoops, kCasts},
    {"aten::index_put_", Boxed<PrepareIndexPutInPlace, RunIndexPutInPlace>, kAccumulatorLoops,
     kCasts},
    {"aten::scatter.src_out", Boxed<PrepareScatter, RunScatter>},
    {"aten::scatter.value_out", Boxed<PrepareScatterValue, RunScatterValue>, {}, kCasts},
    {"aten::scatter_add.out", Boxed<PrepareScatterAdd, RunScatterAdd>, kAccumulatorLoops, kCasts},
    {"aten::scatter_reduce.two_out", Boxed<PrepareScatterReduce, RunScatterReduce>,
     kAccumulatorLoops, kCasts},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> ScatterOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
