// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Reading through index tensors: embedding, index_select, gather, index.

#include "src/ops/copy.h"
#include "src/ops/index_list.h"
#include "src/ops/index_map.h"
#include "src/ops/shapes.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

// embedding: rows of a matrix.  What the padding index is for, training, does not happen here.

Error PrepareEmbedding(PrepareContext&, const Tensor& weight, const Tensor& indices, int64_t, bool,
                       bool, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckRank(weight, 2, 0));
  RL_RETURN_IF_ERROR(CheckIndexDType(indices, 1));
  return CheckDType(out, weight.dtype(), 5);
}
Error RunEmbedding(RunContext& c, const Tensor& weight, const Tensor& indices, int64_t, bool, bool,
                   Tensor& out) {
  IndexedView rows(ViewOf(weight));
  const int64_t size = weight.size(0);
  RL_RETURN_IF_ERROR(IndexDim(rows, 0, ViewOf(indices)));
  RL_RETURN_IF_ERROR(ResizeAs(out, rows.view));
  RL_RETURN_IF_ERROR(CheckIndex(indices, 0, size, out, 1));
  return Gather(c.context, out, rows);
}

// index_select, gather: along one dimension.

Error PrepareIndexSelect(PrepareContext&, const Tensor& self, int64_t, const Tensor& index,
                         Tensor& out) {
  RL_RETURN_IF_ERROR(CheckIndexDType(index, 2));
  if (index.rank() > 1) return CheckRank(index, 1, 2);
  return CheckDType(out, self.dtype(), 3);
}
Error RunIndexSelect(RunContext& c, const Tensor& self, int64_t dim, const Tensor& index,
                     Tensor& out) {
  IndexedView x(AtLeastVector(self));
  const size_t rank = self.rank();
  size_t d = 0;
  RL_RETURN_IF_ERROR(NormalizeDim(dim, x.view.rank, &d));
  const int64_t size = x.view.sizes[d];
  RL_RETURN_IF_ERROR(IndexDim(x, d, AtLeastVector(index)));
  if (rank == 0) {
    RL_CHECK(x.view.sizes[0] == 1, Reason::kArgumentSize, Error::kNone, x.view.sizes[0], 1);
    Drop(x.view, 0);
  }
  RL_RETURN_IF_ERROR(ResizeAs(out, x.view));
  RL_RETURN_IF_ERROR(CheckIndex(index, 0, size, out, 2));
  return Gather(c.context, out, x);
}

Error PrepareGather(PrepareContext&, const Tensor& self, int64_t, const Tensor& index, bool,
                    Tensor& out) {
  RL_RETURN_IF_ERROR(CheckIndexDType(index, 2));
  return CheckDType(out, self.dtype(), 4);
}
Error RunGather(RunContext& c, const Tensor& self, int64_t dim, const Tensor& index, bool,
                Tensor& out) {
  IndexedView x(AtLeastVector(self));
  const View shape = ViewOf(index);
  const View along = AtLeastVector(index);
  size_t d = 0;
  RL_RETURN_IF_ERROR(NormalizeDim(dim, x.view.rank, &d));
  const int64_t size = x.view.sizes[d];
  RL_RETURN_IF_ERROR(ResizeAs(out, shape));
  if (shape.empty()) return kOk;
  RL_RETURN_IF_ERROR(IndexAlong(x, d, along, 2));
  RL_RETURN_IF_ERROR(CheckIndex(index, 0, size, out, 2));
  return Gather(c.context, out, x);
}

// index: self[indices].

Error PrepareIndex(PrepareContext& c, const Tensor& self, OptionalTensors indices, Tensor& out) {
  size_t scratch = 0;
  RL_RETURN_IF_ERROR(CheckIndexList(indices, 1, &scratch));
  c.NeedScratch(scratch);
  return CheckDType(out, self.dtype(), 2);
}
Error RunIndex(RunContext& c, const Tensor& self, OptionalTensors indices, Tensor& out) {
  const View all = ViewOf(self);
  IndexedView x(all);
  RL_RETURN_IF_ERROR(SelectIndices(c, indices, 1, x));
  RL_RETURN_IF_ERROR(ResizeAs(out, x.view));
  RL_RETURN_IF_ERROR(CheckIndices(indices, 1, all, out));
  return Gather(c.context, out, x);
}

constexpr Op kOps[] = {
    {"aten::embedding.out", Boxed<PrepareEmbedding, RunEmbedding>},
    {"aten::gather.out", Boxed<PrepareGather, RunGather>},
    {"aten::index.Tensor_out", Boxed<PrepareIndex, RunIndex>},
    {"aten::index_select.out", Boxed<PrepareIndexSelect, RunIndexSelect>},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> IndexingOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
