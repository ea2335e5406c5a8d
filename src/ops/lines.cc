// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/ops/lines.h"

#include <initializer_list>

#include "src/kernels/copy/copy.h"
#include "src/kernels/elementwise/elementwise.h"  // CastArgs

namespace rushlight::ops {
namespace {

constexpr size_t kGroup = 16;  // lines copied at once
constexpr size_t kTile = 64;   // elements of them copied at once

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
      out_direct_(v.out.dtype() == compute && IsRow(out_)) {
  const bool neighbours = kept_.inner_size() > 1 && kept_.inner_stride(0) == 1 &&
                          kept_.inner_stride(1) == 1 && !in_direct_ && !out_direct_;
  group_ = neighbours ? kGroup : 1;
}

void Lines::Load(const Loop& cast, const uint8_t* from, size_t rows, uint8_t* row) const {
  const size_t element_size = ElementSize(view_.in.dtype());
  const int64_t step = in_.inner_stride(0) * static_cast<int64_t>(element_size);
  in_.ForEachRun(0, size(), [&](size_t position, const int64_t* offsets, size_t n) {
    const uint8_t* first = from + offsets[0] * static_cast<int64_t>(element_size);
    uint8_t* to = row + position * compute_size_;
    if (rows == 1) {
      const kernels::CastArgs args{to, first, n, in_.inner_stride(0)};
      cast.fn(&args);
      return;
    }
    alignas(16) uint8_t tile[kTile * kGroup * sizeof(double)];  // [kTile][rows]
    for (size_t done = 0; done < n; done += kTile) {
      const size_t m = n - done < kTile ? n - done : kTile;
      for (size_t i = 0; i < m; ++i) {
        const kernels::CastArgs args{tile + i * rows * compute_size_,
                                     first + static_cast<int64_t>(done + i) * step, rows, 1};
        cast.fn(&args);
      }
      kernels::Transpose(to + done * compute_size_, static_cast<int64_t>(size()), tile,
                         static_cast<int64_t>(rows), rows, m, compute_size_);
    }
  });
}

void Lines::Store(const Loop& cast, const uint8_t* row, size_t rows, uint8_t* to) const {
  const size_t element_size = ElementSize(view_.out.dtype());
  const int64_t stride = out_.inner_stride(0);
  out_.ForEachRun(0, size(), [&](size_t position, const int64_t* offsets, size_t n) {
    const uint8_t* from = row + position * compute_size_;
    uint8_t* first = to + offsets[0] * static_cast<int64_t>(element_size);
    if (rows == 1 && stride == 1) {
      const kernels::CastArgs args{first, from, n, 1};
      cast.fn(&args);
      return;
    }
    alignas(16) uint8_t tile[kTile * kGroup * sizeof(double)];  // [kTile][rows]
    for (size_t done = 0; done < n; done += kTile) {
      const size_t m = n - done < kTile ? n - done : kTile;
      kernels::Transpose(tile, static_cast<int64_t>(rows), from + done * compute_size_,
                         static_cast<int64_t>(size()), m, rows, compute_size_);
      for (size_t i = 0; i < m; ++i) {
        const int64_t element = static_cast<int64_t>(done + i) * stride;
        const kernels::CastArgs args{first + element * static_cast<int64_t>(element_size),
                                     tile + i * rows * compute_size_, rows, 1};
        cast.fn(&args);
      }
    }
  });
}

Error PrepareLines(PrepareContext& c, const LineView& v, DType compute, size_t other_scratch) {
  RL_RETURN_IF_ERROR(c.UseLoop(kLineLoop, compute, compute));
  RL_RETURN_IF_ERROR(c.UseCast(kLineInputCast, v.in.dtype(), compute));
  RL_RETURN_IF_ERROR(c.UseCast(kLineOutputCast, compute, v.out.dtype()));
  if (v.in.numel() == 0) return kOk;
  const Lines lines(v, compute);
  size_t bytes = ScratchProduct(c.threads, ScratchProduct(lines.group(), lines.row_bytes()));
  RL_CHECK(bytes != SIZE_MAX && !__builtin_add_overflow(bytes, other_scratch, &bytes),
           Reason::kScratchArena);
  c.NeedScratch(bytes);
  return kOk;
}

}  // namespace rushlight::ops
