// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Sums, products, extremes and logic over dimensions.

#include "src/ops/casts.h"
#include "src/ops/reduction.h"
#include "src/ops/shapes.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

using Dims = std::optional<Span<const int64_t>>;

// sum, prod, mean: in the type of the result, which `dtype` may name.

Error PrepareTotal(PrepareContext& c, const Tensor& in, std::optional<int64_t> dtype, DType compute,
                   const Tensor& out) {
  if (dtype) RL_RETURN_IF_ERROR(CheckNamedDType(out, *dtype));
  return PrepareReduction(c, in, compute, StateType(compute), &out);
}

Error PrepareSum(PrepareContext& c, const Tensor& in, Dims, bool, std::optional<int64_t> dtype,
                 Tensor& out) {
  return PrepareTotal(c, in, dtype, FoldType(out.dtype()), out);
}
Error RunSum(RunContext& c, const Tensor& in, Dims dims, bool keepdim, std::optional<int64_t>,
             Tensor& out) {
  DimSet set;
  RL_RETURN_IF_ERROR(SelectDims(in, dims, EmptyDims::kAll, &set));
  return RunReduction(c, {in, set, keepdim, &out});
}
Error PrepareSumAll(PrepareContext& c, const Tensor& in, std::optional<int64_t> dtype,
                    Tensor& out) {
  return PrepareSum(c, in, std::nullopt, false, dtype, out);
}
Error RunSumAll(RunContext& c, const Tensor& in, std::optional<int64_t> dtype, Tensor& out) {
  return RunSum(c, in, std::nullopt, false, dtype, out);
}

Error PrepareProd(PrepareContext& c, const Tensor& in, std::optional<int64_t> dtype, Tensor& out) {
  return PrepareTotal(c, in, dtype, StateType(out.dtype()), out);
}
Error PrepareProdDim(PrepareContext& c, const Tensor& in, int64_t, bool,
                     std::optional<int64_t> dtype, Tensor& out) {
  return PrepareProd(c, in, dtype, out);
}
Error RunProdDim(RunContext& c, const Tensor& in, int64_t dim, bool keepdim,
                 std::optional<int64_t> dtype, Tensor& out) {
  return RunSum(c, in, Span<const int64_t>(&dim, 1), keepdim, dtype, out);
}

double Mean(double sum, double, double count, double) { return sum / count; }

Error PrepareMean(PrepareContext& c, const Tensor& in, Dims dims, bool keepdim,
                  std::optional<int64_t> dtype, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckFloating(out, 4));
  return PrepareSum(c, in, dims, keepdim, dtype, out);
}
Error RunMean(RunContext& c, const Tensor& in, Dims dims, bool keepdim, std::optional<int64_t>,
              Tensor& out) {
  DimSet set;
  RL_RETURN_IF_ERROR(SelectDims(in, dims, EmptyDims::kAll, &set));
  Reduction r{in, set, keepdim, &out};
  r.finish = &Mean;
  return RunReduction(c, r);
}
Error PrepareMeanAll(PrepareContext& c, const Tensor& in, std::optional<int64_t> dtype,
                     Tensor& out) {
  return PrepareMean(c, in, std::nullopt, false, dtype, out);
}
Error RunMeanAll(RunContext& c, const Tensor& in, std::optional<int64_t> dtype, Tensor& out) {
  return RunMean(c, in, std::nullopt, false, dtype, out);
}

// amax, amin, and max and min of everything.

Error PrepareExtremeAll(PrepareContext& c, const Tensor& in, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckOrdered(in));
  RL_RETURN_IF_ERROR(CheckDType(out, in.dtype(), 1));
  const DType compute = FoldType(in.dtype());
  return PrepareReduction(c, in, compute, StateType(compute), &out);
}
Error PrepareExtreme(PrepareContext& c, const Tensor& in, Span<const int64_t>, bool, Tensor& out) {
  return PrepareExtremeAll(c, in, out);
}
Error RunExtreme(RunContext& c, const Tensor& in, Span<const int64_t> dims, bool keepdim,
                 Tensor& out) {
  DimSet set;
  RL_RETURN_IF_ERROR(SelectDims(in, dims, EmptyDims::kAll, &set));
  Reduction r{in, set, keepdim, &out};
  r.needs_elements = true;
  return RunReduction(c, r);
}
Error RunExtremeAll(RunContext& c, const Tensor& in, Tensor& out) {
  return RunExtreme(c, in, {}, false, out);
}

