// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/ops/copy.h"

#include "src/kernels/copy/copy.h"
#include "src/ops/elementwise.h"  // ComputeType
#include "src/ops/loop_nest.h"
#include "src/ops/shapes.h"

namespace rushlight::ops {
namespace {

int64_t Magnitude(int64_t stride) { return stride < 0 ? -stride : stride; }

// The dimensions of a view in the order of its memory, outermost first.
class MemoryOrder {
 public:
  explicit MemoryOrder(const View& v) : rank_(v.rank) {
    for (size_t d = 0; d < rank_; ++d) {
      size_t j = d;
      for (; j > 0 && Magnitude(v.strides[dims_[j - 1]]) < Magnitude(v.strides[d]); --j) {
        dims_[j] = dims_[j - 1];
      }
      dims_[j] = static_cast<uint8_t>(d);
    }
  }
  Span<const uint8_t> span() const { return {dims_, rank_}; }

 private:
  size_t rank_;
  uint8_t dims_[kMaxRank];
};

// The loops over `to` in the order of its memory.
LoopNest NestOf(const View& to, const View& from) {
  LoopNest nest(to.shape(), MemoryOrder(to).span());
  nest.AddOperand(to.strides);
  nest.AddOperand(from.strides);
  nest.Finish();
  return nest;
}

// Where the innermost loop writes neighbours and another loop reads neighbours, the nest is a
// transposition: that other loop, or 0.
size_t TransposedLoop(const LoopNest& nest) {
  if (nest.stride(0, 0) != 1 || Magnitude(nest.stride(1, 0)) <= 1) return 0;
  for (size_t l = 1; l < nest.loops(); ++l) {
    if (nest.stride(1, l) == 1) return l;
  }
  return 0;
}

// Copies tile by tile, rows along loop t and columns along loop 0, so that the lines that are read
// stay in the cache until all their elements are used.
Error CopyTiles(Context& context, const LoopNest& nest, size_t t, const View& to,
                const View& from) {
  constexpr int64_t kSide = 64;
  const auto smaller = [](int64_t a, int64_t b) { return a < b ? a : b; };
  int64_t rows = smaller(nest.size(t), kSide);
  const int64_t columns = smaller(nest.size(0), kSide * kSide / rows);
  rows = smaller(nest.size(t), kSide * kSide / columns);

  // The nest of tiles: the other loops as they are, then loop t in rows, then loop 0 in columns.
  // Beside the two views it carries the number of a tile along either side.
  int64_t sizes[kMaxRank];
  int64_t strides[4][kMaxRank] = {};
  size_t rank = 0;
  for (size_t l = nest.loops(); l-- > 1;) {
    if (l == t) continue;
    sizes[rank] = nest.size(l);
    strides[0][rank] = nest.stride(0, l);
    strides[1][rank++] = nest.stride(1, l);
  }
  sizes[rank] = (nest.size(t) + rows - 1) / rows;
  strides[0][rank] = nest.stride(0, t) * rows;
  strides[1][rank] = rows;
  strides[2][rank++] = 1;
  sizes[rank] = (nest.size(0) + columns - 1) / columns;
  strides[0][rank] = columns;
  strides[1][rank] = nest.stride(1, 0) * columns;
  strides[3][rank++] = 1;
  LoopNest tiles({sizes, rank});
  for (const auto& s : strides) tiles.AddOperand(s);
  tiles.Finish();

  const size_t grain = CopyGrain(to.element_size) / static_cast<size_t>(rows * columns);
  return context.ParallelFor(tiles.numel(), grain > 0 ? grain : 1, [&](size_t begin, size_t end) {
    tiles.ForEachRun(begin, end, [&](size_t, const int64_t* offsets, size_t n) {
      for (size_t i = 0; i < n; ++i) {
        const auto at = [&](size_t operand) {
          return offsets[operand] + static_cast<int64_t>(i) * tiles.inner_stride(operand);
        };
        kernels::Transpose(to.at(at(0)), nest.stride(0, t), from.at(at(1)), nest.stride(1, 0),
                           static_cast<size_t>(smaller(rows, nest.size(t) - at(2) * rows)),
                           static_cast<size_t>(smaller(columns, nest.size(0) - at(3) * columns)),
                           to.element_size);
      }
    });
  });
}

}  // namespace

Error ResizeAs(Tensor& out, const View& view) {
  int32_t sizes[kMaxRank];
  RL_RETURN_IF_ERROR(NarrowSizes(view.shape(), sizes));
  return out.Resize({sizes, view.rank});
}

Error Copy(Context& context, const View& to, const View& from) {
  if (to.empty()) return kOk;
  const LoopNest nest = NestOf(to, from);
  if (const size_t t = TransposedLoop(nest)) return CopyTiles(context, nest, t, to, from);
  return context.ParallelFor(
      nest.numel(), CopyGrain(to.element_size), [&](size_t begin, size_t end) {
        nest.ForEachRun(begin, end, [&](size_t, const int64_t* offsets, size_t n) {
          kernels::CopyRun(to.at(offsets[0]), nest.inner_stride(0), from.at(offsets[1]),
                           nest.inner_stride(1), n, to.element_size);
        });
      });
}

Error CopyTo(Context& context, Tensor& out, const View& from) {
  RL_RETURN_IF_ERROR(ResizeAs(out, from));
  return Copy(context, ViewOf(out), from);
}

Error CopyInOrder(Context& context, const View& to, size_t to_begin, const View& from,
                  size_t from_begin, size_t count) {
  if (count == 0) return kOk;
  LoopNest writes(to.shape());
  writes.AddOperand(to.strides);
  writes.Finish();
  LoopNest reads(from.shape());
  reads.AddOperand(from.strides);
  reads.Finish();
  return context.ParallelFor(count, CopyGrain(to.element_size), [&](size_t begin, size_t end) {
    writes.ForEachRun(
        to_begin + begin, to_begin + end, [&](size_t position, const int64_t* target, size_t n) {
          const size_t first = position - to_begin + from_begin;
          reads.ForEachRun(first, first + n, [&](size_t p, const int64_t* source, size_t m) {
            const int64_t done = static_cast<int64_t>(p - first) * writes.inner_stride(0);
            kernels::CopyRun(to.at(*target + done), writes.inner_stride(0), from.at(*source),
                             reads.inner_stride(0), m, to.element_size);
          });
        });
  });
}

Error Fill(Context& context, const View& to, const void* element) {
  if (to.empty()) return kOk;
  LoopNest nest(to.shape(), MemoryOrder(to).span());
  nest.AddOperand(to.strides);
  nest.Finish();
  return context.ParallelFor(
      nest.numel(), CopyGrain(to.element_size), [&](size_t begin, size_t end) {
        nest.ForEachRun(begin, end, [&](size_t, const int64_t* offsets, size_t n) {
          kernels::FillRun(to.at(*offsets), nest.inner_stride(0), element, n, to.element_size);
        });
      });
}

// ---------------------------------------------------------------------------------------------

Conversion::Conversion(const RunContext& c, size_t slot, size_t slots)
    : first_(c.has_loop(slot) ? &c.loop(slot) : nullptr),
      second_(slots > 1 && c.has_loop(slot + 1) ? &c.loop(slot + 1) : nullptr) {}

void Conversion::Run(void* to, const void* from, size_t n, int64_t stride,
                     size_t element_size) const {
  if (identity()) return kernels::CopyRun(to, 1, from, stride, n, element_size);
  if (second_ == nullptr) {
    const kernels::CastArgs args{to, from, n, stride};
    return first_->fn(&args);
  }
  constexpr size_t kBlock = 64;
  alignas(8) uint8_t between[kBlock * 8];
  const auto step = stride * static_cast<int64_t>(element_size);
  for (size_t done = 0; done < n; done += kBlock) {
    const size_t m = n - done < kBlock ? n - done : kBlock;
    const kernels::CastArgs in{
        between, static_cast<const uint8_t*>(from) + static_cast<int64_t>(done) * step, m, stride};
    const kernels::CastArgs out{static_cast<uint8_t*>(to) + done * ElementSize(second_->out),
                                between, m, 1};
    first_->fn(&in);
    second_->fn(&out);
  }
}

Error UseConversion(PrepareContext& c, size_t slot, DType from, DType to) {
  if (from == to) return kOk;
  if (ComputeType(from) == from || ComputeType(to) == to) return c.UseCast(slot, from, to);
  // Neither is a compute type.  A 16-bit float passes through float32, which is what it converts
  // to and from by definition; two integers through the bits of int64.
  const DType between = IsFloating(from) || IsFloating(to) ? DType::kFloat32 : DType::kInt64;
  RL_RETURN_IF_ERROR(c.UseCast(slot, from, between));
  return c.UseCast(slot + 1, between, to);
}

Error CopyConverted(Context& context, const Conversion& conversion, const View& to,
                    const View& from) {
  if (conversion.identity()) return Copy(context, to, from);
  if (to.empty()) return kOk;
  const LoopNest nest = NestOf(to, from);
  const int64_t to_stride = nest.inner_stride(0);
  const int64_t from_stride = nest.inner_stride(1);
  return context.ParallelFor(
      nest.numel(), CopyGrain(to.element_size), [&](size_t begin, size_t end) {
        nest.ForEachRun(begin, end, [&](size_t, const int64_t* offsets, size_t n) {
          if (to_stride == 1) {
            return conversion.Run(to.at(offsets[0]), from.at(offsets[1]), n, from_stride,
                                  from.element_size);
          }
          constexpr size_t kBlock = 64;
          alignas(8) uint8_t block[kBlock * 8];
          for (size_t done = 0; done < n; done += kBlock) {
            const auto i = static_cast<int64_t>(done);
            const size_t m = n - done < kBlock ? n - done : kBlock;
            conversion.Run(block, from.at(offsets[1] + i * from_stride), m, from_stride,
                           from.element_size);
            kernels::CopyRun(to.at(offsets[0] + i * to_stride), to_stride, block, 1, m,
                             to.element_size);
          }
        });
      });
}

// ---------------------------------------------------------------------------------------------

// An integer and a floating-point number take different casts, and which of them an argument is
// may change from one execution to the next.
Error UseNumber(PrepareContext& c, size_t slot, DType to) {
  RL_RETURN_IF_ERROR(UseConversion(c, slot, DType::kInt64, to));
  return UseConversion(c, slot + 1, DType::kFloat64, to);
}

Element MakeElement(const RunContext& c, size_t slot, Scalar number) {
  Element element;
  if (number.is_floating()) {
    const double value = number.to_double();
    Conversion(c, slot + 1, 1).Run(element.bytes, &value, 1, 1, sizeof value);
  } else {
    const int64_t value = number.to_int();
    Conversion(c, slot, 1).Run(element.bytes, &value, 1, 1, sizeof value);
  }
  return element;
}

}  // namespace rushlight::ops
