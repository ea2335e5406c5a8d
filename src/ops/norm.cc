// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Layer norm, group norm and batch norm by its own batch: lines that are normalised by their mean
// and variance.

#include <limits>

#include "src/kernels/norm/normalize.h"
#include "src/ops/casts.h"
#include "src/ops/lines.h"
#include "src/ops/reduction.h"  // FoldType
#include "src/ops/shapes.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

// Slots of Prepared::loops, beside those of lines.
constexpr size_t kStatisticCast = 3;  // float64 to the dtype of means and the like
constexpr size_t kParameterCast = 4;  // weight and bias to the compute type
constexpr size_t kRunningCast = 5;    // running mean and variance to float64

// What is common to the three.  Lines are numbered in index order.
struct Norm {
  const Tensor* weight;  // [period * channels], or null
  const Tensor* bias;
  double eps;
  Tensor& mean;  // [lines]
  Tensor& rstd;
  size_t period = 1;                     // lines after which weights repeat
  size_t channels = 1;                   // in a line, with a weight each
  size_t spatial = 1;                    // elements of a channel in a line
  const Tensor* running_mean = nullptr;  // [lines], written in training
  const Tensor* running_var = nullptr;
  bool training = true;  // measures the lines; otherwise takes the running numbers
  double momentum = 0;
};

void Convert(const Loop& cast, const void* from, void* to, size_t n = 1) {
  const kernels::CastArgs args{to, from, n, 1};
  cast.fn(&args);
}
uint8_t* At(const Tensor& t, size_t i) {
  return t.mutable_data<uint8_t>() + i * ElementSize(t.dtype());
}

size_t ParameterBytes(size_t n, DType compute) {
  const size_t bytes = ScratchProduct(n, ElementSize(compute));
  return bytes > SIZE_MAX / 4 ? SIZE_MAX / 4 : (bytes + 7) / 8 * 8;
}

// `parameters`: how many weights there are at most.
Error PrepareNorm(PrepareContext& c, const LineView& v, const Norm& norm, size_t parameters) {
  const DType compute = FoldType(v.in.dtype());
  RL_RETURN_IF_ERROR(CheckFloating(v.in, 0));
  RL_RETURN_IF_ERROR(CheckFloating(v.out, 5));
  RL_RETURN_IF_ERROR(CheckFloating(norm.mean, 6));
  RL_CHECK(norm.rstd.dtype() == norm.mean.dtype(), Reason::kArgumentDType, Error::kNone,
           static_cast<int64_t>(norm.rstd.dtype()), static_cast<int64_t>(norm.mean.dtype()));
  RL_RETURN_IF_ERROR(c.UseCast(kStatisticCast, DType::kFloat64, norm.mean.dtype()));
  size_t copies = 0;
  const Tensor* parameter = norm.weight != nullptr ? norm.weight : norm.bias;
  if (parameter != nullptr) {
    RL_RETURN_IF_ERROR(CheckFloating(*parameter, 1));
    RL_RETURN_IF_ERROR(c.UseCast(kParameterCast, parameter->dtype(), compute));
    if (norm.bias != nullptr) RL_RETURN_IF_ERROR(CheckDType(*norm.bias, parameter->dtype(), 2));
    if (parameter->dtype() != compute) copies = 2 * ParameterBytes(parameters, compute);
  }
  return PrepareLines(c, v, compute, copies);
}

// A weight or a bias in the compute type.
Error LoadParameter(RunContext& c, const Tensor* t, size_t n, const uint8_t** out) {
  *out = nullptr;
  if (t == nullptr) return kOk;
  RL_CHECK(t->numel() == n, Reason::kArgumentSize, Error::kNone, static_cast<int64_t>(t->numel()),
           static_cast<int64_t>(n));
  RL_CHECK(t->IsContiguous(), Reason::kArgumentDimOrder);
  *out = t->data<uint8_t>();
  const DType compute = c.loop(kLineLoop).in;
  if (t->dtype() == compute) return kOk;
  void* copy = c.context.scratch.Allocate(ParameterBytes(n, compute), alignof(double));
  RL_CHECK(copy != nullptr, Reason::kScratchArena);
  Convert(c.loop(kParameterCast), *out, copy, n);
  *out = static_cast<const uint8_t*>(copy);
  return kOk;
}

