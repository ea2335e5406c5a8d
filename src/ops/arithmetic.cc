// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Arithmetic of two operands and more.

#include "src/kernels/elementwise/functions.h"
#include "src/ops/elementwise.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

// Many operators have two forms.  B is the type of their last operand: const Tensor& or Scalar.

// add, sub, rsub: a + alpha * b.

Error PrepareScaled(PrepareContext& c, Operand a, Operand b, Scalar alpha, MapRules rules,
                    const Tensor& out) {
  const DType common = CommonType({a, b});
  RL_CHECK(!alpha.is_floating() || IsFloating(common), Reason::kArgumentValue);
  return PrepareMap(c, {a, b, alpha}, common, rules | kRounded, out);
}
template <class B>
Error PrepareAdd(PrepareContext& c, const Tensor& a, B b, Scalar alpha, Tensor& out) {
  return PrepareScaled(c, a, b, alpha, kSameType, out);
}
template <class B>
Error PrepareSub(PrepareContext& c, const Tensor& a, B b, Scalar alpha, Tensor& out) {
  return PrepareScaled(c, a, b, alpha, kNoBool, out);
}
template <class B>
Error RunAdd(RunContext& c, const Tensor& a, B b, Scalar alpha, Tensor& out) {
  return RunMap(c, {a, b, alpha}, out);
}
Error PrepareRsub(PrepareContext& c, const Tensor& a, Scalar b, Scalar alpha, Tensor& out) {
  return PrepareScaled(c, b, a, alpha, kNoBool, out);
}
Error RunRsub(RunContext& c, const Tensor& a, Scalar b, Scalar alpha, Tensor& out) {
  return RunMap(c, {b, a, alpha}, out);
}

// addcmul, addcdiv: a + value * x * y, a + value * x / y.

Error PrepareAddProduct(PrepareContext& c, const Tensor& a, const Tensor& x, const Tensor& y,
                        Scalar value, Tensor& out) {
  return PrepareMap(c, {a, x, y, value}, CommonType({a, x, y}), kNoBool, out);
}
Error RunAddProduct(RunContext& c, const Tensor& a, const Tensor& x, const Tensor& y, Scalar value,
                    Tensor& out) {
  return RunMap(c, {a, x, y, value}, out);
}

// Division with a rounding mode.

constexpr uint8_t kTruncVariant = 1;
constexpr uint8_t kFloorVariant = 2;
constexpr auto kDivModeLoops = Concat(
    kFloatLoops2<kernels::Div>, Concat(Variant(kTruncVariant, kDivisionLoops<kernels::DivTrunc>),
                                       Variant(kFloorVariant, kDivisionLoops<kernels::DivFloor>)));

using RoundingMode = std::optional<std::string_view>;

Error PrepareRoundedDiv(PrepareContext& c, Operand a, Operand b, uint8_t variant,
                        const Tensor& out) {
  const DType common = CommonType({a, b});
  // PyTorch rounds an integer divisor to the common dtype, a floating-point one not.
  const MapRules rules = IsFloating(common) ? kSameType : kNoBool | kRounded;
  return PrepareMap(c, {a, b}, common, rules, out, variant);
}
template <class B>
Error PrepareDiv(PrepareContext& c, const Tensor& a, B b, RoundingMode mode, Tensor& out) {
  if (!mode) return PrepareMap(c, {a, b}, CommonType({a, b}), kToFloat, out);
  RL_CHECK(*mode == "trunc" || *mode == "floor", Reason::kArgumentValue);
  return PrepareRoundedDiv(c, a, b, *mode == "trunc" ? kTruncVariant : kFloorVariant, out);
}
template <class B>
Error RunDiv(RunContext& c, const Tensor& a, B b, RoundingMode, Tensor& out) {
  return RunMap(c, {a, b}, out);
}
template <class B>
Error PrepareFloorDivide(PrepareContext& c, const Tensor& a, B b, Tensor& out) {
  return PrepareRoundedDiv(c, a, b, 0, out);
}

// pow with a number on one side.

Error RunPowNumber(RunContext& c, const Tensor& a, Scalar b, Tensor& out) {
  RL_CHECK(IsFloating(CommonType({a, b})) || b.to_int() >= 0, Reason::kArgumentValue, Error::kNone,
           b.to_int());
  return RunMap(c, {a, b}, out);
}
Error PreparePowOfNumber(PrepareContext& c, Scalar a, const Tensor& b, Tensor& out) {
  return PrepareMap(c, {a, b}, CommonType({a, b}), kNoBool | kRounded, out);
}
Error RunPowOfNumber(RunContext& c, Scalar a, const Tensor& b, Tensor& out) {
  return RunMap(c, {a, b}, out);
}
constexpr auto kPowNumberLoops = Concat(
    LoopList<2>{
        MakeLoop<&kernels::MapNumber<kernels::PowNumber, float>>(DType::kFloat32, DType::kFloat32),
        MakeLoop<&kernels::MapNumber<kernels::PowNumber, double>>(DType::kFloat64,
                                                                  DType::kFloat64)},
    kIntegerLoops2<kernels::Pow>);

