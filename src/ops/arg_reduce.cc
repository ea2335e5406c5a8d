// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Where the greatest and the least elements are.  Of equal ones the first counts, and the first NaN
// before all others.

#include "src/ops/casts.h"
#include "src/ops/reduction.h"
#include "src/ops/shapes.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

Error Prepare(PrepareContext& c, const Tensor& in, const Tensor* values, const Tensor& indices,
              size_t indices_argument) {
  RL_RETURN_IF_ERROR(CheckOrdered(in));
  RL_RETURN_IF_ERROR(CheckDType(indices, DType::kInt64, indices_argument));
  return PrepareReduction(c, in, FoldType(in.dtype()), DType::kInt64, values, &indices);
}

Error Run(RunContext& c, const Tensor& in, std::optional<int64_t> dim, bool keepdim, Tensor* values,
          Tensor& indices) {
  DimSet set;
  RL_RETURN_IF_ERROR(SelectDims(in, dim, &set));
  Reduction r{in, set, keepdim, values, &indices};
  r.needs_elements = true;
  r.in_index_order = true;
  return RunReduction(c, r);
}

Error PrepareArg(PrepareContext& c, const Tensor& in, std::optional<int64_t>, bool, Tensor& out) {
  return Prepare(c, in, nullptr, out, 3);
}
Error RunArg(RunContext& c, const Tensor& in, std::optional<int64_t> dim, bool keepdim,
             Tensor& out) {
  return Run(c, in, dim, keepdim, nullptr, out);
}

Error PrepareExtremeDim(PrepareContext& c, const Tensor& in, int64_t, bool, Tensor& values,
                        Tensor& indices) {
  RL_RETURN_IF_ERROR(CheckDType(values, in.dtype(), 3));
  return Prepare(c, in, &values, indices, 4);
}
Error RunExtremeDim(RunContext& c, const Tensor& in, int64_t dim, bool keepdim, Tensor& values,
                    Tensor& indices) {
  return Run(c, in, dim, keepdim, &values, indices);
}

template <class F>
constexpr Loop kLoops[] = {
    FoldLoop<F, float>(DType::kFloat32, DType::kInt64),
    FoldLoop<F, double>(DType::kFloat64, DType::kInt64),
    FoldLoop<F, int64_t>(DType::kInt64, DType::kInt64),
};
constexpr auto& kMax = kLoops<kernels::ArgMaximum>;
constexpr auto& kMin = kLoops<kernels::ArgMinimum>;

constexpr Op kOps[] = {
    {"aten::argmax.out", Boxed<PrepareArg, RunArg>, kMax, kCasts},
    {"aten::argmin.out", Boxed<PrepareArg, RunArg>, kMin, kCasts},
    {"aten::max.dim_max", Boxed<PrepareExtremeDim, RunExtremeDim>, kMax, kCasts},
    {"aten::min.dim_min", Boxed<PrepareExtremeDim, RunExtremeDim>, kMin, kCasts},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> ArgReduceOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
