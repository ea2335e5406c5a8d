// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Operators on lines: softmax, scans and normalisation look at all elements along some dimensions
// together, once for each index in the others, and give as many back.
//
// Kernels see a line as a contiguous row of the type they compute in.  Where that is what lies in
// memory they work there; otherwise a line is copied to a row, cast, and copied back.
#pragma once

#include "rushlight/op.h"
#include "src/ops/loop_nest.h"
#include "src/ops/tasks.h"

namespace rushlight::ops {

// Slots of Prepared::loops.  The first is the operator's own loop.
inline constexpr size_t kLineLoop = 0;
inline constexpr size_t kLineInputCast = 1;
inline constexpr size_t kLineOutputCast = 2;

// Input and output, of the same sizes, as the operator sees them: dimensions may be split.
struct LineView {
  const Tensor& in;
  const Tensor& out;
  size_t rank;
  int64_t sizes[kMaxRank];
  int64_t in_strides[kMaxRank];
  int64_t out_strides[kMaxRank];
  bool line[kMaxRank];  // dimensions that make a line
};
// Along the dimensions first <= d < last of tensors of the same sizes.
LineView ViewLines(const Tensor& in, const Tensor& out, size_t first, size_t last);

class Lines {
 public:
  // Requires: v.in.numel() > 0.
  Lines(const LineView& v, DType compute);

  size_t count() const { return kept_.numel(); }
  size_t size() const { return in_.numel(); }
  // Scratch that a task needs for each of the lines it copies at once.
  size_t row_bytes() const { return out_direct_ ? 0 : ScratchProduct(size(), compute_size_); }
  // How many lines a task should copy at once: those that share cache lines.
  size_t group() const { return group_; }

  // Calls body(line, row out, row in) for lines [begin, end) in index order; `scratch` holds
  // group * row_bytes().  The rows are of the compute type, and may be the same.
  // Requires: group == 1 or group == group().
  template <class Body>
  void ForEach(const RunContext& c, size_t begin, size_t end, size_t group, uint8_t* scratch,
               Body body) const {
    kept_.ForEachRun(begin, end, [&](size_t line, const int64_t* offsets, size_t n) {
      for (size_t i = 0; i < n; i += group) {
        const size_t rows = n - i < group ? n - i : group;
        const auto k = static_cast<int64_t>(i);
        const uint8_t* from = At(view_.in, offsets[0] + k * kept_.inner_stride(0));
        uint8_t* to = At(view_.out, offsets[1] + k * kept_.inner_stride(1));
        uint8_t* row = out_direct_ ? to : scratch;
        if (!in_direct_) Load(c.loop(kLineInputCast), from, rows, row);
        for (size_t r = 0; r < rows; ++r) {
          uint8_t* row_out = row + r * size() * compute_size_;
          body(line + i + r, row_out, in_direct_ ? from : row_out);
        }
        if (!out_direct_) Store(c.loop(kLineOutputCast), row, rows, to);
      }
    });
  }

 private:
  static uint8_t* At(const Tensor& t, int64_t offset) {
    return t.mutable_data<uint8_t>() + offset * static_cast<int64_t>(ElementSize(t.dtype()));
  }
  // Between neighbouring lines and `rows` rows that follow each other.
  void Load(const Loop& cast, const uint8_t* from, size_t rows, uint8_t* row) const;
  void Store(const Loop& cast, const uint8_t* row, size_t rows, uint8_t* to) const;

  const LineView& view_;
  LoopNest kept_;
  LoopNest in_;  // along a line
  LoopNest out_;
  const size_t compute_size_;
  bool in_direct_;
  bool out_direct_;
  size_t group_;
};

// Picks the operator's loop and the casts, and asks for the scratch of RunLines and for
// `other_scratch` bytes beside it.
Error PrepareLines(PrepareContext& c, const LineView& v, DType compute, size_t other_scratch = 0);

// Runs body(line, row out, row in) over all lines in parallel.  Requires: out has its sizes.
template <class Body>
Error RunLines(RunContext& c, const LineView& v, Body body) {
  if (v.in.numel() == 0) return kOk;
  constexpr size_t kGrain = 1 << 13;  // elements worth a task
  const Lines lines(v, c.loop(kLineLoop).in);
  const size_t threads = c.context.threads;
  const Arena& arena = c.context.scratch;
  // At the sizes of today lines may be neighbours that Prepare did not see as such.
  size_t group = lines.group();
  size_t bytes = ScratchProduct(group, lines.row_bytes());
  if (group > 1 && ScratchProduct(threads, bytes) > arena.capacity() - arena.used()) {
    group = 1;
    bytes = lines.row_bytes();
  }
  auto* scratch = static_cast<uint8_t*>(
      c.context.scratch.Allocate(ScratchProduct(threads, bytes), alignof(double)));
  RL_CHECK(scratch != nullptr || bytes == 0, Reason::kScratchArena);
  return c.context.ParallelFor(lines.count(), group * (kGrain / group / lines.size() + 1),
                               [&](size_t thread, size_t begin, size_t end) {
                                 lines.ForEach(c, begin, end, group, scratch + thread * bytes,
                                               body);
                               });
}

}  // namespace rushlight::ops
