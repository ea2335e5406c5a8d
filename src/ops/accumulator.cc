// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/ops/accumulator.h"

#include "src/kernels/copy/copy.h"
#include "src/ops/elementwise.h"  // ComputeType

namespace rushlight::ops {
namespace {

using kernels::Reduction;

// Slots of Prepared::loops.
constexpr size_t kReduce = 0;
constexpr size_t kLoad = 1;
constexpr size_t kStore = 2;
constexpr size_t kNumber = 3;

// Converts contiguous elements, in parallel.
Error ConvertAll(Context& context, const Conversion& convert, uint8_t* to, size_t to_size,
                 const uint8_t* from, size_t from_size, size_t n) {
  return context.ParallelFor(n, CopyGrain(to_size), [&](size_t begin, size_t end) {
    convert.Run(to + begin * to_size, from + begin * from_size, end - begin, 1, from_size);
  });
}

}  // namespace

Error Accumulator::Prepare(PrepareContext& c, const Tensor& out, bool counts, size_t* scratch) {
  const DType compute = ComputeType(out.dtype());
  RL_RETURN_IF_ERROR(c.UseLoop(kReduce, compute, compute));
  RL_RETURN_IF_ERROR(UseConversion(c, kLoad, out.dtype(), compute));
  RL_RETURN_IF_ERROR(UseConversion(c, kStore, compute, out.dtype()));
  if (counts) RL_RETURN_IF_ERROR(UseNumber(c, kNumber, compute));
  const size_t arrays = (compute == out.dtype() ? 0 : 1) + (counts ? 1 : 0);
  size_t bytes = 0;
  RL_CHECK(!__builtin_mul_overflow(out.numel() + 1, arrays * ElementSize(compute), &bytes) &&
               !__builtin_add_overflow(*scratch, bytes, scratch),
           Reason::kArgumentSize);
  return kOk;
}

Error Accumulator::Start(RunContext& c, const Tensor& out) {
  RL_CHECK(c.has_loop(kReduce), Reason::kNoKernelForDType, Error::kNone,
           static_cast<int64_t>(out.dtype()));
  c_ = &c;
  numel_ = out.numel();
  size_ = ElementSize(c.loop(kReduce).in);
  const Conversion load(c, kLoad, 1);
  if (load.identity()) {
    values_ = out.mutable_data<uint8_t>();
    return kOk;
  }
  values_ = static_cast<uint8_t*>(c.context.scratch.Allocate(numel_ * size_, size_));
  RL_CHECK(values_ != nullptr, Reason::kScratchArena);
  return ConvertAll(c.context, load, values_, size_, out.data<uint8_t>(), ElementSize(out.dtype()),
                    numel_);
}

Error Accumulator::Reduce(uint8_t* into, const IndexedView& x, const View& from,
                          const Conversion& convert, Reduction reduction) {
  if (from.empty()) return kOk;
  const IndexMap map(x, from);
  into += x.view.offset * static_cast<int64_t>(size_);
  return Serial(c_->context)
      .ParallelFor(map.numel(), CopyGrain(size_), [&](size_t begin, size_t end) {
        map.ForEachBlock(begin, end, [&](int64_t plain, const int64_t* places, size_t n) {
          alignas(8) uint8_t block[IndexMap::kBlock * 8];
          convert.Run(block, from.at(plain), n, map.plain_stride(), from.element_size);
          c_->CallLoop(kReduce, kernels::ReduceArgs{into, places, block, n, reduction});
        });
      });
}

Error Accumulator::ReduceNumber(uint8_t* into, const IndexedView& x, int64_t number,
                                Reduction reduction) {
  Element element = MakeElement(*c_, kNumber, Scalar(number));
  View everywhere{element.bytes, size_, 0, 0, {}, {}};
  RL_RETURN_IF_ERROR(Expand(everywhere, x.view.shape()));
  return Reduce(into, x, everywhere, Conversion(), reduction);
}

Error Accumulator::Add(const IndexedView& x, const View& from, Reduction reduction) {
  return Reduce(values_, x, from, Conversion(*c_, kLoad, 1), reduction);
}

Error Accumulator::Forget(const IndexedView& x, const View& from, Reduction reduction) {
  switch (reduction) {
    case Reduction::kSum:
      return ReduceNumber(values_, x, 0, Reduction::kReplace);
    case Reduction::kProduct:
      return ReduceNumber(values_, x, 1, Reduction::kReplace);
    default:  // any element that will take part
      return Add(x, from, Reduction::kReplace);
  }
}

Error Accumulator::DivideByCounts(const IndexedView& x, bool include_self) {
  auto* const counts = static_cast<uint8_t*>(c_->context.scratch.Allocate(numel_ * size_, size_));
  RL_CHECK(counts != nullptr, Reason::kScratchArena);
  const Element first = MakeElement(*c_, kNumber, Scalar(int64_t{include_self ? 1 : 0}));
  const Element one = MakeElement(*c_, kNumber, Scalar(int64_t{1}));
  kernels::FillRun(counts, 1, first.bytes, numel_, size_);
  RL_RETURN_IF_ERROR(ReduceNumber(counts, x, 1, Reduction::kSum));
  return c_->context.ParallelFor(numel_, CopyGrain(size_), [&](size_t begin, size_t end) {
    constexpr size_t kBlock = IndexMap::kBlock;
    int64_t places[kBlock];
    alignas(8) uint8_t ones[kBlock * 8];
    for (size_t i = 0; i < kBlock; ++i) places[i] = static_cast<int64_t>(i);
    kernels::FillRun(ones, 1, one.bytes, kBlock, size_);
    for (size_t done = begin; done < end; done += kBlock) {
      const size_t n = end - done < kBlock ? end - done : kBlock;
      uint8_t* const divisors = counts + done * size_;
      // Where nothing was added, nothing is divided.
      c_->CallLoop(kReduce, kernels::ReduceArgs{divisors, places, ones, n, Reduction::kMaximum});
      c_->CallLoop(kReduce, kernels::ReduceArgs{values_ + done * size_, places, divisors, n,
                                                Reduction::kDivide});
    }
  });
}

Error Accumulator::Finish(Tensor& out) {
  const Conversion store(*c_, kStore, 1);
  if (store.identity()) return kOk;
  return ConvertAll(c_->context, store, out.mutable_data<uint8_t>(), ElementSize(out.dtype()),
                    values_, size_, numel_);
}

}  // namespace rushlight::ops