// clamp.  There are always three operands, since numbers may come and go while the method runs: the
// tensor, and in place of a bound that is absent the other one, which the loop of that variant does
// not look at.

constexpr uint8_t kLowVariant = 1;   // no upper bound
constexpr uint8_t kHighVariant = 2;  // no lower bound
constexpr auto kLowLoops = Variant(kLowVariant, kArithmeticLoops2<kernels::Maximum>);
constexpr auto kHighLoops = Variant(kHighVariant, kArithmeticLoops2<kernels::Minimum>);
constexpr auto kClampLoops =
    Concat(kArithmeticLoops3<kernels::Clamp>, Concat(kLowLoops, kHighLoops));

using Number = std::optional<Scalar>;
using Bound = std::optional<Operand>;
Bound ToBound(const Number& number) { return number ? Bound(*number) : Bound(); }
Bound ToBound(const Tensor* tensor) { return tensor != nullptr ? Bound(*tensor) : Bound(); }

Error PrepareBounds(PrepareContext& c, const Tensor& a, const Bound& low, const Bound& high,
                    const Tensor& out) {
  RL_CHECK(low || high, Reason::kArgumentNull);
  const Operand& first = low ? *low : *high;
  const Operand& second = high ? *high : *low;
  return PrepareMap(c, {a, first, second}, CommonType({a, first, second}), kSameType, out,
                    !high  ? kLowVariant
                    : !low ? kHighVariant
                           : 0);
}
Error RunBounds(RunContext& c, const Tensor& a, const Bound& low, const Bound& high, Tensor& out) {
  RL_CHECK(low || high, Reason::kArgumentNull);
  const Operand& first = low ? *low : *high;
  const Operand& second = high ? *high : *low;
  RL_RETURN_IF_ERROR(CheckFits({first, second}, CommonType({a, first, second})));
  return RunMap(c, {a, first, second}, out);
}

template <class T>  // T: Number or const Tensor*
Error PrepareClamp(PrepareContext& c, const Tensor& a, T low, T high, Tensor& out) {
  return PrepareBounds(c, a, ToBound(low), ToBound(high), out);
}
template <class T>
Error RunClamp(RunContext& c, const Tensor& a, T low, T high, Tensor& out) {
  return RunBounds(c, a, ToBound(low), ToBound(high), out);
}
Error PrepareClampMin(PrepareContext& c, const Tensor& a, Scalar low, Tensor& out) {
  return PrepareBounds(c, a, Operand(low), {}, out);
}
Error RunClampMin(RunContext& c, const Tensor& a, Scalar low, Tensor& out) {
  return RunBounds(c, a, Operand(low), {}, out);
}
Error PrepareClampMax(PrepareContext& c, const Tensor& a, Scalar high, Tensor& out) {
  return PrepareBounds(c, a, {}, Operand(high), out);
}
Error RunClampMax(RunContext& c, const Tensor& a, Scalar high, Tensor& out) {
  return RunBounds(c, a, {}, Operand(high), out);
}

// lerp.

Error PrepareLerp(PrepareContext& c, const Tensor& a, const Tensor& b, const Tensor& weight,
                  Tensor& out) {
  return PrepareMap(c, {a, b, weight}, CommonType({a, b, weight}), kSameType, out);
}
Error PrepareLerpNumber(PrepareContext& c, const Tensor& a, const Tensor& b, Scalar weight,
                        Tensor& out) {
  return PrepareMap(c, {a, b, weight}, CommonType({a, b}), kSameType, out);
}
template <class B>
Error RunLerp(RunContext& c, const Tensor& a, const Tensor& b, B weight, Tensor& out) {
  return RunMap(c, {a, b, weight}, out);
}

using namespace kernels;  // the functions

