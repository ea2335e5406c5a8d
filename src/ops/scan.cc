// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// cumsum, cumprod: in the type of the result, which `dtype` may name.

#include "src/kernels/scan/scan.h"

#include "src/ops/casts.h"
#include "src/ops/lines.h"
#include "src/ops/reduction.h"  // FoldType
#include "src/ops/shapes.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

Error PrepareScan(PrepareContext& c, const Tensor& in, int64_t dim, std::optional<int64_t> dtype,
                  Tensor& out) {
  size_t d;
  RL_RETURN_IF_ERROR(NormalizeDim(dim, in.rank(), &d));
  RL_RETURN_IF_ERROR(CheckRank(out, in.rank(), 3));
  if (dtype) RL_RETURN_IF_ERROR(CheckNamedDType(out, *dtype));
  return PrepareLines(c, ViewLines(in, out, d, d + 1), FoldType(out.dtype()));
}

Error RunScan(RunContext& c, const Tensor& in, int64_t dim, std::optional<int64_t>, Tensor& out) {
  size_t d;
  RL_RETURN_IF_ERROR(NormalizeDim(dim, in.rank(), &d));
  RL_RETURN_IF_ERROR(out.Resize(in.sizes()));
  const size_t n = in.rank() == 0 ? 1 : static_cast<size_t>(in.size(d));
  return RunLines(c, ViewLines(in, out, d, d + 1), [&](size_t, void* to, const void* from) {
    c.CallLoop(kLineLoop, kernels::ScanArgs{to, from, n});
  });
}

constexpr Loop kSum[] = {
    MakeLoop<&kernels::CumulativeSum<float>>(DType::kFloat32, DType::kFloat32),
    MakeLoop<&kernels::CumulativeSum<double>>(DType::kFloat64, DType::kFloat64),
    MakeLoop<&kernels::CumulativeSum<uint64_t>>(DType::kInt64, DType::kInt64),
};
constexpr Loop kProduct[] = {
    MakeLoop<&kernels::CumulativeProduct<float>>(DType::kFloat32, DType::kFloat32),
    MakeLoop<&kernels::CumulativeProduct<double>>(DType::kFloat64, DType::kFloat64),
    MakeLoop<&kernels::CumulativeProduct<uint64_t>>(DType::kInt64, DType::kInt64),
};

constexpr Op kOps[] = {
    {"aten::cumprod.out", Boxed<PrepareScan, RunScan>, kProduct, kCasts},
    {"aten::cumsum.out", Boxed<PrepareScan, RunScan>, kSum, kCasts},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> ScanOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
