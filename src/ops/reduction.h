// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Reductions over any dimensions of a tensor in any layout: the split into kept and reduced
// dimensions, casts and threads, once, for all folds of src/kernels/reduce.
//
// Where neighbouring elements are reduced together a fold runs along rows; where neighbours belong
// to different results it runs down columns of up to 64 results at a time.  Other element types
// than the fold's, and other strides, are laid out in a block on the stack first.
#pragma once

#include <optional>

#include "rushlight/op.h"
#include "src/kernels/reduce/reduce.h"

namespace rushlight::ops {

// Dimensions of a tensor that are reduced.
struct DimSet {
  bool reduced[kMaxRank] = {};
};

// Which dimensions an empty list means.
enum class EmptyDims { kAll, kNone };

// None means all.  Fails with kArgumentValue on one that is out of range or given twice.
Error SelectDims(const Tensor& in, std::optional<Span<const int64_t>> dims, EmptyDims empty,
                 DimSet* set);
Error SelectDims(const Tensor& in, std::optional<int64_t> dim, DimSet* set);

// Fails where FoldType does not keep the order of elements (uint64).
Error CheckOrdered(const Tensor& t);

struct Reduction {
  const Tensor& in;
  const DimSet& dims;
  bool keepdim;
  // Outputs of the same layout, null where not wanted: what becomes of the states, and of the
  // numbers that the fold keeps beside them.
  Tensor* out;
  Tensor* beside_out = nullptr;

  double parameter = 0;         // of the fold
  bool needs_elements = false;  // a result of no elements is an error
  bool in_index_order = false;  // the fold counts positions, so the order of memory will not do
  // Makes a result of a state in float64, of what is beside it, and of how many elements went in.
  double (*finish)(double state, double beside, double count, double parameter) = nullptr;
};

// The type that elements are folded in: float32, float64 or int64.
DType FoldType(DType element);
// The type of the states of a fold over `compute`: float64 or int64.
DType StateType(DType compute);

// Picks the fold over `compute` that keeps a `beside` (StateType(compute), but int64 where it is a
// position), and the casts of the input and the outputs.
Error PrepareReduction(PrepareContext& c, const Tensor& in, DType compute, DType beside,
                       const Tensor* out, const Tensor* beside_out = nullptr);
// Resizes the outputs and fills them.
Error RunReduction(RunContext& c, const Reduction& r);

// A row of fold F over T.
template <class F, class T>
constexpr Loop FoldLoop(DType in, DType out) {
  return MakeLoop<&kernels::Fold<F, T>>(in, out);
}

}  // namespace rushlight::ops
