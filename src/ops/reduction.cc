// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/ops/reduction.h"

#include "src/kernels/elementwise/elementwise.h"  // CastArgs
#include "src/ops/loop_nest.h"
#include "src/ops/shapes.h"
#include "src/ops/tasks.h"

namespace rushlight::ops {
namespace {

// Slots of Prepared::loops.
constexpr size_t kFold = 0;
constexpr size_t kInputCast = 1;
constexpr size_t kOutputCast = 2;
constexpr size_t kBesideCast = 3;

constexpr size_t kWidth = 64;       // results at a time
constexpr size_t kBlock = 1024;     // elements laid out at a time: kWidth columns of a few rows
constexpr size_t kGrain = 1 << 14;  // elements worth a task, or a look at the clock

// A state, or what is beside one.
union Number {
  double floating;
  int64_t integer;
};

// Folds everything into up to kWidth results whose first inputs are output_stride apart.
class Folder {
 public:
  Folder(const RunContext& c, const Tensor& in, const LoopNest& reduced, bool columns,
         double parameter)
      : fold_(c.loop(kFold)),
        cast_(c.loop(kInputCast)),
        in_size_(ElementSize(in.dtype())),
        reduced_(reduced),
        columns_(columns),
        direct_(in.dtype() == fold_.in && (columns || reduced.inner_stride(0) == 1)),
        parameter_(parameter) {}

  // `count` inputs for each result; 0 leaves the states of no elements.
  void Run(const uint8_t* first, int64_t output_stride, size_t outputs, size_t count, Number* state,
           Number* beside, BudgetWatch& watch) const {
    kernels::FoldArgs a{state, beside, nullptr, outputs, output_stride, 0, 1, 0, parameter_};
    fold_.fn(&a);
    for (size_t begin = 0; begin < count; begin += kGrain) {
      if (count > kGrain && watch.Expired()) return;
      const size_t end = count - begin < kGrain ? count : begin + kGrain;
      reduced_.ForEachRun(begin, end, [&](size_t position, const int64_t* offsets, size_t n) {
        a.in = first + offsets[0] * static_cast<int64_t>(in_size_);
        a.n = n;
        a.step = reduced_.inner_stride(0);
        a.position = position;
        if (direct_) {
          fold_.fn(&a);
        } else if (columns_) {
          FoldCopiedColumns(a);
        } else {
          FoldCopiedRows(a);
        }
      });
    }
  }

 private:
  void Copy(uint8_t* block, const void* in, int64_t offset, size_t n, int64_t stride) const {
    const auto* from = static_cast<const uint8_t*>(in) + offset * static_cast<int64_t>(in_size_);
    const kernels::CastArgs args{block, from, n, stride};
    cast_.fn(&args);
  }

  void FoldCopiedColumns(const kernels::FoldArgs& a) const {
    alignas(16) uint8_t block[kBlock * sizeof(Number)];
    constexpr size_t kRows = kBlock / kWidth;
    kernels::FoldArgs part = a;
    part.in = block;
    part.output_stride = 1;
    part.step = kWidth;
    for (size_t r = 0; r < a.n; r += kRows) {
      part.n = a.n - r < kRows ? a.n - r : kRows;
      part.position = a.position + r;
      for (size_t k = 0; k < part.n; ++k) {
        Copy(block + k * kWidth * ElementSize(fold_.in), a.in, static_cast<int64_t>(r + k) * a.step,
             a.outputs, 1);
      }
      fold_.fn(&part);
    }
  }

  // Short rows that follow each other are copied together.
  void FoldCopiedRows(const kernels::FoldArgs& a) const {
    alignas(16) uint8_t block[kBlock * sizeof(Number)];
    const bool adjacent = a.step == 1 && a.output_stride == static_cast<int64_t>(a.n);
    const size_t most = adjacent && a.n <= kBlock ? kBlock / a.n : 1;
    kernels::FoldArgs part = a;
    part.in = block;
    part.step = 1;
    for (size_t j = 0; j < a.outputs; j += part.outputs) {
      part.outputs = a.outputs - j < most ? a.outputs - j : most;
      part.state = static_cast<Number*>(a.state) + j;
      part.beside = static_cast<Number*>(a.beside) + j;
      for (size_t done = 0; done < a.n; done += part.n) {
        part.n = a.n - done < kBlock ? a.n - done : kBlock;
        part.output_stride = static_cast<int64_t>(part.n);
        part.position = a.position + done;
        Copy(block, a.in,
             static_cast<int64_t>(j) * a.output_stride + static_cast<int64_t>(done) * a.step,
             part.outputs * part.n, a.step);
        fold_.fn(&part);
      }
    }
  }

