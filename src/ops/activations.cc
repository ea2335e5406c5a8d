// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Activations.

#include "src/kernels/elementwise/activation_functions.h"
#include "src/ops/elementwise.h"
#include "src/ops/shapes.h"  // NormalizeDim
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

// Functions of a tensor and one, two or three numbers, which do not count for the dtype.

Error PrepareLeakyRelu(PrepareContext& c, const Tensor& a, Scalar slope, Tensor& out) {
  return PrepareMap(c, {a, slope}, a.dtype(), kSameType, out);
}
Error PrepareTwoNumbers(PrepareContext& c, const Tensor& a, Scalar x, Scalar y, Tensor& out) {
  return PrepareMap(c, {a, x, y}, a.dtype(), kNoBool, out);
}
Error RunTwoNumbers(RunContext& c, const Tensor& a, Scalar x, Scalar y, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckFits({x, y}, a.dtype()));
  return RunMap(c, {a, x, y}, out);
}
Error PrepareElu(PrepareContext& c, const Tensor& a, Scalar alpha, Scalar scale, Scalar input_scale,
                 Tensor& out) {
  return PrepareMap(c, {a, alpha, scale, input_scale}, a.dtype(), kSameType, out);
}
Error RunElu(RunContext& c, const Tensor& a, Scalar alpha, Scalar scale, Scalar input_scale,
             Tensor& out) {
  return RunMap(c, {a, alpha, scale, input_scale}, out);
}

// gelu, exact or approximate.

constexpr uint8_t kTanhVariant = 1;
constexpr auto kGeluLoops =
    Concat(kFloatLoops1<kernels::Gelu>, Variant(kTanhVariant, kFloatLoops1<kernels::GeluTanh>));

Error PrepareGelu(PrepareContext& c, const Tensor& a, std::string_view approximate, Tensor& out) {
  RL_CHECK(approximate == "none" || approximate == "tanh", Reason::kArgumentValue);
  return PrepareMap(c, {a}, a.dtype(), kSameType, out, approximate == "tanh" ? kTanhVariant : 0);
}
Error RunGelu(RunContext& c, const Tensor& a, std::string_view, Tensor& out) {
  return RunMap(c, {a}, out);
}

// glu: the first half of a dimension times the sigmoid of the second.

Error PrepareGlu(PrepareContext& c, const Tensor& a, int64_t, Tensor& out) {
  RL_CHECK(a.rank() > 0, Reason::kArgumentRank, Error::kNone, 0, 1);
  return PrepareMap(c, {a, a}, a.dtype(), kSameType, out);
}
Error RunGlu(RunContext& c, const Tensor& a, int64_t dim, Tensor& out) {
  size_t d = 0;
  RL_RETURN_IF_ERROR(NormalizeDim(dim, a.rank(), &d));
  RL_CHECK(a.size(d) % 2 == 0, Reason::kArgumentSize, Error::kNone, a.size(d));
  int32_t half[kMaxRank];
  for (size_t i = 0; i < a.rank(); ++i) half[i] = i == d ? a.size(i) / 2 : a.size(i);
  int64_t strides[kMaxRank];
  ComputeStrides(a, strides);
  const Span<const int32_t> sizes(half, a.rank());
  return RunMap(c, {Operand(a, sizes, 0), Operand(a, sizes, half[d] * strides[d])}, out);
}

using namespace kernels;  // the functions

constexpr Op kOps[] = {
    {"aten::elu.out", Boxed<PrepareElu, RunElu>, kFloatLoops4<Elu>, kCasts},
    {"aten::gelu.out", Boxed<PrepareGelu, RunGelu>, kGeluLoops, kCasts},
    {"aten::glu.out", Boxed<PrepareGlu, RunGlu>, kFloatLoops2<GatedLinear>, kCasts},
    {"aten::hardsigmoid.out", kUnary<kSameType>, kFloatLoops1<HardSigmoid>, kCasts},
    {"aten::hardswish.out", kUnary<kSameType>, kFloatLoops1<HardSwish>, kCasts},
    {"aten::hardtanh.out", Boxed<PrepareTwoNumbers, RunTwoNumbers>, kArithmeticLoops3<Clamp>,
     kCasts},
    {"aten::leaky_relu.out", Boxed<PrepareLeakyRelu, RunBinary<Scalar>>, kFloatLoops2<LeakyRelu>,
     kCasts},
    {"aten::log_sigmoid.out", kUnary<kSameType>, kFloatLoops1<LogSigmoid>, kCasts},
    {"aten::mish.out", kUnary<kSameType>, kFloatLoops1<Mish>, kCasts},
    {"aten::relu.out", kUnary<kNoBool>, kArithmeticLoops1<Relu>, kCasts},
    {"aten::silu.out", kUnary<kSameType>, kFloatLoops1<Silu>, kCasts},
    {"aten::softplus.out", Boxed<PrepareTwoNumbers, RunTwoNumbers>, kFloatLoops3<Softplus>, kCasts},
    {"aten::threshold.out", Boxed<PrepareTwoNumbers, RunTwoNumbers>, kArithmeticLoops3<Threshold>,
     kCasts},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> ActivationOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
