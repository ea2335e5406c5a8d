// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// sort (always stable) and topk (always sorted).

#include "src/kernels/sort/sort.h"

#include "src/kernels/copy/copy.h"
#include "src/ops/casts.h"
#include "src/ops/loop_nest.h"
#include "src/ops/shapes.h"
#include "src/ops/tables.h"
#include "src/ops/tasks.h"

namespace rushlight::ops {
namespace {

// Slots of Prepared::loops.
constexpr size_t kSort = 0;
constexpr size_t kKeyCast = 1;

constexpr uint8_t kUnsigned = 1;  // variant: int64 stands for uint64

enum class Method { kSortAll, kSelectFirst };

// Memory for one line of n elements.
size_t LineBytes(Method method, size_t n) {
  constexpr size_t kPair = sizeof(uint64_t) + sizeof(uint32_t);
  const size_t bytes = ScratchProduct(n, method == Method::kSortAll ? 2 * kPair : kPair);
  return bytes > SIZE_MAX - 7 ? SIZE_MAX : (bytes + 7) / 8 * 8;
}

size_t LineSize(const Tensor& in, size_t dim) {
  return in.rank() == 0 ? 1 : static_cast<size_t>(in.size(dim));
}

Error Prepare(PrepareContext& c, Method method, const Tensor& in, int64_t dim, const Tensor& values,
              const Tensor& indices) {
  size_t d;
  RL_RETURN_IF_ERROR(NormalizeDim(dim, in.rank(), &d));
  RL_CHECK(values.dtype() == in.dtype(), Reason::kArgumentDType, Error::kNone,
           static_cast<int64_t>(values.dtype()), static_cast<int64_t>(in.dtype()));
  RL_CHECK(indices.dtype() == DType::kInt64, Reason::kArgumentDType, Error::kNone,
           static_cast<int64_t>(indices.dtype()), static_cast<int64_t>(DType::kInt64));
  const DType keys = IsFloating(in.dtype()) ? DType::kFloat64 : DType::kInt64;
  RL_RETURN_IF_ERROR(c.UseLoop(kSort, keys, keys, in.dtype() == DType::kUInt64 ? kUnsigned : 0));
  RL_RETURN_IF_ERROR(c.UseCast(kKeyCast, in.dtype(), keys));
  const size_t bytes = ScratchProduct(c.threads, LineBytes(method, LineSize(in, d)));
  RL_CHECK(bytes != SIZE_MAX, Reason::kScratchArena);
  c.NeedScratch(bytes);
  return kOk;
}

// Writes the elements at order[0 .. k) of a line, and their positions.
void Emit(const uint32_t* order, size_t k, const uint8_t* line, int64_t line_stride,
          size_t element_size, uint8_t* values, int64_t values_stride, int64_t* indices,
          int64_t indices_stride) {
  constexpr size_t kBlock = 128;
  int64_t positions[kBlock];
  int64_t places[kBlock];
  for (size_t done = 0; done < k; done += kBlock) {
    const size_t n = k - done < kBlock ? k - done : kBlock;
    for (size_t i = 0; i < n; ++i) positions[i] = order[done + i];
    for (size_t i = 0; i < n; ++i) places[i] = positions[i] * line_stride;
    const auto first = static_cast<int64_t>(done);
    kernels::GatherPlaces(values + first * values_stride * static_cast<int64_t>(element_size),
                          values_stride, line, places, n, element_size);
    kernels::CopyRun(indices + first * indices_stride, indices_stride, positions, 1, n,
                     sizeof(int64_t));
  }
}

// The first k elements of each line.  Requires: 0 <= d < rank, or 0 for a tensor without
// dimensions.
Error Run(RunContext& c, Method method, const Tensor& in, size_t d, size_t k, bool descending,
          Tensor& values, Tensor& indices) {
  const size_t rank = in.rank();
  int32_t sizes[kMaxRank];
  for (size_t i = 0; i < rank; ++i) sizes[i] = i == d ? static_cast<int32_t>(k) : in.size(i);
  RL_RETURN_IF_ERROR(values.Resize({sizes, rank}));
  RL_RETURN_IF_ERROR(indices.Resize({sizes, rank}));
  if (values.numel() == 0) return kOk;

  int64_t kept[kMaxRank];
  int64_t strides[3][kMaxRank] = {};
  for (size_t i = 0; i < rank; ++i) kept[i] = i == d ? 1 : in.size(i);
  LoopNest lines(Span<const int64_t>(kept, rank));
  const Tensor* const tensors[] = {&in, &values, &indices};
  for (size_t t = 0; t < 3; ++t) {
    ComputeStrides(*tensors[t], strides[t]);
    lines.AddOperand(strides[t]);
  }
  lines.Finish();

  const size_t n = LineSize(in, d);
  const size_t bytes = LineBytes(method, n);
  auto* const scratch = static_cast<uint8_t*>(
      c.context.scratch.Allocate(ScratchProduct(c.context.threads, bytes), alignof(uint64_t)));
  RL_CHECK(scratch != nullptr, Reason::kScratchArena);
  constexpr size_t kGrain = 1 << 12;  // elements worth a task
  const size_t element_size = ElementSize(in.dtype());
  return c.context.ParallelFor(
      lines.numel(), kGrain / n + 1, [&](size_t thread, size_t begin, size_t end) {
        auto* const keys = reinterpret_cast<uint64_t*>(scratch + thread * bytes);
        kernels::SortArgs args{keys, nullptr, n, k, descending, nullptr, nullptr};
        if (method == Method::kSortAll) {
          args.spare_keys = keys + n;
          args.order = reinterpret_cast<uint32_t*>(args.spare_keys + n);
          args.spare_order = args.order + n;
        } else {
          args.order = reinterpret_cast<uint32_t*>(keys + n);
        }
        lines.ForEachRun(begin, end, [&](size_t, const int64_t* offsets, size_t count) {
          for (size_t i = 0; i < count; ++i) {
            int64_t offset[3];
            for (size_t t = 0; t < 3; ++t) {
              offset[t] = offsets[t] + static_cast<int64_t>(i) * lines.inner_stride(t);
            }
            const auto size = static_cast<int64_t>(element_size);
            const uint8_t* line = in.data<uint8_t>() + offset[0] * size;
            c.CallLoop(kKeyCast, kernels::CastArgs{keys, line, n, strides[0][d]});
            c.CallLoop(kSort, args);
            Emit(args.order, k, line, strides[0][d], element_size,
                 values.mutable_data<uint8_t>() + offset[1] * size, strides[1][d],
                 indices.mutable_data<int64_t>() + offset[2], strides[2][d]);
          }
        });
      });
}

Error PrepareSort(PrepareContext& c, const Tensor& in, int64_t dim, bool, Tensor& values,
                  Tensor& indices) {
  return Prepare(c, Method::kSortAll, in, dim, values, indices);
}
Error RunSort(RunContext& c, const Tensor& in, int64_t dim, bool descending, Tensor& values,
              Tensor& indices) {
  size_t d;
  RL_RETURN_IF_ERROR(NormalizeDim(dim, in.rank(), &d));
  return Run(c, Method::kSortAll, in, d, LineSize(in, d), descending, values, indices);
}
Error PrepareStableSort(PrepareContext& c, const Tensor& in, std::optional<bool>, int64_t dim,
                        bool descending, Tensor& values, Tensor& indices) {
  return PrepareSort(c, in, dim, descending, values, indices);
}
Error RunStableSort(RunContext& c, const Tensor& in, std::optional<bool>, int64_t dim,
                    bool descending, Tensor& values, Tensor& indices) {
  return RunSort(c, in, dim, descending, values, indices);
}

Error PrepareTopK(PrepareContext& c, const Tensor& in, int64_t, int64_t dim, bool, bool,
                  Tensor& values, Tensor& indices) {
  return Prepare(c, Method::kSelectFirst, in, dim, values, indices);
}
Error RunTopK(RunContext& c, const Tensor& in, int64_t k, int64_t dim, bool largest, bool,
              Tensor& values, Tensor& indices) {
  size_t d;
  RL_RETURN_IF_ERROR(NormalizeDim(dim, in.rank(), &d));
  const auto n = static_cast<int64_t>(LineSize(in, d));
  RL_CHECK(k >= 0 && k <= n, Reason::kArgumentValue, Error::kNone, k, n);
  if (in.rank() == 0) k = 1;  // there is no way to return less
  return Run(c, Method::kSelectFirst, in, d, static_cast<size_t>(k), largest, values, indices);
}

template <auto Double, auto Int64, auto UInt64>
constexpr Loop kLoops[] = {
    MakeLoop<Double>(DType::kFloat64, DType::kFloat64),
    MakeLoop<Int64>(DType::kInt64, DType::kInt64),
    MakeLoop<UInt64>(DType::kInt64, DType::kInt64, kUnsigned),
};
constexpr auto& kSorts =
    kLoops<&kernels::Sort<double>, &kernels::Sort<int64_t>, &kernels::Sort<uint64_t>>;
constexpr auto& kSelects = kLoops<&kernels::SelectFirst<double>, &kernels::SelectFirst<int64_t>,
                                  &kernels::SelectFirst<uint64_t>>;

constexpr Op kOps[] = {
    {"aten::sort.values", Boxed<PrepareSort, RunSort>, kSorts, kCasts},
    {"aten::sort.values_stable", Boxed<PrepareStableSort, RunStableSort>, kSorts, kCasts},
    {"aten::topk.values", Boxed<PrepareTopK, RunTopK>, kSelects, kCasts},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> SortOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