// any, all: bool (uint8 where the caller wants that) from any type.

Error PrepareLogicAll(PrepareContext& c, const Tensor& in, Tensor& out) {
  if (out.dtype() != DType::kUInt8) RL_RETURN_IF_ERROR(CheckDType(out, DType::kBool, 1));
  const DType compute = StateType(in.dtype());
  return PrepareReduction(c, in, compute, compute, &out);
}
Error PrepareLogicDims(PrepareContext& c, const Tensor& in, Dims, bool, Tensor& out) {
  return PrepareLogicAll(c, in, out);
}
Error PrepareLogicDim(PrepareContext& c, const Tensor& in, int64_t, bool, Tensor& out) {
  return PrepareLogicAll(c, in, out);
}
Error RunLogicDims(RunContext& c, const Tensor& in, Dims dims, bool keepdim, Tensor& out) {
  DimSet set;
  RL_RETURN_IF_ERROR(SelectDims(in, dims, EmptyDims::kNone, &set));
  return RunReduction(c, {in, set, keepdim, &out});
}
Error RunLogicDim(RunContext& c, const Tensor& in, int64_t dim, bool keepdim, Tensor& out) {
  return RunLogicDims(c, in, Span<const int64_t>(&dim, 1), keepdim, out);
}
Error RunLogicAll(RunContext& c, const Tensor& in, Tensor& out) {
  return RunLogicDims(c, in, std::nullopt, false, out);
}

template <class F, class Integer>
constexpr Loop kLoops3[] = {
    FoldLoop<F, float>(DType::kFloat32, DType::kFloat64),
    FoldLoop<F, double>(DType::kFloat64, DType::kFloat64),
    FoldLoop<F, Integer>(DType::kInt64, DType::kInt64),
};
template <class F, class Integer>
constexpr Loop kLoops2[] = {
    FoldLoop<F, double>(DType::kFloat64, DType::kFloat64),
    FoldLoop<F, Integer>(DType::kInt64, DType::kInt64),
};
constexpr auto& kAll = kLoops2<kernels::All, int64_t>;
constexpr auto& kAny = kLoops2<kernels::Any, int64_t>;
constexpr auto& kMax = kLoops3<kernels::Maximum, int64_t>;
constexpr auto& kMin = kLoops3<kernels::Minimum, int64_t>;
constexpr auto& kProd = kLoops2<kernels::Product, uint64_t>;
constexpr auto& kSum = kLoops3<kernels::Sum, uint64_t>;

constexpr Op kOps[] = {
    {"aten::all.all_out", Boxed<PrepareLogicAll, RunLogicAll>, kAll, kCasts},
    {"aten::all.dims_out", Boxed<PrepareLogicDims, RunLogicDims>, kAll, kCasts},
    {"aten::all.out", Boxed<PrepareLogicDim, RunLogicDim>, kAll, kCasts},
    {"aten::amax.out", Boxed<PrepareExtreme, RunExtreme>, kMax, kCasts},
    {"aten::amin.out", Boxed<PrepareExtreme, RunExtreme>, kMin, kCasts},
    {"aten::any.all_out", Boxed<PrepareLogicAll, RunLogicAll>, kAny, kCasts},
    {"aten::any.dims_out", Boxed<PrepareLogicDims, RunLogicDims>, kAny, kCasts},
    {"aten::any.out", Boxed<PrepareLogicDim, RunLogicDim>, kAny, kCasts},
    {"aten::max.unary_out", Boxed<PrepareExtremeAll, RunExtremeAll>, kMax, kCasts},
    {"aten::mean.dtype_out", Boxed<PrepareMeanAll, RunMeanAll>, kSum, kCasts},
    {"aten::mean.out", Boxed<PrepareMean, RunMean>, kSum, kCasts},
    {"aten::min.unary_out", Boxed<PrepareExtremeAll, RunExtremeAll>, kMin, kCasts},
    {"aten::prod.int_out", Boxed<PrepareProdDim, RunProdDim>, kProd, kCasts},
    {"aten::prod.out", Boxed<PrepareProd, RunSumAll>, kProd, kCasts},
    {"aten::sum.IntList_out", Boxed<PrepareSum, RunSum>, kSum, kCasts},
    {"aten::sum.out", Boxed<PrepareSumAll, RunSumAll>, kSum, kCasts},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> ReduceOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
