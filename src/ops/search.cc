// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// searchsorted, bucketize: where values belong in sorted sequences.

#include "src/kernels/search/search.h"

#include "rushlight/half.h"
#include "src/ops/casts.h"
#include "src/ops/copy.h"
#include "src/ops/loop_nest.h"
#include "src/ops/shapes.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

// Slots of Prepared::loops.
constexpr size_t kSearch = 0;
constexpr size_t kNarrow = 1;

template <class T>
constexpr Loop SearchLoop(DType dtype) {
  return MakeLoop<&kernels::Search<T>>(dtype, DType::kInt64);
}
constexpr Loop kSearchLoops[] = {
    SearchLoop<float>(DType::kFloat32),   SearchLoop<double>(DType::kFloat64),
    SearchLoop<Float16>(DType::kFloat16), SearchLoop<BFloat16>(DType::kBFloat16),
    SearchLoop<int64_t>(DType::kInt64),   SearchLoop<int32_t>(DType::kInt32),
    SearchLoop<int16_t>(DType::kInt16),   SearchLoop<int8_t>(DType::kInt8),
    SearchLoop<uint8_t>(DType::kUInt8),
};

Error Prepare(PrepareContext& c, const Tensor& sorted, const Tensor& values, bool int32,
              Tensor& out) {
  RL_CHECK(sorted.rank() == 1 || (sorted.rank() == values.rank() && sorted.rank() > 0),
           Reason::kArgumentRank, Error::kNone, static_cast<int64_t>(sorted.rank()),
           static_cast<int64_t>(values.rank()));
  RL_RETURN_IF_ERROR(CheckDType(values, sorted.dtype(), 1));
  RL_RETURN_IF_ERROR(CheckDType(out, int32 ? DType::kInt32 : DType::kInt64, 5));
  RL_RETURN_IF_ERROR(c.UseLoop(kSearch, sorted.dtype(), DType::kInt64));
  return UseConversion(c, kNarrow, DType::kInt64, out.dtype());
}

Error Run(RunContext& c, const Tensor& sorted, const Tensor& values, bool right, Tensor& out) {
  const View sequences = ViewOf(sorted);
  const View from = ViewOf(values);
  const size_t last = sequences.rank - 1;
  int64_t starts[kMaxRank] = {};  // strides that lead to the sequence of a value
  if (sequences.rank > 1) {
    for (size_t d = 0; d < last; ++d) {
      RL_CHECK(sequences.sizes[d] == from.sizes[d], Reason::kArgumentSize, Error::kNone,
               from.sizes[d], sequences.sizes[d]);
      starts[d] = sequences.strides[d];
    }
  }
  RL_RETURN_IF_ERROR(ResizeAs(out, from));
  if (from.empty()) return kOk;
  const View to = ViewOf(out);
  LoopNest nest(out);
  nest.AddOperand(from.strides);
  nest.AddOperand(starts);
  nest.Finish();
  const Conversion narrow(c, kNarrow, 1);
  return c.context.ParallelFor(nest.numel(), size_t{1} << 10, [&](size_t begin, size_t end) {
    constexpr size_t kBlock = 64;
    int64_t found[kBlock];
    nest.ForEachRun(begin, end, [&](size_t position, const int64_t* offsets, size_t n) {
      for (size_t done = 0; done < n; done += kBlock) {
        const auto i = static_cast<int64_t>(done);
        const size_t m = n - done < kBlock ? n - done : kBlock;
        c.CallLoop(kSearch,
                   kernels::SearchArgs{
                       found, from.at(offsets[0] + i * nest.inner_stride(0)), nest.inner_stride(0),
                       sequences.at(offsets[1] + i * nest.inner_stride(1)), nest.inner_stride(1),
                       sequences.strides[last], sequences.sizes[last], m, right});
        narrow.Run(to.at(static_cast<int64_t>(position) + i), found, m, 1, sizeof *found);
      }
    });
  });
}

Error PrepareBucketize(PrepareContext& c, const Tensor& self, const Tensor& boundaries,
                       bool out_int32, bool, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckRank(boundaries, 1, 1));
  return Prepare(c, boundaries, self, out_int32, out);
}
Error RunBucketize(RunContext& c, const Tensor& self, const Tensor& boundaries, bool, bool right,
                   Tensor& out) {
  return Run(c, boundaries, self, right, out);
}

Error PrepareSearchSorted(PrepareContext& c, const Tensor& sorted, const Tensor& self,
                          bool out_int32, bool, std::optional<std::string_view>,
                          const Tensor* sorter, Tensor& out) {
  RL_CHECK(sorter == nullptr, Reason::kUnsupported);
  return Prepare(c, sorted, self, out_int32, out);
}
Error RunSearchSorted(RunContext& c, const Tensor& sorted, const Tensor& self, bool, bool right,
                      std::optional<std::string_view> side, const Tensor* sorter, Tensor& out) {
  RL_CHECK(sorter == nullptr, Reason::kUnsupported);
  if (side.has_value()) {
    RL_CHECK(*side == "right" || (*side == "left" && !right), Reason::kArgumentValue);
    right = *side == "right";
  }
  return Run(c, sorted, self, right, out);
}

constexpr Op kOps[] = {
    {"aten::bucketize.Tensor_out", Boxed<PrepareBucketize, RunBucketize>, kSearchLoops, kCasts},
    {"aten::searchsorted.Tensor_out", Boxed<PrepareSearchSorted, RunSearchSorted>, kSearchLoops,
     kCasts},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> SearchOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
