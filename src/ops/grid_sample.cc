// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// grid_sampler_2d: an image [batch, channels, height, width] sampled at the points of a grid
// [batch, height, width, (x, y)].

#include "rushlight/half.h"
#include "src/kernels/resample/resample.h"
#include "src/ops/pieces.h"
#include "src/ops/shapes.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

using kernels::GridArgs;
using kernels::GridShape;

Error PrepareGridSample(PrepareContext& c, const Tensor& input, const Tensor& grid, int64_t,
                        int64_t, bool, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckRank(input, 4, 0));
  RL_RETURN_IF_ERROR(CheckRank(grid, 4, 1));
  RL_CHECK(out.rank() == 4, Reason::kOutputRank, Error::kNone, static_cast<int64_t>(out.rank()), 4);
  RL_RETURN_IF_ERROR(CheckDType(grid, input.dtype(), 1));
  RL_RETURN_IF_ERROR(CheckDType(out, input.dtype(), 5));
  return c.UseLoop(0, input.dtype(), input.dtype());
}

Error RunGridSample(RunContext& c, const Tensor& input, const Tensor& grid, int64_t interpolation,
                    int64_t padding, bool align_corners, Tensor& out) {
  RL_CHECK(interpolation >= 0 && interpolation <= 2, Reason::kArgumentValue, Error::kNone,
           interpolation, 2);
  RL_CHECK(padding >= 0 && padding <= 2, Reason::kArgumentValue, Error::kNone, padding, 2);
  RL_CHECK(grid.size(0) == input.size(0) && grid.size(3) == 2, Reason::kArgumentSize, Error::kNone,
           grid.size(0), input.size(0));
  RL_CHECK(input.size(2) > 0 && input.size(3) > 0, Reason::kArgumentSize, Error::kNone, 0, 1);
  const int32_t sizes[4] = {input.size(0), input.size(1), grid.size(1), grid.size(2)};
  RL_RETURN_IF_ERROR(out.Resize({sizes, 4}));
  if (out.numel() == 0) return kOk;

  int64_t in[kMaxRank], at[kMaxRank], to[kMaxRank];
  ComputeStrides(input, in);
  ComputeStrides(grid, at);
  ComputeStrides(out, to);
  GridShape s{};
  s.dims[0] = {input.size(2), in[2]};
  s.dims[1] = {input.size(3), in[3]};
  s.interpolation = static_cast<kernels::Interpolation>(interpolation);
  s.padding = static_cast<kernels::Padding>(padding);
  s.align_corners = align_corners;
  s.channels = input.size(1);
  s.height = grid.size(1);
  s.width = grid.size(2);
  s.in_batch = in[0];
  s.in_channel = in[1];
  s.grid_batch = at[0];
  s.grid_height = at[1];
  s.grid_width = at[2];
  s.grid_axis = at[3];
  s.out_batch = to[0];
  s.out_channel = to[1];
  s.out_height = to[2];
  s.out_width = to[3];
  const size_t channels = static_cast<size_t>(s.channels);
  const size_t points = out.numel() / channels * CeilDiv(channels, kernels::kGridChannels);
  const size_t block = channels < kernels::kGridChannels ? channels : kernels::kGridChannels;
  return c.context.ParallelFor(
      points, PieceOf(block * 16 + 64, points), [&](size_t begin, size_t end) {
        c.CallLoop(0, GridArgs{&s, input.raw(), grid.raw(), out.raw(), begin, end});
      });
}

constexpr Loop kLoops[] = {
    MakeLoop<&kernels::SampleGrid<float>>(DType::kFloat32, DType::kFloat32),
    MakeLoop<&kernels::SampleGrid<double>>(DType::kFloat64, DType::kFloat64),
    MakeLoop<&kernels::SampleGrid<Float16>>(DType::kFloat16, DType::kFloat16),
    MakeLoop<&kernels::SampleGrid<BFloat16>>(DType::kBFloat16, DType::kBFloat16),
};

constexpr Op kOps[] = {
    {"aten::grid_sampler_2d.out", Boxed<PrepareGridSample, RunGridSample>, kLoops},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> GridSampleOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