// Requires: outputs have their sizes, those of the statistics in contiguous order.
Error RunNorm(RunContext& c, const LineView& v, const Norm& norm) {
  const uint8_t* weight;
  const uint8_t* bias;
  const size_t parameters = norm.period * norm.channels;
  RL_RETURN_IF_ERROR(LoadParameter(c, norm.weight, parameters, &weight));
  RL_RETURN_IF_ERROR(LoadParameter(c, norm.bias, parameters, &bias));
  RL_CHECK(norm.mean.IsContiguous() && norm.rstd.IsContiguous(), Reason::kArgumentDimOrder);
  const Loop& to_statistic = c.loop(kStatisticCast);
  if (v.in.numel() == 0) {
    const double none[] = {0, std::numeric_limits<double>::quiet_NaN()};
    for (size_t line = 0; line < norm.mean.numel(); ++line) {
      Convert(to_statistic, &none[0], At(norm.mean, line));
      Convert(to_statistic, &none[1], At(norm.rstd, line));
    }
    return kOk;
  }

  const size_t element_size = ElementSize(c.loop(kLineLoop).in);
  const double n = static_cast<double>(norm.channels) * static_cast<double>(norm.spatial);
  return RunLines(c, v, [&](size_t line, void* to, const void* from) {
    double mean = 0;
    double variance = 0;
    double rstd = 0;
    if (!norm.training) {
      Convert(c.loop(kRunningCast), At(*norm.running_mean, line), &mean);
      Convert(c.loop(kRunningCast), At(*norm.running_var, line), &variance);
    }
    const size_t first = line % norm.period * norm.channels * element_size;
    c.CallLoop(kLineLoop, kernels::NormalizeArgs{to, from, norm.channels, norm.spatial,
                                                 weight == nullptr ? nullptr : weight + first,
                                                 bias == nullptr ? nullptr : bias + first, norm.eps,
                                                 norm.training, &mean, &variance, &rstd});
    if (!norm.training) return;
    Convert(to_statistic, &mean, At(norm.mean, line));
    Convert(to_statistic, &rstd, At(norm.rstd, line));
    if (norm.running_mean == nullptr) return;
    const double measured[] = {mean, variance * n / (n - 1)};
    const Tensor* running[] = {norm.running_mean, norm.running_var};
    for (size_t i = 0; i < 2; ++i) {
      double number;
      Convert(c.loop(kRunningCast), At(*running[i], line), &number);
      number += norm.momentum * (measured[i] - number);
      Convert(to_statistic, &number, At(*running[i], line));
    }
  });
}

// native_layer_norm: lines along the last dimensions.

Error PrepareLayerNorm(PrepareContext& c, const Tensor& in, Span<const int64_t> normalized,
                       const Tensor* weight, const Tensor* bias, double eps, Tensor& out,
                       Tensor& mean, Tensor& rstd) {
  RL_CHECK(!normalized.empty() && normalized.size() <= in.rank(), Reason::kArgumentValue,
           Error::kNone, static_cast<int64_t>(normalized.size()), static_cast<int64_t>(in.rank()));
  RL_RETURN_IF_ERROR(CheckRank(out, in.rank(), 5));
  const size_t parameters = weight != nullptr ? weight->numel()
                            : bias != nullptr ? bias->numel()
                                              : 0;
  return PrepareNorm(c, ViewLines(in, out, in.rank() - normalized.size(), in.rank()),
                     {weight, bias, eps, mean, rstd}, parameters);
}

Error RunLayerNorm(RunContext& c, const Tensor& in, Span<const int64_t> normalized,
                   const Tensor* weight, const Tensor* bias, double eps, Tensor& out, Tensor& mean,
                   Tensor& rstd) {
  const size_t rank = in.rank();
  RL_CHECK(!normalized.empty() && normalized.size() <= rank, Reason::kArgumentValue, Error::kNone,
           static_cast<int64_t>(normalized.size()), static_cast<int64_t>(rank));
  const size_t kept = rank - normalized.size();
  Norm norm{weight, bias, eps, mean, rstd};
  int32_t statistics[kMaxRank];
  for (size_t d = 0; d < rank; ++d) {
    statistics[d] = d < kept ? in.size(d) : 1;
    if (d < kept) continue;
    RL_CHECK(in.size(d) == normalized[d - kept], Reason::kArgumentSize, Error::kNone, in.size(d),
             normalized[d - kept]);
    norm.channels *= static_cast<size_t>(in.size(d));
  }
  RL_RETURN_IF_ERROR(out.Resize(in.sizes()));
  RL_RETURN_IF_ERROR(mean.Resize({statistics, rank}));
  RL_RETURN_IF_ERROR(rstd.Resize({statistics, rank}));
  return RunNorm(c, ViewLines(in, out, kept, rank), norm);
}

