// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Comparison, logic, bits, choice.

#include <type_traits>

#include "src/kernels/elementwise/logic_functions.h"
#include "src/ops/elementwise.h"
#include "src/ops/shapes.h"  // CheckRank
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

// bitwise_not: the exclusive or with all bits, of which a bool has one.

Scalar AllBits(const Tensor& a) { return Scalar(int64_t{a.dtype() == DType::kBool ? 1 : -1}); }

Error PrepareBitwiseNot(PrepareContext& c, const Tensor& a, Tensor& out) {
  return PrepareMap(c, {a, AllBits(a)}, a.dtype(), kSameType, out);
}
Error RunBitwiseNot(RunContext& c, const Tensor& a, Tensor& out) {
  return RunMap(c, {a, AllBits(a)}, out);
}

// where, masked_fill: condition ? a : b.

Error CheckMask(const Tensor& mask, size_t argument) {
  if (mask.dtype() == DType::kBool || mask.dtype() == DType::kUInt8) return kOk;
  return Error(Reason::kArgumentDType, Error::kNone, static_cast<int64_t>(mask.dtype()),
               static_cast<int64_t>(DType::kBool))
      .WithArgument(argument);
}
Error PrepareWhere(PrepareContext& c, const Tensor& condition, const Tensor& a, const Tensor& b,
                   Tensor& out) {
  RL_RETURN_IF_ERROR(CheckMask(condition, 0));
  return PrepareMap(c, {condition, a, b}, CommonType({a, b}), kSameType, out);
}
Error RunWhere(RunContext& c, const Tensor& condition, const Tensor& a, const Tensor& b,
               Tensor& out) {
  return RunMap(c, {condition, a, b}, out);
}
template <class B>  // B: const Tensor& or Scalar
Error PrepareMaskedFill(PrepareContext& c, const Tensor& self, const Tensor& mask, B value,
                        Tensor& out) {
  RL_RETURN_IF_ERROR(CheckDType(mask, DType::kBool, 1));
  if constexpr (!std::is_same_v<B, Scalar>) RL_RETURN_IF_ERROR(CheckRank(value, 0, 2));
  return PrepareMap(c, {mask, value, self}, self.dtype(), kSameType, out);
}
template <class B>
Error RunMaskedFill(RunContext& c, const Tensor& self, const Tensor& mask, B value, Tensor& out) {
  return RunMap(c, {mask, value, self}, out);
}

using namespace kernels;  // the functions

constexpr PrepareFn kCompare = kBinary<kToBool | kRounded>;
constexpr PrepareFn kCompareNumber = kBinaryNumber<kToBool | kRounded>;
constexpr PrepareFn kShift = kBinary<kNoBool | kRounded>;
constexpr PrepareFn kShiftNumber = kBinaryNumber<kNoBool | kRounded>;

constexpr Op kOps[] = {
    {"aten::bitwise_and.Scalar_out", kBinaryNumber<kSameType>, kIntegerLoops2<BitwiseAnd>, kCasts},
    {"aten::bitwise_and.Tensor_out", kBinary<kSameType>, kIntegerLoops2<BitwiseAnd>, kCasts},
    {"aten::bitwise_left_shift.Tensor_Scalar_out", kShiftNumber, kIntegerLoops2<LeftShift>, kCasts},
    {"aten::bitwise_left_shift.Tensor_out", kShift, kIntegerLoops2<LeftShift>, kCasts},
    {"aten::bitwise_not.out", Boxed<PrepareBitwiseNot, RunBitwiseNot>, kIntegerLoops2<BitwiseXor>,
     kCasts},
    {"aten::bitwise_or.Scalar_out", kBinaryNumber<kSameType>, kIntegerLoops2<BitwiseOr>, kCasts},
    {"aten::bitwise_or.Tensor_out", kBinary<kSameType>, kIntegerLoops2<BitwiseOr>, kCasts},
    {"aten::bitwise_right_shift.Tensor_Scalar_out", kShiftNumber, kIntegerLoops2<RightShift>,
     kCasts},
    {"aten::bitwise_right_shift.Tensor_out", kShift, kIntegerLoops2<RightShift>, kCasts},
    {"aten::bitwise_xor.Scalar_out", kBinaryNumber<kSameType>, kIntegerLoops2<BitwiseXor>, kCasts},
    {"aten::bitwise_xor.Tensor_out", kBinary<kSameType>, kIntegerLoops2<BitwiseXor>, kCasts},
    {"aten::eq.Scalar_out", kCompareNumber, kPredicateLoops2<Eq>, kCasts},
    {"aten::eq.Tensor_out", kCompare, kPredicateLoops2<Eq>, kCasts},
    {"aten::ge.Scalar_out", kCompareNumber, kPredicateLoops2<Ge>, kCasts},
    {"aten::ge.Tensor_out", kCompare, kPredicateLoops2<Ge>, kCasts},
    {"aten::gt.Scalar_out", kCompareNumber, kPredicateLoops2<Gt>, kCasts},
    {"aten::gt.Tensor_out", kCompare, kPredicateLoops2<Gt>, kCasts},
    {"aten::isinf.out", kUnary<kToBool>, kPredicateLoops1<IsInf>, kCasts},
    {"aten::isnan.out", kUnary<kToBool>, kPredicateLoops1<IsNan>, kCasts},
    {"aten::le.Scalar_out", kCompareNumber, kPredicateLoops2<Le>, kCasts},
    {"aten::le.Tensor_out", kCompare, kPredicateLoops2<Le>, kCasts},
    {"aten::logical_and.out", kCompare, kPredicateLoops2<LogicalAnd>, kCasts},
    {"aten::logical_not.out", kUnary<kToBool>, kPredicateLoops1<LogicalNot>, kCasts},
    {"aten::logical_or.out", kCompare, kPredicateLoops2<LogicalOr>, kCasts},
    {"aten::logical_xor.out", kCompare, kPredicateLoops2<LogicalXor>, kCasts},
    {"aten::lt.Scalar_out", kCompareNumber, kPredicateLoops2<Lt>, kCasts},
    {"aten::lt.Tensor_out", kCompare, kPredicateLoops2<Lt>, kCasts},
    {"aten::masked_fill.Scalar_out", Boxed<PrepareMaskedFill<Scalar>, RunMaskedFill<Scalar>>,
     kArithmeticLoops3<Where>, kCasts},
    {"aten::masked_fill.Tensor_out",
     Boxed<PrepareMaskedFill<const Tensor&>, RunMaskedFill<const Tensor&>>,
     kArithmeticLoops3<Where>, kCasts},
    {"aten::ne.Scalar_out", kCompareNumber, kPredicateLoops2<Ne>, kCasts},
    {"aten::ne.Tensor_out", kCompare, kPredicateLoops2<Ne>, kCasts},
    {"aten::where.self_out", Boxed<PrepareWhere, RunWhere>, kArithmeticLoops3<Where>, kCasts},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> LogicOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
