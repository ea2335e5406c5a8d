// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Variance, norms and logsumexp over dimensions: reductions of floating-point numbers.

#include <cmath>
#include <limits>

#include "src/ops/casts.h"
#include "src/ops/reduction.h"
#include "src/ops/shapes.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

using Dims = std::optional<Span<const int64_t>>;

// var, var_mean: the sum of squares about the mean over (count - correction), the parameter.

double Variance(double squares, double, double count, double correction) {
  const double freedom = count - correction;
  return squares / (freedom > 0 ? freedom : 0);
}

Error PrepareMoments(PrepareContext& c, const Tensor& in, const Tensor& var, const Tensor* mean) {
  RL_RETURN_IF_ERROR(CheckFloating(in, 0));
  RL_RETURN_IF_ERROR(CheckFloating(var, 4));
  if (mean != nullptr) RL_RETURN_IF_ERROR(CheckFloating(*mean, 5));
  return PrepareReduction(c, in, FoldType(in.dtype()), DType::kFloat64, &var, mean);
}
Error RunMoments(RunContext& c, const Tensor& in, Dims dims, double correction, bool keepdim,
                 Tensor& var, Tensor* mean) {
  DimSet set;
  RL_RETURN_IF_ERROR(SelectDims(in, dims, EmptyDims::kAll, &set));
  Reduction r{in, set, keepdim, &var, mean};
  r.parameter = correction;
  r.finish = &Variance;
  return RunReduction(c, r);
}

Error PrepareVar(PrepareContext& c, const Tensor& in, Dims, bool, bool, Tensor& out) {
  return PrepareMoments(c, in, out, nullptr);
}
Error RunVar(RunContext& c, const Tensor& in, Dims dims, bool unbiased, bool keepdim, Tensor& out) {
  return RunMoments(c, in, dims, unbiased ? 1 : 0, keepdim, out, nullptr);
}
Error PrepareVarCorrection(PrepareContext& c, const Tensor& in, Dims, std::optional<Scalar>, bool,
                           Tensor& out) {
  return PrepareMoments(c, in, out, nullptr);
}
Error RunVarCorrection(RunContext& c, const Tensor& in, Dims dims, std::optional<Scalar> correction,
                       bool keepdim, Tensor& out) {
  return RunMoments(c, in, dims, correction ? correction->to_double() : 1, keepdim, out, nullptr);
}
Error PrepareVarMean(PrepareContext& c, const Tensor& in, Dims, std::optional<Scalar>, bool,
                     Tensor& var, Tensor& mean) {
  return PrepareMoments(c, in, var, &mean);
}
Error RunVarMean(RunContext& c, const Tensor& in, Dims dims, std::optional<Scalar> correction,
                 bool keepdim, Tensor& var, Tensor& mean) {
  return RunMoments(c, in, dims, correction ? correction->to_double() : 1, keepdim, var, &mean);
}

// linalg_vector_norm.  The norms without a value for no elements are those of order below 0, and
// the greatest.

Error PrepareNorm(PrepareContext& c, const Tensor& in, Scalar, Dims, bool,
                  std::optional<int64_t> dtype, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckFloating(in, 0));
  RL_RETURN_IF_ERROR(CheckFloating(out, 5));
  if (dtype) RL_RETURN_IF_ERROR(CheckNamedDType(out, *dtype));
  return PrepareReduction(c, in, DType::kFloat64, DType::kFloat64, &out);
}
Error RunNorm(RunContext& c, const Tensor& in, Scalar order, Dims dims, bool keepdim,
              std::optional<int64_t>, Tensor& out) {
  DimSet set;
  RL_RETURN_IF_ERROR(SelectDims(in, dims, EmptyDims::kAll, &set));
  Reduction r{in, set, keepdim, &out};
  r.parameter = order.to_double();
  r.needs_elements = r.parameter < 0 || std::isinf(r.parameter);
  r.finish = [](double state, double, double, double p) { return kernels::NormRoot(state, p); };
  return RunReduction(c, r);
}

// logsumexp

Error PrepareLogSumExp(PrepareContext& c, const Tensor& in, Span<const int64_t>, bool,
                       Tensor& out) {
  RL_RETURN_IF_ERROR(CheckFloating(out, 3));
  return PrepareReduction(c, in, DType::kFloat64, DType::kFloat64, &out);
}
Error RunLogSumExp(RunContext& c, const Tensor& in, Span<const int64_t> dims, bool keepdim,
                   Tensor& out) {
  DimSet set;
  RL_RETURN_IF_ERROR(SelectDims(in, dims, EmptyDims::kAll, &set));
  Reduction r{in, set, keepdim, &out};
  r.finish = [](double sum, double shift, double, double) { return std::log(sum) + shift; };
  return RunReduction(c, r);
}

using kernels::FoldNorm;
using kernels::LogSumExp;
using kernels::Moments;

constexpr Loop kLogSumExp[] = {FoldLoop<LogSumExp, double>(DType::kFloat64, DType::kFloat64)};
constexpr Loop kMoments[] = {FoldLoop<Moments, float>(DType::kFloat32, DType::kFloat64),
                             FoldLoop<Moments, double>(DType::kFloat64, DType::kFloat64)};
constexpr Loop kNorm[] = {MakeLoop<&FoldNorm>(DType::kFloat64, DType::kFloat64)};

constexpr Op kOps[] = {
    {"aten::linalg_vector_norm.out", Boxed<PrepareNorm, RunNorm>, kNorm, kCasts},
    {"aten::logsumexp.out", Boxed<PrepareLogSumExp, RunLogSumExp>, kLogSumExp, kCasts},
    {"aten::var.correction_out", Boxed<PrepareVarCorrection, RunVarCorrection>, kMoments, kCasts},
    {"aten::var.out", Boxed<PrepareVar, RunVar>, kMoments, kCasts},
    {"aten::var_mean.correction_out", Boxed<PrepareVarMean, RunVarMean>, kMoments, kCasts},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> StatisticsOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
