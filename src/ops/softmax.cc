// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/softmax/softmax.h"

#include "src/ops/casts.h"
#include "src/ops/lines.h"
#include "src/ops/reduction.h"  // FoldType
#include "src/ops/shapes.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

Error CheckArguments(const Tensor& in, int64_t dim, bool half_to_float, size_t* d) {
  RL_CHECK(!half_to_float, Reason::kArgumentValue, Error::kNone, 1, 0);  // nor has PyTorch's CPU
  return NormalizeDim(dim, in.rank(), d);
}

Error PrepareSoftmax(PrepareContext& c, const Tensor& in, int64_t dim, bool half_to_float,
                     Tensor& out) {
  size_t d;
  RL_RETURN_IF_ERROR(CheckArguments(in, dim, half_to_float, &d));
  RL_RETURN_IF_ERROR(CheckFloating(in, 0));
  RL_RETURN_IF_ERROR(CheckFloating(out, 3));
  RL_RETURN_IF_ERROR(CheckRank(out, in.rank(), 3));
  return PrepareLines(c, ViewLines(in, out, d, d + 1), FoldType(in.dtype()));
}

Error RunSoftmax(RunContext& c, const Tensor& in, int64_t dim, bool half_to_float, Tensor& out) {
  size_t d;
  RL_RETURN_IF_ERROR(CheckArguments(in, dim, half_to_float, &d));
  RL_RETURN_IF_ERROR(out.Resize(in.sizes()));
  const size_t n = in.rank() == 0 ? 1 : static_cast<size_t>(in.size(d));
  return RunLines(c, ViewLines(in, out, d, d + 1), [&](size_t, void* to, const void* from) {
    c.CallLoop(kLineLoop, kernels::SoftmaxArgs{to, from, n});
  });
}

constexpr Loop kSoftmax[] = {
    MakeLoop<&kernels::Softmax<float>>(DType::kFloat32, DType::kFloat32),
    MakeLoop<&kernels::Softmax<double>>(DType::kFloat64, DType::kFloat64),
};
constexpr Loop kLogSoftmax[] = {
    MakeLoop<&kernels::LogSoftmax<float>>(DType::kFloat32, DType::kFloat32),
    MakeLoop<&kernels::LogSoftmax<double>>(DType::kFloat64, DType::kFloat64),
};

constexpr Op kOps[] = {
    {"aten::_log_softmax.out", Boxed<PrepareSoftmax, RunSoftmax>, kLogSoftmax, kCasts},
    {"aten::_softmax.out", Boxed<PrepareSoftmax, RunSoftmax>, kSoftmax, kCasts},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> SoftmaxOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
