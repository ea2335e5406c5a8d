// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Distances between rows: _cdist_forward, each row of one matrix to each of another, and
// _pdist_forward, all pairs of one matrix.  A distance is the p-norm of the difference, in float64.

#include "src/kernels/reduce/reduce.h"
#include "src/ops/casts.h"
#include "src/ops/loop_nest.h"
#include "src/ops/shapes.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

// Slots of Prepared::loops.
constexpr size_t kNorm = 0;
constexpr size_t kFirstCast = 1;
constexpr size_t kSecondCast = 2;
constexpr size_t kOutputCast = 3;

constexpr size_t kGrain = 1 << 13;  // elements worth a task

Error PrepareDistance(PrepareContext& c, const Tensor& a, const Tensor& b, double p,
                      const Tensor& out) {
  for (const Tensor* t : {&a, &b, &out}) {
    RL_CHECK(IsFloating(t->dtype()), Reason::kArgumentDType, Error::kNone,
             static_cast<int64_t>(t->dtype()));
  }
  RL_CHECK(a.dtype() == b.dtype(), Reason::kArgumentDType, Error::kNone,
           static_cast<int64_t>(a.dtype()), static_cast<int64_t>(b.dtype()));
  RL_CHECK(p >= 0, Reason::kArgumentValue, Error::kNone);
  RL_RETURN_IF_ERROR(c.UseLoop(kNorm, DType::kFloat64, DType::kFloat64));
  RL_RETURN_IF_ERROR(c.UseCast(kFirstCast, a.dtype(), DType::kFloat64));
  RL_RETURN_IF_ERROR(c.UseCast(kSecondCast, b.dtype(), DType::kFloat64));
  return c.UseCast(kOutputCast, DType::kFloat64, out.dtype());
}

// The elements of one row of a matrix.
struct RowOf {
  const Tensor& t;
  int64_t offset;
  int64_t stride;

  void Load(const RunContext& c, size_t slot, size_t first, size_t n, double* to) const {
    const int64_t element = offset + static_cast<int64_t>(first) * stride;
    c.CallLoop(
        slot, kernels::CastArgs{
                  to, t.data<uint8_t>() + element * static_cast<int64_t>(ElementSize(t.dtype())), n,
                  stride});
  }
};

void StoreDistance(const RunContext& c, const RowOf& a, const RowOf& b, size_t n, double p,
                   const Tensor& out, size_t position) {
  constexpr size_t kBlock = 128;
  double x[kBlock];
  double y[kBlock];
  double state;
  double unused;
  kernels::FoldArgs fold{&state, &unused, nullptr, 1, 0, 0, 1, 0, p};
  c.CallLoop(kNorm, fold);
  fold.in = x;
  for (size_t done = 0; done < n; done += fold.n) {
    fold.n = n - done < kBlock ? n - done : kBlock;
    a.Load(c, kFirstCast, done, fold.n, x);
    b.Load(c, kSecondCast, done, fold.n, y);
    for (size_t i = 0; i < fold.n; ++i) x[i] -= y[i];
    c.CallLoop(kNorm, fold);
  }
  const double distance = kernels::NormRoot(state, p);
  c.CallLoop(kOutputCast,
             kernels::CastArgs{out.mutable_data<uint8_t>() + position * ElementSize(out.dtype()),
                               &distance, 1, 1});
}

// _cdist_forward.  Dimensions before the last two broadcast.

Error PrepareCdist(PrepareContext& c, const Tensor& a, const Tensor& b, double p,
                   std::optional<int64_t>, Tensor& out) {
  for (const Tensor* t : {&a, &b}) {
    RL_CHECK(t->rank() >= 2, Reason::kArgumentRank, Error::kNone, static_cast<int64_t>(t->rank()),
             2);
  }
  return PrepareDistance(c, a, b, p, out);
}

// Sizes and strides of one input, as the output's dimensions see them: `own` is the dimension of
// the output that its rows lie along, `other` that of the other input.
Error BroadcastRows(const Tensor& t, size_t rank, size_t own, size_t other, int32_t* sizes,
                    int64_t* strides) {
  int64_t of[kMaxRank];
  ComputeStrides(t, of);
  const size_t skip = rank - t.rank();
  for (size_t d = 0; d < rank; ++d) strides[d] = 0;
  for (size_t d = 0; d + 2 < t.rank(); ++d) {
    const int32_t size = t.size(d);
    int32_t& wanted = sizes[skip + d];
    RL_CHECK(size == wanted || size == 1 || wanted == 1, Reason::kBroadcast, Error::kNone, size,
             wanted);
    if (wanted == 1) wanted = size;
    strides[skip + d] = size == 1 ? 0 : of[d];
  }
  sizes[own] = t.size(t.rank() - 2);
  strides[own] = of[t.rank() - 2];
  strides[other] = 0;
  return kOk;
}