  const Loop& fold_;
  const Loop& cast_;
  const size_t in_size_;
  const LoopNest& reduced_;
  const bool columns_;
  const bool direct_;  // the fold can read the input where it lies
  const double parameter_;
};

// The elements of `results` numbers at `position` of an output.
void Store(const Loop& cast, const Number* numbers, size_t results, size_t position,
           const Tensor& out) {
  const kernels::CastArgs args{out.mutable_data<uint8_t>() + position * ElementSize(out.dtype()),
                               numbers, results, 1};
  cast.fn(&args);
}

Error ResizeOutputs(const Reduction& r) {
  int32_t sizes[kMaxRank];
  size_t rank = 0;
  for (size_t d = 0; d < r.in.rank(); ++d) {
    if (r.keepdim || !r.dims.reduced[d]) sizes[rank++] = r.dims.reduced[d] ? 1 : r.in.size(d);
  }
  for (Tensor* t : {r.out, r.beside_out}) {
    if (t != nullptr) RL_RETURN_IF_ERROR(t->Resize({sizes, rank}));
  }
  return kOk;
}

}  // namespace

Error SelectDims(const Tensor& in, std::optional<Span<const int64_t>> dims, EmptyDims empty,
                 DimSet* set) {
  if (!dims || (dims->empty() && empty == EmptyDims::kAll)) {
    for (bool& reduced : set->reduced) reduced = true;
    return kOk;
  }
  for (const int64_t dim : *dims) {
    size_t d;
    RL_RETURN_IF_ERROR(NormalizeDim(dim, in.rank(), &d));
    RL_CHECK(!set->reduced[d], Reason::kArgumentValue, Error::kNone, dim);
    set->reduced[d] = true;
  }
  return kOk;
}

Error SelectDims(const Tensor& in, std::optional<int64_t> dim, DimSet* set) {
  if (!dim) return SelectDims(in, std::nullopt, EmptyDims::kAll, set);
  return SelectDims(in, Span<const int64_t>(&*dim, 1), EmptyDims::kAll, set);
}

DType FoldType(DType t) {
  if (t == DType::kFloat64) return t;
  return IsFloating(t) ? DType::kFloat32 : DType::kInt64;
}

DType StateType(DType compute) { return IsFloating(compute) ? DType::kFloat64 : DType::kInt64; }

Error CheckOrdered(const Tensor& t) {
  RL_CHECK(t.dtype() != DType::kUInt64, Reason::kNoKernelForDType, Error::kNone,
           static_cast<int64_t>(t.dtype()), static_cast<int64_t>(t.dtype()));
  return kOk;
}

Error PrepareReduction(PrepareContext& c, const Tensor& in, DType compute, DType beside,
                       const Tensor* out, const Tensor* beside_out) {
  RL_RETURN_IF_ERROR(c.UseLoop(kFold, compute, beside));
  RL_RETURN_IF_ERROR(c.UseCast(kInputCast, in.dtype(), compute));
  if (out != nullptr) RL_RETURN_IF_ERROR(c.UseCast(kOutputCast, StateType(compute), out->dtype()));
  if (beside_out == nullptr) return kOk;
  return c.UseCast(kBesideCast, beside, beside_out->dtype());
}

Error RunReduction(RunContext& c, const Reduction& r) {
  RL_RETURN_IF_ERROR(ResizeOutputs(r));
  const Tensor& layout = r.out != nullptr ? *r.out : *r.beside_out;
  const size_t results = layout.numel();
  if (results == 0) return kOk;
  RL_CHECK(r.beside_out == nullptr || SameDimOrder(layout, *r.beside_out),
           Reason::kArgumentDimOrder);

  // The loops over kept dimensions are those of the output, with the strides of the input.  Without
  // elements there are no strides, and the product of sizes may be out of bounds.
  const size_t rank = r.in.rank();
  const bool empty = r.in.numel() == 0;
  RL_CHECK(!empty || !r.needs_elements, Reason::kArgumentSize);
  int64_t strides[kMaxRank] = {};
  if (!empty) ComputeStrides(r.in, strides);
  int64_t kept_strides[kMaxRank] = {};
  int64_t reduced_sizes[kMaxRank];
  for (size_t d = 0, k = 0; d < rank; ++d) {
    const bool reduced = r.dims.reduced[d];
    reduced_sizes[d] = reduced && !empty ? r.in.size(d) : 1;
    if (r.keepdim || !reduced) kept_strides[k++] = strides[d];
  }
  LoopNest kept(layout);
  kept.AddOperand(kept_strides);
  kept.Finish();
  LoopNest inputs(Span<const int64_t>(reduced_sizes, rank),
                  r.in_index_order ? Span<const uint8_t>() : r.in.dim_order());
  inputs.AddOperand(strides);
  inputs.Finish();

  const size_t count = empty ? 0 : inputs.numel();
  const bool columns = kept.inner_stride(0) == 1 && inputs.inner_stride(0) != 1;
  const Folder folder(c, r.in, inputs, columns, r.parameter);
  size_t grain = count < kGrain ? kGrain / (count + 1) : 1;
  if (columns && grain < kWidth) grain = kWidth;
  BudgetWatch watch(c.context);
  const Error error = c.context.ParallelFor(results, grain, [&](size_t begin, size_t end) {
    Number state[kWidth];
    Number beside[kWidth] = {};  // some folds have none
    kept.ForEachRun(begin, end, [&](size_t position, const int64_t* offsets, size_t n) {
      for (size_t done = 0; done < n; done += kWidth) {
        const size_t width = n - done < kWidth ? n - done : kWidth;
        const int64_t stride = kept.inner_stride(0);
        const int64_t offset = offsets[0] + static_cast<int64_t>(done) * stride;
        folder.Run(r.in.data<uint8_t>() + offset * static_cast<int64_t>(ElementSize(r.in.dtype())),
                   stride, width, count, state, beside, watch);
        for (size_t j = 0; r.finish != nullptr && j < width; ++j) {
          state[j].floating = r.finish(state[j].floating, beside[j].floating,
                                       static_cast<double>(count), r.parameter);
        }
        if (r.out != nullptr) Store(c.loop(kOutputCast), state, width, position + done, *r.out);
        if (r.beside_out != nullptr) {
          Store(c.loop(kBesideCast), beside, width, position + done, *r.beside_out);
        }
      }
    });
  });
  RL_RETURN_IF_ERROR(error);
  return watch.error();
}

}  // namespace rushlight::ops