constexpr Op kOps[] = {
    {"aten::add.Scalar_out", Boxed<PrepareAdd<Scalar>, RunAdd<Scalar>>,
     kArithmeticLoops3<AddScaled>, kCasts},
    {"aten::add.out", Boxed<PrepareAdd<const Tensor&>, RunAdd<const Tensor&>>,
     kArithmeticLoops3<AddScaled>, kCasts},
    {"aten::addcdiv.out", Boxed<PrepareAddProduct, RunAddProduct>, kFloatLoops4<AddQuotient>,
     kCasts},
    {"aten::addcmul.out", Boxed<PrepareAddProduct, RunAddProduct>, kArithmeticLoops4<AddProduct>,
     kCasts},
    {"aten::atan2.out", kBinary<kToFloat | kRounded>, kFloatLoops2<Atan2>, kCasts},
    {"aten::clamp.Tensor_out", Boxed<PrepareClamp<const Tensor*>, RunClamp<const Tensor*>>,
     kClampLoops, kCasts},
    {"aten::clamp.out", Boxed<PrepareClamp<Number>, RunClamp<Number>>, kClampLoops, kCasts},
    {"aten::clamp_max.Tensor_out", kBinary<kRounded>, kArithmeticLoops2<Minimum>, kCasts},
    {"aten::clamp_max.out", Boxed<PrepareClampMax, RunClampMax>, kHighLoops, kCasts},
    {"aten::clamp_min.Tensor_out", kBinary<kRounded>, kArithmeticLoops2<Maximum>, kCasts},
    {"aten::clamp_min.out", Boxed<PrepareClampMin, RunClampMin>, kLowLoops, kCasts},
    {"aten::copysign.Scalar_out", kBinaryNumber<kToFloat>, kFloatLoops2<CopySign>, kCasts},
    {"aten::copysign.out", kBinary<kToFloat>, kFloatLoops2<CopySign>, kCasts},
    {"aten::div.Scalar_mode_out", Boxed<PrepareDiv<Scalar>, RunDiv<Scalar>>, kDivModeLoops, kCasts},
    {"aten::div.Scalar_out", kBinaryNumber<kToFloat>, kFloatLoops2<Div>, kCasts},
    {"aten::div.out", kBinary<kToFloat>, kFloatLoops2<Div>, kCasts},
    {"aten::div.out_mode", Boxed<PrepareDiv<const Tensor&>, RunDiv<const Tensor&>>, kDivModeLoops,
     kCasts},
    {"aten::floor_divide.Scalar_out", Boxed<PrepareFloorDivide<Scalar>, RunBinary<Scalar>>,
     kDivisionLoops<DivFloor>, kCasts},
    {"aten::floor_divide.out", Boxed<PrepareFloorDivide<const Tensor&>, RunBinary<const Tensor&>>,
     kDivisionLoops<DivFloor>, kCasts},
    {"aten::fmod.Scalar_out", kBinaryNumber<kNoBool | kRounded>, kDivisionLoops<Fmod>, kCasts},
    {"aten::fmod.Tensor_out", kBinary<kNoBool | kRounded>, kDivisionLoops<Fmod>, kCasts},
    {"aten::hypot.out", kBinary<kRounded>, kFloatLoops2<Hypot>, kCasts},
    {"aten::lerp.Scalar_out", Boxed<PrepareLerpNumber, RunLerp<Scalar>>, kFloatLoops3<Lerp>,
     kCasts},
    {"aten::lerp.Tensor_out", Boxed<PrepareLerp, RunLerp<const Tensor&>>, kFloatLoops3<Lerp>,
     kCasts},
    {"aten::maximum.out", kBinary<kRounded>, kArithmeticLoops2<Maximum>, kCasts},
    {"aten::minimum.out", kBinary<kRounded>, kArithmeticLoops2<Minimum>, kCasts},
    {"aten::mul.Scalar_out", kBinaryNumber<kSameType>, kArithmeticLoops2<Mul>, kCasts},
    {"aten::mul.out", kBinary<kSameType>, kArithmeticLoops2<Mul>, kCasts},
    {"aten::pow.Scalar_out", Boxed<PreparePowOfNumber, RunPowOfNumber>, kArithmeticLoops2<Pow>,
     kCasts},
    {"aten::pow.Tensor_Scalar_out", Boxed<PrepareBinary<kNoBool | kRounded, Scalar>, RunPowNumber>,
     kPowNumberLoops, kCasts},
    {"aten::pow.Tensor_Tensor_out", kBinary<kNoBool | kRounded>, kArithmeticLoops2<Pow>, kCasts},
    {"aten::remainder.Scalar_out", kBinaryNumber<kNoBool | kRounded>, kDivisionLoops<Remainder>,
     kCasts},
    {"aten::remainder.Tensor_out", kBinary<kNoBool | kRounded>, kDivisionLoops<Remainder>, kCasts},
    {"aten::rsub.Scalar_out", Boxed<PrepareRsub, RunRsub>, kArithmeticLoops3<SubScaled>, kCasts},
    {"aten::sub.Scalar_out", Boxed<PrepareSub<Scalar>, RunAdd<Scalar>>,
     kArithmeticLoops3<SubScaled>, kCasts},
    {"aten::sub.out", Boxed<PrepareSub<const Tensor&>, RunAdd<const Tensor&>>,
     kArithmeticLoops3<SubScaled>, kCasts},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> ArithmeticOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
