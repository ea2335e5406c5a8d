// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Mathematical functions of one operand.

#include <cmath>

#include "src/kernels/elementwise/activation_functions.h"  // Sigmoid
#include "src/kernels/elementwise/math_functions.h"
#include "src/ops/elementwise.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

// logit: without eps, a number that does not clamp.

Scalar EpsOrNone(std::optional<double> eps) { return Scalar(eps ? *eps : -1.0); }

Error PrepareLogit(PrepareContext& c, const Tensor& a, std::optional<double> eps, Tensor& out) {
  return PrepareMap(c, {a, EpsOrNone(eps)}, a.dtype(), kToFloat, out);
}
Error RunLogit(RunContext& c, const Tensor& a, std::optional<double> eps, Tensor& out) {
  return RunMap(c, {a, EpsOrNone(eps)}, out);
}

// round to decimals: a power of ten to multiply with, or one to divide by.

Error PrepareRoundDecimals(PrepareContext& c, const Tensor& a, int64_t, Tensor& out) {
  const Scalar one(1.0);
  return PrepareMap(c, {a, one, one}, a.dtype(), kSameType, out);
}
Error RunRoundDecimals(RunContext& c, const Tensor& a, int64_t decimals, Tensor& out) {
  const auto d = static_cast<double>(decimals);
  const Scalar factor(d > 0 ? std::pow(10.0, d) : 1.0);
  const Scalar divisor(d < 0 ? std::pow(10.0, -d) : 1.0);
  return RunMap(c, {a, factor, divisor}, out);
}

using namespace kernels;  // the functions

constexpr Op kOps[] = {
    {"aten::_conj_physical.out", kUnary<kSameType>, kArithmeticLoops1<Identity>, kCasts},
    {"aten::abs.out", kUnary<kNoBool>, kArithmeticLoops1<Abs>, kCasts},
    {"aten::acos.out", kUnary<kToFloat>, kFloatLoops1<Acos>, kCasts},
    {"aten::acosh.out", kUnary<kToFloat>, kFloatLoops1<Acosh>, kCasts},
    {"aten::asin.out", kUnary<kToFloat>, kFloatLoops1<Asin>, kCasts},
    {"aten::asinh.out", kUnary<kToFloat>, kFloatLoops1<Asinh>, kCasts},
    {"aten::atan.out", kUnary<kToFloat>, kFloatLoops1<Atan>, kCasts},
    {"aten::atanh.out", kUnary<kToFloat>, kFloatLoops1<Atanh>, kCasts},
    {"aten::ceil.out", kUnary<kNoBool>, kArithmeticLoops1<Ceil>, kCasts},
    {"aten::cos.out", kUnary<kToFloat>, kFloatLoops1<Cos>, kCasts},
    {"aten::cosh.out", kUnary<kToFloat>, kFloatLoops1<Cosh>, kCasts},
    {"aten::erf.out", kUnary<kToFloat>, kFloatLoops1<Erf>, kCasts},
    {"aten::erfc.out", kUnary<kToFloat>, kFloatLoops1<Erfc>, kCasts},
    {"aten::exp.out", kUnary<kToFloat>, kFloatLoops1<Exp>, kCasts},
    {"aten::exp2.out", kUnary<kToFloat>, kFloatLoops1<Exp2>, kCasts},
    {"aten::expm1.out", kUnary<kToFloat>, kFloatLoops1<Expm1>, kCasts},
    {"aten::floor.out", kUnary<kNoBool>, kArithmeticLoops1<Floor>, kCasts},
    {"aten::log.out", kUnary<kToFloat>, kFloatLoops1<Log>, kCasts},
    {"aten::log10.out", kUnary<kToFloat>, kFloatLoops1<Log10>, kCasts},
    {"aten::log1p.out", kUnary<kToFloat>, kFloatLoops1<Log1p>, kCasts},
    {"aten::log2.out", kUnary<kToFloat>, kFloatLoops1<Log2>, kCasts},
    {"aten::logit.out", Boxed<PrepareLogit, RunLogit>, kFloatLoops2<Logit>, kCasts},
    {"aten::neg.out", kUnary<kNoBool>, kArithmeticLoops1<Neg>, kCasts},
    {"aten::reciprocal.out", kUnary<kToFloat>, kFloatLoops1<Reciprocal>, kCasts},
    {"aten::round.decimals_out", Boxed<PrepareRoundDecimals, RunRoundDecimals>,
     kFloatLoops3<RoundDecimals>, kCasts},
    {"aten::round.out", kUnary<kNoBool>, kArithmeticLoops1<Round>, kCasts},
    {"aten::rsqrt.out", kUnary<kToFloat>, kFloatLoops1<Rsqrt>, kCasts},
    {"aten::sigmoid.out", kUnary<kToFloat>, kFloatLoops1<Sigmoid>, kCasts},
    {"aten::sign.out", kUnary<kSameType>, kArithmeticLoops1<Sign>, kCasts},
    {"aten::sin.out", kUnary<kToFloat>, kFloatLoops1<Sin>, kCasts},
    {"aten::sinh.out", kUnary<kToFloat>, kFloatLoops1<Sinh>, kCasts},
    {"aten::sqrt.out", kUnary<kToFloat>, kFloatLoops1<Sqrt>, kCasts},
    {"aten::tan.out", kUnary<kToFloat>, kFloatLoops1<Tan>, kCasts},
    {"aten::tanh.out", kUnary<kToFloat>, kFloatLoops1<Tanh>, kCasts},
    {"aten::trunc.out", kUnary<kNoBool>, kArithmeticLoops1<Trunc>, kCasts},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> UnaryOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
