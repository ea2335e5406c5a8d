// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/ops/lines.h"

#include <initializer_list>

#include "src/kernels/copy/copy.h"
#include "src/kernels/elementwise/elementwise.h"  // CastArgs

namespace rushlight::ops {
namespace {

LoopNest MakeNest(const LineView& v, bool along_line,
                  std::initializer_list<const int64_t*> strides) {
  int64_t sizes[kMaxRank];
  for (size_t d = 0; d < v.rank; ++d) sizes[d] = v.line[d] == along_line ? v.sizes[d] : 1;
  LoopNest nest(Span<const int64_t>(sizes, v.rank));
  for (const int64_t* s : strides) nest.AddOperand(s);
  nest.Finish();
  return nest;
}

bool IsRow(const LoopNest& line) {
  return line.inner_stride(0) == 1 && static_cast<size_t>(line.inner_size()) == line.numel();
}

}  // namespace

LineView ViewLines(const Tensor& in, const Tensor& out, size_t first, size_t last) {
  LineView v{in, out, in.rank(), {}, {}, {}, {}};
  int32_t sizes[kMaxRank];
  for (size_t d = 0; d < v.rank; ++d) {
    v.sizes[d] = sizes[d] = in.size(d);
    v.line[d] = d >= first && d < last;
  }
  ComputeStrides(in, v.in_strides);
  // In the sizes that the output will have: until Run it has others.
  const Tensor resized(out.dtype(), nullptr, {sizes, v.rank}, out.dim_order().data());
  ComputeStrides(resized, v.out_strides);
  return v;
}

Lines::Lines(const LineView& v, DType compute)
    : view_(v),
      kept_(MakeNest(v, false, {v.in_strides, v.out_strides})),
      in_(MakeNest(v, true, {v.in_strides})),
      out_(MakeNest(v, true, {v.out_strides})),
      compute_size_(ElementSize(compute)),
      in_direct_(v.in.dtype() == compute && IsRow(in_)),
      out_direct_(v.out.dtype() == compute && IsRow(out_)) {}

void Lines::Load(const Loop& cast, const uint8_t* from, uint8_t* row) const {
  const size_t element_size = ElementSize(view_.in.dtype());
  in_.ForEachRun(0, size(), [&](size_t position, const int64_t* offsets, size_t n) {
    const kernels::CastArgs args{row + position * compute_size_,
                                 from + offsets[0] * static_cast<int64_t>(element_size), n,
                                 in_.inner_stride(0)};
    cast.fn(&args);
  });
}

void Lines::Store(const Loop& cast, const uint8_t* row, uint8_t* to) const {
  constexpr size_t kBlock = 128;
  alignas(8) uint8_t block[kBlock * sizeof(double)];
  const size_t element_size = ElementSize(view_.out.dtype());
  const int64_t stride = out_.inner_stride(0);
  out_.ForEachRun(0, size(), [&](size_t position, const int64_t* offsets, size_t n) {
    const uint8_t* from = row + position * compute_size_;
    uint8_t* first = to + offsets[0] * static_cast<int64_t>(element_size);
    if (stride == 1) {
      const kernels::CastArgs args{first, from, n, 1};
      cast.fn(&args);
      return;
    }
    for (size_t done = 0; done < n; done += kBlock) {
      const kernels::CastArgs args{block, from + done * compute_size_,
                                   n - done < kBlock ? n - done : kBlock, 1};
      cast.fn(&args);
      kernels::CopyRun(first + static_cast<int64_t>(done * element_size) * stride, stride, block, 1,
                       args.n, element_size);
    }
  });
}

Error PrepareLines(PrepareContext& c, const LineView& v, DType compute, size_t other_scratch) {
  RL_RETURN_IF_ERROR(c.UseLoop(kLineLoop, compute, compute));
  RL_RETURN_IF_ERROR(c.UseCast(kLineInputCast, v.in.dtype(), compute));
  RL_RETURN_IF_ERROR(c.UseCast(kLineOutputCast, compute, v.out.dtype()));
  if (v.in.numel() == 0) return kOk;
  size_t bytes = ScratchProduct(c.threads, Lines(v, compute).row_bytes());
  RL_CHECK(bytes != SIZE_MAX && !__builtin_add_overflow(bytes, other_scratch, &bytes),
           Reason::kScratchArena);
  c.NeedScratch(bytes);
  return kOk;
}

}  // namespace rushlight::ops
