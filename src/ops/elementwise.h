// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Elementwise operators: broadcasting, dtype promotion and layout, once, for all of them.
//
// An operator says what it computes in; the rest is here:
//
//   Error PrepareAddcmul(PrepareContext& c, const Tensor& a, ..., Scalar value, Tensor& out) {
//     return PrepareMap(c, {a, x, y, value}, CommonType({a, x, y}), kSameType, out);
//   }
//   Error RunAddcmul(RunContext& c, const Tensor& a, ..., Scalar value, Tensor& out) {
//     return RunMap(c, {a, x, y, value}, out);
//   }
//   ... {"aten::addcmul.out", Boxed<PrepareAddcmul, RunAddcmul>, kArithmeticLoops4<F>, kCasts} ...
//
// The signatures that most operators have are ready: kUnary, kBinary, kBinaryNumber.
#pragma once

#include <array>
#include <initializer_list>

#include "rushlight/op.h"
#include "src/kernels/elementwise/elementwise.h"
#include "src/ops/casts.h"

namespace rushlight::ops {

// The type that loops compute in for a common dtype: float32 for the 16-bit floats, int32 for
// narrow integers and bool, int64 for wide ones, float64.
DType ComputeType(DType common);

// An operand: a tensor, a part of one, or a number that is converted to the compute type.
class Operand {
 public:
  Operand(const Tensor& tensor) : tensor_(&tensor), sizes_(tensor.sizes()) {}
  Operand(Scalar scalar) : scalar_(scalar) {}
  // The elements from `offset` on (in memory), over these sizes with the strides of the tensor.
  // Requires: sizes.size() == tensor.rank(), and all of them inside the tensor.
  Operand(const Tensor& tensor, Span<const int32_t> sizes, int64_t offset)
      : tensor_(&tensor), sizes_(sizes), offset_(offset) {}

  const Tensor* tensor() const { return tensor_; }
  Scalar scalar() const { return scalar_; }
  Span<const int32_t> sizes() const { return sizes_; }
  int64_t offset() const { return offset_; }
  DType dtype() const { return tensor_ != nullptr ? tensor_->dtype() : scalar_.dtype(); }

