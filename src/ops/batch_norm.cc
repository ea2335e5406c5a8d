// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Batch norm by running mean and variance, as models use it once they are trained: an elementwise
// operator, in * scale + shift with two numbers for each channel.

#include <cmath>

#include "src/ops/casts.h"
#include "src/ops/elementwise.h"
#include "src/ops/shapes.h"
#include "src/ops/tables.h"
#include "src/ops/tasks.h"

namespace rushlight::ops {
namespace {

constexpr size_t kParameterCast = 4;  // a slot that PrepareMap leaves free for three operands

struct ScaleShift {
  template <class T>
  T operator()(T x, T scale, T shift) const {
    return x * scale + shift;
  }
};

// The numbers of the channels, in float64, as a tensor that broadcasts against the input.
class ChannelNumbers {
 public:
  ChannelNumbers(const Tensor& in, double* numbers) {
    sizes_[0] = in.size(1);
    for (size_t d = 1; d + 1 < in.rank(); ++d) sizes_[d] = 1;
    tensor_ = Tensor(DType::kFloat64, numbers, {sizes_, in.rank() - 1});
  }
  ChannelNumbers(const ChannelNumbers&) = delete;

  const Tensor& tensor() const { return tensor_; }

 private:
  int32_t sizes_[kMaxRank];
  Tensor tensor_;
};

Error CheckParameters(const Tensor& in, std::initializer_list<const Tensor*> parameters) {
  for (const Tensor* t : parameters) {
    if (t == nullptr) continue;
    RL_CHECK(t->rank() == 1 && t->size(0) == in.size(1), Reason::kArgumentSize, Error::kNone,
             static_cast<int64_t>(t->numel()), in.size(1));
  }
  return kOk;
}

Error PrepareInference(PrepareContext& c, const Tensor& in, const Tensor* weight,
                       const Tensor* bias, const Tensor& mean, const Tensor& var, double, double,
                       Tensor& out, Tensor&, Tensor&) {
  RL_CHECK(in.rank() >= 2, Reason::kArgumentRank, Error::kNone, static_cast<int64_t>(in.rank()), 2);
  RL_RETURN_IF_ERROR(CheckFloating(in, 0));
  RL_RETURN_IF_ERROR(CheckFloating(mean, 3));
  for (const Tensor* t : {weight, bias, &var}) {
    if (t != nullptr) RL_RETURN_IF_ERROR(CheckDType(*t, mean.dtype(), 3));
  }
  const ChannelNumbers numbers(in, nullptr);
  RL_RETURN_IF_ERROR(
      PrepareMap(c, {in, numbers.tensor(), numbers.tensor()}, in.dtype(), kSameType, out));
  RL_RETURN_IF_ERROR(c.UseCast(kParameterCast, mean.dtype(), DType::kFloat64));
  c.NeedScratch(ScratchProduct(4 * sizeof(double), static_cast<size_t>(in.size(1))));
  return kOk;
}

Error RunInference(RunContext& c, const Tensor& in, const Tensor* weight, const Tensor* bias,
                   const Tensor& mean, const Tensor& var, double, double eps, Tensor& out,
                   Tensor& save_mean, Tensor& save_rstd) {
  RL_RETURN_IF_ERROR(CheckParameters(in, {weight, bias, &mean, &var}));
  const int32_t none[] = {0};
  RL_RETURN_IF_ERROR(save_mean.Resize(none));
  RL_RETURN_IF_ERROR(save_rstd.Resize(none));

  const auto channels = static_cast<size_t>(in.size(1));
  auto* const numbers = static_cast<double*>(
      c.context.scratch.Allocate(ScratchProduct(4 * sizeof(double), channels), alignof(double)));
  RL_CHECK(numbers != nullptr || channels == 0, Reason::kScratchArena);
  double* const scale = numbers;
  double* const shift = numbers + channels;
  double* const weights = shift + channels;
  double* const means = weights + channels;
  const auto load = [&](const Tensor& t, double* to) {
    c.CallLoop(kParameterCast, kernels::CastArgs{to, t.raw(), channels, 1});
  };
  for (size_t i = 0; i < channels; ++i) weights[i] = 1;
  for (size_t i = 0; i < channels; ++i) shift[i] = 0;
  load(var, scale);
  load(mean, means);
  if (weight != nullptr) load(*weight, weights);
  if (bias != nullptr) load(*bias, shift);
  for (size_t i = 0; i < channels; ++i) {
    scale[i] = weights[i] / std::sqrt(scale[i] + eps);
    shift[i] -= means[i] * scale[i];
  }
  const ChannelNumbers scales(in, scale);
  const ChannelNumbers shifts(in, shift);
  return RunMap(c, {in, scales.tensor(), shifts.tensor()}, out);
}

constexpr Loop kLoops[] = {
    MakeLoop<&kernels::Map3<ScaleShift, float>>(DType::kFloat32, DType::kFloat32),
    MakeLoop<&kernels::Map3<ScaleShift, double>>(DType::kFloat64, DType::kFloat64),
};

constexpr Op kOps[] = {
    {"aten::_native_batch_norm_legit_no_training.out", Boxed<PrepareInference, RunInference>,
     kLoops, kCasts},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> BatchNormOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