// native_group_norm: lines along some channels, and all that is in them.

// The channels split into groups.
LineView ViewGroups(const Tensor& in, const Tensor& out, int64_t groups) {
  LineView v = ViewLines(in, out, 2, in.rank());
  for (size_t d = v.rank++; d > 1; --d) {
    v.sizes[d] = v.sizes[d - 1];
    v.in_strides[d] = v.in_strides[d - 1];
    v.out_strides[d] = v.out_strides[d - 1];
    v.line[d] = true;
  }
  v.sizes[2] /= groups;
  v.sizes[1] = groups;
  for (int64_t* stride : {&v.in_strides[1], &v.out_strides[1]}) {
    // Wraps around in an empty tensor of huge sizes, where nothing is strided.
    *stride =
        static_cast<int64_t>(static_cast<uint64_t>(*stride) * static_cast<uint64_t>(v.sizes[2]));
  }
  return v;
}

Error CheckGroups(const Tensor& in, const Tensor& out, int64_t groups) {
  RL_CHECK(in.rank() >= 2 && in.rank() < kMaxRank, Reason::kArgumentRank, Error::kNone,
           static_cast<int64_t>(in.rank()), 2);
  RL_RETURN_IF_ERROR(CheckRank(out, in.rank(), 8));
  RL_CHECK(groups >= 1, Reason::kArgumentValue, Error::kNone, groups, 1);
  return kOk;
}

Error PrepareGroupNorm(PrepareContext& c, const Tensor& in, const Tensor* weight,
                       const Tensor* bias, int64_t, int64_t, int64_t, int64_t groups, double eps,
                       Tensor& out, Tensor& mean, Tensor& rstd) {
  RL_RETURN_IF_ERROR(CheckGroups(in, out, groups));
  if (groups > in.size(1)) groups = 1;  // Run refuses it, unless there are other sizes by then
  return PrepareNorm(c, ViewGroups(in, out, groups), {weight, bias, eps, mean, rstd},
                     static_cast<size_t>(in.size(1)));
}

Error RunGroupNorm(RunContext& c, const Tensor& in, const Tensor* weight, const Tensor* bias,
                   int64_t batch, int64_t channels, int64_t spatial, int64_t groups, double eps,
                   Tensor& out, Tensor& mean, Tensor& rstd) {
  RL_RETURN_IF_ERROR(CheckGroups(in, out, groups));
  RL_CHECK(batch == in.size(0), Reason::kArgumentSize, Error::kNone, batch, in.size(0));
  RL_CHECK(channels == in.size(1), Reason::kArgumentSize, Error::kNone, channels, in.size(1));
  RL_CHECK(channels % groups == 0, Reason::kArgumentValue, Error::kNone, groups, channels);
  size_t elements;
  RL_CHECK(CheckedNumel(in.sizes().subspan(2, in.rank() - 2), &elements) && spatial >= 0 &&
               static_cast<size_t>(spatial) == elements,
           Reason::kArgumentSize, Error::kNone, spatial);
  RL_RETURN_IF_ERROR(out.Resize(in.sizes()));
  RL_CHECK(groups <= INT32_MAX, Reason::kArgumentValue, Error::kNone, groups, INT32_MAX);
  const int32_t statistics[] = {in.size(0), static_cast<int32_t>(groups)};
  RL_RETURN_IF_ERROR(mean.Resize(statistics));
  RL_RETURN_IF_ERROR(rstd.Resize(statistics));
  Norm norm{weight, bias, eps, mean, rstd};
  norm.period = static_cast<size_t>(groups);
  norm.channels = static_cast<size_t>(channels / groups);
  norm.spatial = elements;
  return RunNorm(c, ViewGroups(in, out, groups), norm);
}

// _native_batch_norm_legit: lines along all but the channels.

LineView ViewChannels(const Tensor& in, const Tensor& out) {
  LineView v = ViewLines(in, out, 1, 2);
  for (size_t d = 0; d < v.rank; ++d) v.line[d] = !v.line[d];
  return v;
}