 private:
  const Tensor* tensor_ = nullptr;
  Span<const int32_t> sizes_;
  int64_t offset_ = 0;
  Scalar scalar_;
};

// The dtype that PyTorch computes a mix of tensors and numbers in.  A number, and a tensor without
// dimensions, counts only where it is of a higher kind (bool, integer, floating point) than every
// tensor with dimensions.
DType CommonType(std::initializer_list<Operand> operands);

// What an operator does with dtypes; a sum of these.
using MapRules = unsigned;
inline constexpr MapRules kSameType = 0;  // the result has the common dtype
inline constexpr MapRules kToFloat = 1;   // integers and bool are computed in, and give, float32
inline constexpr MapRules kToBool = 2;    // the result is bool
inline constexpr MapRules kNoBool = 4;    // bool is refused as common dtype
// The first two operands take the common dtype before they are used: float16(0.1) equals 0.1, and
// int8(44) the tensor 300.  Without it they go straight to the compute type, which is quicker.
// Requires: other operands are numbers.
inline constexpr MapRules kRounded = 8;

// Picks the loop that computes in ComputeType(common), and the casts from the inputs' dtypes and to
// out's.
Error PrepareMap(PrepareContext& c, std::initializer_list<Operand> inputs, DType common,
                 MapRules rules, const Tensor& out, uint8_t variant = 0);

// Resizes `out` to the broadcast shape and runs the loop over it.
Error RunMap(RunContext& c, std::initializer_list<Operand> inputs, Tensor& out);

// Fails with kArgumentValue where the compute type cannot hold a number among the operands.  For
// bounds and the like; elsewhere numbers wrap around.
Error CheckFits(std::initializer_list<Operand> operands, DType common);

// The shape that tensors broadcast to, or kBroadcast.
struct Shape {
  int32_t sizes[kMaxRank];
  size_t rank = 0;
  Span<const int32_t> span() const { return {sizes, rank}; }
};
Error BroadcastShape(std::initializer_list<Operand> inputs, Shape* shape);
// Widens `shape` to what it and `sizes` broadcast to.  Requires: sizes.size() <= kMaxRank.
Error Broadcast(Span<const int32_t> sizes, Shape* shape);

// ---------------------------------------------------------------------------------------------
// Signatures.

template <MapRules rules>
Error PrepareUnary(PrepareContext& c, const Tensor& a, Tensor& out) {
  return PrepareMap(c, {a}, a.dtype(), rules, out);
}
inline Error RunUnary(RunContext& c, const Tensor& a, Tensor& out) { return RunMap(c, {a}, out); }

template <MapRules rules, class B>  // B: const Tensor& or Scalar
Error PrepareBinary(PrepareContext& c, const Tensor& a, B b, Tensor& out) {
  return PrepareMap(c, {a, b}, CommonType({a, b}), rules, out);
}
template <class B>
Error RunBinary(RunContext& c, const Tensor& a, B b, Tensor& out) {
  return RunMap(c, {a, b}, out);
}

template <MapRules rules>
inline constexpr PrepareFn kUnary = Boxed<PrepareUnary<rules>, RunUnary>;
template <MapRules rules>
inline constexpr PrepareFn kBinary =
    Boxed<PrepareBinary<rules, const Tensor&>, RunBinary<const Tensor&>>;
template <MapRules rules>
inline constexpr PrepareFn kBinaryNumber = Boxed<PrepareBinary<rules, Scalar>, RunBinary<Scalar>>;

// ---------------------------------------------------------------------------------------------
// Tables of loops.

template <size_t N>
using LoopList = std::array<Loop, N>;

template <size_t N, size_t M>
constexpr LoopList<N + M> Concat(const LoopList<N>& a, const LoopList<M>& b) {
  LoopList<N + M> all{};
  for (size_t i = 0; i < N; ++i) all[i] = a[i];
  for (size_t i = 0; i < M; ++i) all[N + i] = b[i];
  return all;
}

// The same loops as a variant of an operator.
template <size_t N>
constexpr LoopList<N> Variant(uint8_t variant, LoopList<N> loops) {
  for (size_t i = 0; i < N; ++i) loops[i].variant = variant;
  return loops;
}

// Loops of a function in each compute type.  F has a template call operator.
#define RL_MAP_LOOPS(INPUTS)                                                           \
  template <class F>                                                                   \
  inline constexpr LoopList<2> kFloatLoops##INPUTS = {                                 \
      MakeLoop<&kernels::Map##INPUTS<F, float>>(DType::kFloat32, DType::kFloat32),     \
      MakeLoop<&kernels::Map##INPUTS<F, double>>(DType::kFloat64, DType::kFloat64)};   \
  template <class F>                                                                   \
  inline constexpr LoopList<2> kIntegerLoops##INPUTS = {                               \
      MakeLoop<&kernels::Map##INPUTS<F, int32_t>>(DType::kInt32, DType::kInt32),       \
      MakeLoop<&kernels::Map##INPUTS<F, int64_t>>(DType::kInt64, DType::kInt64)};      \
  template <class F>                                                                   \
  inline constexpr LoopList<4> kArithmeticLoops##INPUTS =                              \
      Concat(kFloatLoops##INPUTS<F>, kIntegerLoops##INPUTS<F>);                        \
  template <class F>                                                                   \
  inline constexpr LoopList<4> kPredicateLoops##INPUTS = {                             \
      MakeLoop<&kernels::Map##INPUTS<F, float, bool>>(DType::kFloat32, DType::kBool),  \
      MakeLoop<&kernels::Map##INPUTS<F, double, bool>>(DType::kFloat64, DType::kBool), \
      MakeLoop<&kernels::Map##INPUTS<F, int32_t, bool>>(DType::kInt32, DType::kBool),  \
      MakeLoop<&kernels::Map##INPUTS<F, int64_t, bool>>(DType::kInt64, DType::kBool)};
RL_MAP_LOOPS(1)
RL_MAP_LOOPS(2)
RL_MAP_LOOPS(3)
RL_MAP_LOOPS(4)
#undef RL_MAP_LOOPS

// Of a division: among integers, a zero divisor makes RunMap fail with kArgumentValue.
template <class F>
inline constexpr LoopList<4> kDivisionLoops =
    Concat(kFloatLoops2<F>,
           LoopList<2>{MakeLoop<&kernels::MapDivide<F, int32_t>>(DType::kInt32, DType::kInt32),
                       MakeLoop<&kernels::MapDivide<F, int64_t>>(DType::kInt64, DType::kInt64)});

}  // namespace rushlight::ops
