// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Binary arithmetic and comparison.

#include "src/kernels/elementwise/functions.h"
#include "src/ops/elementwise.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

using kernels::AddScaled;
using kernels::SubScaled;

// add, sub: a + alpha * b.

Error PrepareAdd(PrepareContext& c, const Tensor& a, const Tensor& b, Scalar alpha, Tensor& out) {
  return PrepareMap(c, {a, b, alpha}, CommonType({a, b}), kSameType, out);
}
Error RunAdd(RunContext& c, const Tensor& a, const Tensor& b, Scalar alpha, Tensor& out) {
  return RunMap(c, {a, b, alpha}, out);
}
Error PrepareAddScalar(PrepareContext& c, const Tensor& a, Scalar b, Scalar alpha, Tensor& out) {
  return PrepareMap(c, {a, b, alpha}, CommonType({a, b}), kSameType, out);
}
Error RunAddScalar(RunContext& c, const Tensor& a, Scalar b, Scalar alpha, Tensor& out) {
  return RunMap(c, {a, b, alpha}, out);
}
Error PrepareRsubScalar(PrepareContext& c, const Tensor& a, Scalar b, Scalar alpha, Tensor& out) {
  return PrepareMap(c, {b, a, alpha}, CommonType({a, b}), kSameType, out);
}
Error RunRsubScalar(RunContext& c, const Tensor& a, Scalar b, Scalar alpha, Tensor& out) {
  return RunMap(c, {b, a, alpha}, out);
}

// Functions of two operands, of which the second may be a number.

Error PrepareBinary(PrepareContext& c, const Tensor& a, const Tensor& b, Tensor& out) {
  return PrepareMap(c, {a, b}, CommonType({a, b}), kSameType, out);
}
Error RunBinary(RunContext& c, const Tensor& a, const Tensor& b, Tensor& out) {
  return RunMap(c, {a, b}, out);
}
Error PrepareBinaryScalar(PrepareContext& c, const Tensor& a, Scalar b, Tensor& out) {
  return PrepareMap(c, {a, b}, CommonType({a, b}), kSameType, out);
}
Error RunBinaryScalar(RunContext& c, const Tensor& a, Scalar b, Tensor& out) {
  return RunMap(c, {a, b}, out);
}
// The same in floating point, whatever the operands are.

DType FloatType(DType common) { return IsFloating(common) ? common : DType::kFloat32; }

Error PrepareFloatBinary(PrepareContext& c, const Tensor& a, const Tensor& b, Tensor& out) {
  return PrepareMap(c, {a, b}, FloatType(CommonType({a, b})), kSameType, out);
}
Error PrepareFloatBinaryScalar(PrepareContext& c, const Tensor& a, Scalar b, Tensor& out) {
  return PrepareMap(c, {a, b}, FloatType(CommonType({a, b})), kSameType, out);
}

// Comparisons and logic: bool out of operands of any type.

Error PrepareCompare(PrepareContext& c, const Tensor& a, const Tensor& b, Tensor& out) {
  return PrepareMap(c, {a, b}, CommonType({a, b}), DType::kBool, out);
}
Error PrepareCompareScalar(PrepareContext& c, const Tensor& a, Scalar b, Tensor& out) {
  return PrepareMap(c, {a, b}, CommonType({a, b}), DType::kBool, out);
}

constexpr auto kAddLoops = ArithmeticLoops3<AddScaled>();
constexpr auto kSubLoops = ArithmeticLoops3<SubScaled>();
constexpr auto kMulLoops = ArithmeticLoops2<kernels::Mul>();
constexpr auto kDivLoops = FloatLoops2<kernels::Div>();
constexpr auto kEqLoops = PredicateLoops2<kernels::Eq>();

constexpr Op kOps[] = {
    {"aten::add.Scalar_out", Boxed<PrepareAddScalar, RunAddScalar>, kAddLoops, kCasts},
    {"aten::add.out", Boxed<PrepareAdd, RunAdd>, kAddLoops, kCasts},
    {"aten::div.Scalar_out", Boxed<PrepareFloatBinaryScalar, RunBinaryScalar>, kDivLoops, kCasts},
    {"aten::div.out", Boxed<PrepareFloatBinary, RunBinary>, kDivLoops, kCasts},
    {"aten::eq.Scalar_out", Boxed<PrepareCompareScalar, RunBinaryScalar>, kEqLoops, kCasts},
    {"aten::eq.Tensor_out", Boxed<PrepareCompare, RunBinary>, kEqLoops, kCasts},
    {"aten::mul.Scalar_out", Boxed<PrepareBinaryScalar, RunBinaryScalar>, kMulLoops, kCasts},
    {"aten::mul.out", Boxed<PrepareBinary, RunBinary>, kMulLoops, kCasts},
    {"aten::rsub.Scalar_out", Boxed<PrepareRsubScalar, RunRsubScalar>, kSubLoops, kCasts},
    {"aten::sub.Scalar_out", Boxed<PrepareAddScalar, RunAddScalar>, kSubLoops, kCasts},
    {"aten::sub.out", Boxed<PrepareAdd, RunAdd>, kSubLoops, kCasts},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> ArithmeticOps() { return kOps; }

}  // namespace rushlight::ops
