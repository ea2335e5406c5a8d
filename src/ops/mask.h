// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The true elements of a mask, in the order of indices.
#pragma once

#include "src/ops/copy.h"
#include "src/ops/loop_nest.h"

namespace rushlight::ops {

// Calls hit(position, offset) for each element of `mask` that `to_bool` makes true: its number in
// the order of indices, and sum(i_d * strides[d]).  Polls the budget.
// Requires: the product of sizes fits size_t.
template <class F>
Error ForEachTrue(const Context& context, const View& mask, const Conversion& to_bool,
                  const int64_t* strides, F hit) {
  if (mask.empty()) return kOk;
  LoopNest nest(mask.shape());
  nest.AddOperand(mask.strides);
  nest.AddOperand(strides);
  nest.Finish();
  const int64_t mask_stride = nest.inner_stride(0);
  const int64_t stride = nest.inner_stride(1);
  return Serial(context).ParallelFor(nest.numel(), CopyGrain(1), [&](size_t begin, size_t end) {
    nest.ForEachRun(begin, end, [&](size_t position, const int64_t* offsets, size_t n) {
      constexpr size_t kBlock = 256;
      uint8_t bools[kBlock];
      for (size_t done = 0; done < n; done += kBlock) {
        const size_t m = n - done < kBlock ? n - done : kBlock;
        to_bool.Run(bools, mask.at(offsets[0] + static_cast<int64_t>(done) * mask_stride), m,
                    mask_stride, mask.element_size);
        for (size_t i = 0; i < m; ++i) {
          if (bools[i] == 0) continue;
          hit(position + done + i, offsets[1] + static_cast<int64_t>(done + i) * stride);
        }
      }
    });
  });
}

}  // namespace rushlight::ops