Error PrepareBatch(PrepareContext& c, const Tensor& in, const Norm& norm, const Tensor& out) {
  RL_CHECK(in.rank() >= 2, Reason::kArgumentRank, Error::kNone, static_cast<int64_t>(in.rank()), 2);
  RL_RETURN_IF_ERROR(CheckRank(out, in.rank(), 8));
  return PrepareNorm(c, ViewChannels(in, out), norm, static_cast<size_t>(in.size(1)));
}

Error RunBatch(RunContext& c, const Tensor& in, Norm norm, Tensor& out) {
  const int32_t channels = in.size(1);
  for (const Tensor* t : {norm.weight, norm.bias, norm.running_mean, norm.running_var}) {
    if (t == nullptr) continue;
    RL_CHECK(t->rank() == 1 && t->size(0) == channels, Reason::kArgumentSize, Error::kNone,
             static_cast<int64_t>(t->numel()), channels);
  }
  const int32_t statistics[] = {norm.training ? channels : 0};
  RL_RETURN_IF_ERROR(out.Resize(in.sizes()));
  RL_RETURN_IF_ERROR(norm.mean.Resize(statistics));
  RL_RETURN_IF_ERROR(norm.rstd.Resize(statistics));
  norm.period = static_cast<size_t>(channels);
  norm.spatial = channels == 0 ? 0 : in.numel() / static_cast<size_t>(channels);
  return RunNorm(c, ViewChannels(in, out), norm);
}

Error PrepareBatchNorm(PrepareContext& c, const Tensor& in, const Tensor* weight,
                       const Tensor* bias, Tensor& running_mean, Tensor& running_var, bool, double,
                       double eps, Tensor& out, Tensor& mean, Tensor& rstd) {
  RL_RETURN_IF_ERROR(CheckDType(running_mean, mean.dtype(), 3));
  RL_RETURN_IF_ERROR(CheckDType(running_var, mean.dtype(), 4));
  RL_RETURN_IF_ERROR(c.UseCast(kRunningCast, running_mean.dtype(), DType::kFloat64));
  return PrepareBatch(c, in, {weight, bias, eps, mean, rstd}, out);
}
Error RunBatchNorm(RunContext& c, const Tensor& in, const Tensor* weight, const Tensor* bias,
                   Tensor& running_mean, Tensor& running_var, bool training, double momentum,
                   double eps, Tensor& out, Tensor& mean, Tensor& rstd) {
  Norm norm{weight, bias, eps, mean, rstd};
  norm.running_mean = &running_mean;
  norm.running_var = &running_var;
  norm.training = training;
  norm.momentum = momentum;
  return RunBatch(c, in, norm, out);
}

Error CheckTraining(bool training) {
  RL_CHECK(training, Reason::kArgumentValue, Error::kNone, 0, 1);  // there is nothing else to take
  return kOk;
}
Error PrepareBatchNormNoStats(PrepareContext& c, const Tensor& in, const Tensor* weight,
                              const Tensor* bias, bool training, double, double eps, Tensor& out,
                              Tensor& mean, Tensor& rstd) {
  RL_RETURN_IF_ERROR(CheckTraining(training));
  return PrepareBatch(c, in, {weight, bias, eps, mean, rstd}, out);
}
Error RunBatchNormNoStats(RunContext& c, const Tensor& in, const Tensor* weight, const Tensor* bias,
                          bool training, double, double eps, Tensor& out, Tensor& mean,
                          Tensor& rstd) {
  RL_RETURN_IF_ERROR(CheckTraining(training));
  return RunBatch(c, in, {weight, bias, eps, mean, rstd}, out);
}

constexpr Loop kLoops[] = {
    MakeLoop<&kernels::Normalize<float>>(DType::kFloat32, DType::kFloat32),
    MakeLoop<&kernels::Normalize<double>>(DType::kFloat64, DType::kFloat64),
};

constexpr Op kOps[] = {
    {"aten::_native_batch_norm_legit.no_stats_out",
     Boxed<PrepareBatchNormNoStats, RunBatchNormNoStats>, kLoops, kCasts},
    {"aten::_native_batch_norm_legit.out", Boxed<PrepareBatchNorm, RunBatchNorm>, kLoops, kCasts},
    {"aten::native_group_norm.out", Boxed<PrepareGroupNorm, RunGroupNorm>, kLoops, kCasts},
    {"aten::native_layer_norm.out", Boxed<PrepareLayerNorm, RunLayerNorm>, kLoops, kCasts},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> NormOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
