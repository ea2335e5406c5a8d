// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Elementwise operators: broadcasting, dtype promotion and layout, once, for all of them.
//
// An operator says what it computes in; the rest is here:
//
//   Error PrepareMul(PrepareContext& c, const Tensor& a, const Tensor& b, Tensor& out) {
//     return PrepareMap(c, {a, b}, PromoteTypes(a.dtype(), b.dtype()), kSameType, out);
//   }
//   Error RunMul(RunContext& c, const Tensor& a, const Tensor& b, Tensor& out) {
//     return RunMap(c, {a, b}, out);
//   }
//   constexpr auto kMulLoops = ArithmeticLoops2<Mul>();
//   ... {"aten::mul.out", Boxed<PrepareMul, RunMul>, kMulLoops, kCasts} ...
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

// An operand: a tensor, or a number that is converted to the compute type.
class Operand {
 public:
  Operand(const Tensor& tensor) : tensor_(&tensor) {}
  Operand(Scalar scalar) : scalar_(scalar) {}

  const Tensor* tensor() const { return tensor_; }
  Scalar scalar() const { return scalar_; }
  DType dtype() const { return tensor_ != nullptr ? tensor_->dtype() : scalar_.dtype(); }

 private:
  const Tensor* tensor_ = nullptr;
  Scalar scalar_;
};

// The dtype that PyTorch computes a mix of tensors and numbers in.  A number, and a tensor without
// dimensions, counts only where it is of a higher kind (bool, integer, floating point) than every
// tensor with dimensions.
DType CommonType(std::initializer_list<Operand> operands);

// Picks the loop that computes in ComputeType(common) and gives `result` (kSameType: that very
// type), and the casts from the inputs' dtypes and to out's.
inline constexpr DType kSameType = static_cast<DType>(-1);
Error PrepareMap(PrepareContext& c, std::initializer_list<Operand> inputs, DType common,
                 DType result, const Tensor& out);

// Resizes `out` to the broadcast shape and runs the loop over it.
Error RunMap(RunContext& c, std::initializer_list<Operand> inputs, Tensor& out);

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

// Loops of a function in each compute type.  F has a template call operator.
#define RL_MAP_LOOPS(INPUTS)                                                                  \
  template <class F>                                                                          \
  constexpr LoopList<2> FloatLoops##INPUTS() {                                                \
    return {MakeLoop<&kernels::Map##INPUTS<F, float>>(DType::kFloat32, DType::kFloat32),      \
            MakeLoop<&kernels::Map##INPUTS<F, double>>(DType::kFloat64, DType::kFloat64)};    \
  }                                                                                           \
  template <class F>                                                                          \
  constexpr LoopList<2> IntegerLoops##INPUTS() {                                              \
    return {MakeLoop<&kernels::Map##INPUTS<F, int32_t>>(DType::kInt32, DType::kInt32),        \
            MakeLoop<&kernels::Map##INPUTS<F, int64_t>>(DType::kInt64, DType::kInt64)};       \
  }                                                                                           \
  template <class F>                                                                          \
  constexpr LoopList<4> ArithmeticLoops##INPUTS() {                                           \
    return Concat(FloatLoops##INPUTS<F>(), IntegerLoops##INPUTS<F>());                        \
  }                                                                                           \
  template <class F>                                                                          \
  constexpr LoopList<4> PredicateLoops##INPUTS() {                                            \
    return {MakeLoop<&kernels::Map##INPUTS<F, float, bool>>(DType::kFloat32, DType::kBool),   \
            MakeLoop<&kernels::Map##INPUTS<F, double, bool>>(DType::kFloat64, DType::kBool),  \
            MakeLoop<&kernels::Map##INPUTS<F, int32_t, bool>>(DType::kInt32, DType::kBool),   \
            MakeLoop<&kernels::Map##INPUTS<F, int64_t, bool>>(DType::kInt64, DType::kBool)};  \
  }
RL_MAP_LOOPS(1)
RL_MAP_LOOPS(2)
RL_MAP_LOOPS(3)
RL_MAP_LOOPS(4)
#undef RL_MAP_LOOPS

}  // namespace rushlight::ops