Error RunCdist(RunContext& c, const Tensor& a, const Tensor& b, double p,
               std::optional<int64_t> mode, Tensor& out) {
  RL_CHECK(p >= 0, Reason::kArgumentValue);
  RL_CHECK(!mode || (*mode >= 0 && *mode <= 2), Reason::kArgumentValue, Error::kNone, *mode, 2);
  const size_t rank = a.rank() > b.rank() ? a.rank() : b.rank();
  const int32_t n = a.size(a.rank() - 1);
  RL_CHECK(b.size(b.rank() - 1) == n, Reason::kArgumentSize, Error::kNone, b.size(b.rank() - 1), n);
  int32_t sizes[kMaxRank];
  int64_t strides[2][kMaxRank];
  for (size_t d = 0; d < rank; ++d) sizes[d] = 1;
  RL_RETURN_IF_ERROR(BroadcastRows(a, rank, rank - 2, rank - 1, sizes, strides[0]));
  RL_RETURN_IF_ERROR(BroadcastRows(b, rank, rank - 1, rank - 2, sizes, strides[1]));
  RL_RETURN_IF_ERROR(out.Resize({sizes, rank}));
  if (out.numel() == 0) return kOk;

  LoopNest pairs(out);
  pairs.AddOperand(strides[0]);
  pairs.AddOperand(strides[1]);
  pairs.Finish();
  int64_t of_a[kMaxRank];
  int64_t of_b[kMaxRank];
  ComputeStrides(a, of_a);
  ComputeStrides(b, of_b);
  const auto size = static_cast<size_t>(n);
  return c.context.ParallelFor(out.numel(), kGrain / (size + 1) + 1, [&](size_t begin, size_t end) {
    pairs.ForEachRun(begin, end, [&](size_t position, const int64_t* offsets, size_t count) {
      for (size_t i = 0; i < count; ++i) {
        const auto k = static_cast<int64_t>(i);
        StoreDistance(c, {a, offsets[0] + k * pairs.inner_stride(0), of_a[a.rank() - 1]},
                      {b, offsets[1] + k * pairs.inner_stride(1), of_b[b.rank() - 1]}, size, p, out,
                      position + i);
      }
    });
  });
}

// _pdist_forward: rows 0 and 1, 0 and 2, ..., 1 and 2, ...

Error PreparePdist(PrepareContext& c, const Tensor& in, double p, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckRank(in, 2, 0));
  return PrepareDistance(c, in, in, p, out);
}

Error RunPdist(RunContext& c, const Tensor& in, double p, Tensor& out) {
  RL_CHECK(p >= 0, Reason::kArgumentValue);
  const int64_t rows = in.size(0);
  const int64_t pairs = rows * (rows - 1) / 2;
  RL_CHECK(pairs <= INT32_MAX, Reason::kArgumentSize, Error::kNone, pairs, INT32_MAX);
  const int32_t sizes[] = {static_cast<int32_t>(pairs)};
  RL_RETURN_IF_ERROR(out.Resize(sizes));
  if (pairs == 0) return kOk;
  int64_t strides[kMaxRank];
  ComputeStrides(in, strides);
  const auto n = static_cast<size_t>(in.size(1));
  const auto last = static_cast<size_t>(rows - 1);
  return c.context.ParallelFor(last, kGrain / (n * last + 1) + 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      size_t position = i * (2 * last - i + 1) / 2;
      for (size_t j = i + 1; j <= last; ++j, ++position) {
        StoreDistance(c, {in, static_cast<int64_t>(i) * strides[0], strides[1]},
                      {in, static_cast<int64_t>(j) * strides[0], strides[1]}, n, p, out, position);
      }
    }
  });
}

constexpr Loop kLoops[] = {MakeLoop<&kernels::FoldNorm>(DType::kFloat64, DType::kFloat64)};

constexpr Op kOps[] = {
    {"aten::_cdist_forward.out", Boxed<PrepareCdist, RunCdist>, kLoops, kCasts},
    {"aten::_pdist_forward.out", Boxed<PreparePdist, RunPdist>, kLoops, kCasts},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> DistanceOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
