// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Accumulator: reductions into the elements of an output that index tensors name (index_put with
// accumulate, scatter_add, scatter_reduce).
//
// Sums are kept in the compute type: in the output itself where that is its dtype, otherwise in
// scratch memory, so that 16-bit floats are rounded once.
#pragma once

#include <array>

#include "src/ops/copy.h"
#include "src/ops/index_map.h"

namespace rushlight::ops {

inline constexpr std::array<Loop, 4> kAccumulatorLoops = {
    MakeLoop<&kernels::ReducePlaces<float>>(DType::kFloat32, DType::kFloat32),
    MakeLoop<&kernels::ReducePlaces<double>>(DType::kFloat64, DType::kFloat64),
    MakeLoop<&kernels::ReducePlaces<int32_t>>(DType::kInt32, DType::kInt32),
    MakeLoop<&kernels::ReducePlaces<int64_t>>(DType::kInt64, DType::kInt64),
};

class Accumulator {
 public:
  // Picks loops and adds to `scratch` what Start and, for `counts`, DivideByCounts allocate.
  static Error Prepare(PrepareContext& c, const Tensor& out, bool counts, size_t* scratch);

  // Begins with the elements of `out`.
  Error Start(RunContext& c, const Tensor& out);
  // Each element of x that is named at all becomes the one that `reduction` starts from.
  Error Forget(const IndexedView& x, const View& from, kernels::Reduction reduction);
  // x = reduction(x, from), one after another in the order of indices.
  Error Add(const IndexedView& x, const View& from, kernels::Reduction reduction);
  // Divides each element by how many were added to it, and one more where it counts itself.
  Error DivideByCounts(const IndexedView& x, bool include_self);
  // Puts the results into `out`.
  Error Finish(Tensor& out);

 private:
  Error Reduce(uint8_t* into, const IndexedView& x, const View& from, const Conversion& convert,
               kernels::Reduction reduction);
  Error ReduceNumber(uint8_t* into, const IndexedView& x, int64_t number,
                     kernels::Reduction reduction);

  RunContext* c_ = nullptr;
  uint8_t* values_ = nullptr;  // [numel_] of the compute type, in the order of out's memory
  size_t numel_ = 0;
  size_t size_ = 0;  // bytes of the compute type
};

}  // namespace rushlight::ops
