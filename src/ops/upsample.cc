// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Images resized: nearest, bilinear, bilinear with antialiasing.

#include "rushlight/half.h"
#include "src/kernels/resample/resample.h"
#include "src/ops/pieces.h"
#include "src/ops/shapes.h"
#include "src/ops/spatial.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

using kernels::ResizeArgs;
using kernels::ResizeDim;
using kernels::ResizeShape;

using Ints = Span<const int64_t>;
using Doubles = Span<const double>;
using OptionalDouble = std::optional<double>;

constexpr size_t kDims = 2;

// The sizes of the output and, where they were given, the scales.
struct Target {
  int64_t size[kDims] = {0, 0};
  double scale[kDims] = {0, 0};
};

Error ReadTarget(Ints output_size, OptionalDouble scale_h, OptionalDouble scale_w, Target* target) {
  int64_t sizes[kSpatial];
  RL_RETURN_IF_ERROR(ReadSpatial(output_size, kDims, 1, 1, 1, sizes));
  *target = {{sizes[1], sizes[2]}, {scale_h.value_or(0), scale_w.value_or(0)}};
  return kOk;
}

// One of the two is to be given.  Scales give the sizes and count for the places, too.
Error ReadTarget(const Tensor& input, std::optional<Ints> output_size,
                 std::optional<Doubles> scales, Target* target) {
  RL_CHECK(output_size.has_value() != scales.has_value(), Reason::kArgumentNull);
  if (output_size.has_value()) return ReadTarget(*output_size, {}, {}, target);
  RL_CHECK(scales->size() == kDims, Reason::kArgumentSize, Error::kNone,
           static_cast<int64_t>(scales->size()), kDims);
  for (size_t d = 0; d < kDims; ++d) {
    target->scale[d] = (*scales)[d];
    const double size = input.size(2 + d) * target->scale[d];
    RL_CHECK(size >= 1 && size <= INT32_MAX, Reason::kArgumentValue, Error::kNone,
             Scalar(size).to_int(), INT32_MAX);
    target->size[d] = static_cast<int64_t>(size);
  }
  return kOk;
}

Error CheckImages(const Tensor& input, const Tensor& out) {
  RL_RETURN_IF_ERROR(CheckRank(input, 2 + kDims, 0));
  RL_CHECK(out.rank() == 2 + kDims, Reason::kOutputRank, Error::kNone,
           static_cast<int64_t>(out.rank()), 2 + kDims);
  RL_CHECK(out.dtype() == input.dtype(), Reason::kArgumentDType, Error::kNone,
           static_cast<int64_t>(out.dtype()), static_cast<int64_t>(input.dtype()));
  return kOk;
}

// Resizes `out`, fills in the rest of the shape and calls run(args) for pieces of an output element
// of `steps(shape)` steps.
template <class Steps, class Run>
Error RunResize(RunContext& c, const Tensor& input, const Target& target, ResizeShape s,
                Tensor& out, Steps steps, Run run) {
  const int32_t sizes[2 + kDims] = {input.size(0), input.size(1),
                                    static_cast<int32_t>(target.size[0]),
                                    static_cast<int32_t>(target.size[1])};
  for (size_t d = 0; d < kDims; ++d) {
    RL_CHECK(input.size(2 + d) > 0, Reason::kArgumentSize, Error::kNone, input.size(2 + d), 1);
  }
  RL_RETURN_IF_ERROR(out.Resize({sizes, 2 + kDims}));
  if (out.numel() == 0) return kOk;
  const Image from(input, kDims);
  const Image to(out, kDims);
  for (size_t d = 0; d < kDims; ++d) {
    const size_t axis = kSpatial - kDims + d;
    s.dims[d] = {from.size[axis], to.size[axis], target.scale[d], from.stride[axis],
                 to.stride[axis]};
  }
  s.channels = from.channels;
  s.in_batch = from.batch_stride;
  s.in_channel = from.channel_stride;
  s.out_batch = to.batch_stride;
  s.out_channel = to.channel_stride;
  s.element_size = ElementSize(out.dtype());
  return c.context.ParallelFor(out.numel(), PieceOf(steps(s), out.numel()),
                               [&](size_t begin, size_t end) {
                                 run(ResizeArgs{&s, input.raw(), out.raw(), begin, end});
                               });
}

// Nearest: elements are moved by their size, whatever their dtype.

Error CheckNearest(const Tensor& input, const Tensor& out) {
  RL_RETURN_IF_ERROR(CheckImages(input, out));
  RL_CHECK(ElementSize(input.dtype()) <= 8, Reason::kNoKernelForDType, Error::kNone,
           static_cast<int64_t>(input.dtype()), static_cast<int64_t>(input.dtype()));
  return kOk;
}
Error RunNearest(RunContext& c, const Tensor& input, const Target& target, bool from_centers,
                 Tensor& out) {
  ResizeShape s{};
  s.from_centers = from_centers;
  return RunResize(
      c, input, target, s, out, [](const ResizeShape&) { return uint64_t{8}; },
      [](const ResizeArgs& a) { kernels::ResizeNearest(a); });
}
Error PrepareNearestOut(PrepareContext&, const Tensor& input, Ints, OptionalDouble, OptionalDouble,
                        Tensor& out) {
  return CheckNearest(input, out);
}
template <bool kFromCenters>
Error RunNearestOut(RunContext& c, const Tensor& input, Ints output_size, OptionalDouble scale_h,
                    OptionalDouble scale_w, Tensor& out) {
  Target target;
  RL_RETURN_IF_ERROR(ReadTarget(output_size, scale_h, scale_w, &target));
  return RunNearest(c, input, target, kFromCenters, out);
}
Error PrepareNearestVec(PrepareContext&, const Tensor& input, std::optional<Ints>,
                        std::optional<Doubles>, Tensor& out) {
  return CheckNearest(input, out);
}
Error RunNearestVec(RunContext& c, const Tensor& input, std::optional<Ints> output_size,
                    std::optional<Doubles> scales, Tensor& out) {
  Target target;
  RL_RETURN_IF_ERROR(ReadTarget(input, output_size, scales, &target));
  return RunNearest(c, input, target, false, out);
}

// Bilinear, plain and with antialiasing.

Error PrepareBilinear(PrepareContext& c, const Tensor& input, const Tensor& out) {
  RL_RETURN_IF_ERROR(CheckImages(input, out));
  return c.UseLoop(0, input.dtype(), input.dtype());
}
// The most inputs that an output averages, when it is antialiased.
uint64_t TriangleSteps(const ResizeShape& s) {
  uint64_t steps = 1;
  for (const ResizeDim& d : s.dims) {
    const double step =
        d.scale > 0 && !s.align_corners ? 1 / d.scale : static_cast<double>(d.in) / d.out;
    const double covered = 2 * step + 3;
    steps *= covered < static_cast<double>(d.in) ? static_cast<uint64_t>(covered)
                                                 : static_cast<uint64_t>(d.in);
  }
  return 4 * steps;
}
uint64_t BilinearSteps(const ResizeShape&) { return 16; }

Error PrepareBilinearOut(PrepareContext& c, const Tensor& input, Ints, bool, OptionalDouble,
                         OptionalDouble, Tensor& out) {
  return PrepareBilinear(c, input, out);
}
template <uint64_t (*kSteps)(const ResizeShape&)>
Error RunBilinearOut(RunContext& c, const Tensor& input, Ints output_size, bool align_corners,
                     OptionalDouble scale_h, OptionalDouble scale_w, Tensor& out) {
  Target target;
  RL_RETURN_IF_ERROR(ReadTarget(output_size, scale_h, scale_w, &target));
  ResizeShape s{};
  s.align_corners = align_corners;
  return RunResize(c, input, target, s, out, kSteps,
                   [&](const ResizeArgs& a) { c.CallLoop(0, a); });
}
Error PrepareBilinearVec(PrepareContext& c, const Tensor& input, std::optional<Ints>, bool,
                         std::optional<Doubles>, Tensor& out) {
  return PrepareBilinear(c, input, out);
}
Error RunBilinearVec(RunContext& c, const Tensor& input, std::optional<Ints> output_size,
                     bool align_corners, std::optional<Doubles> scales, Tensor& out) {
  Target target;
  RL_RETURN_IF_ERROR(ReadTarget(input, output_size, scales, &target));
  ResizeShape s{};
  s.align_corners = align_corners;
  return RunResize(c, input, target, s, out, BilinearSteps,
                   [&](const ResizeArgs& a) { c.CallLoop(0, a); });
}

constexpr Loop kBilinearLoops[] = {
    MakeLoop<&kernels::ResizeBilinear<float>>(DType::kFloat32, DType::kFloat32),
    MakeLoop<&kernels::ResizeBilinear<double>>(DType::kFloat64, DType::kFloat64),
    MakeLoop<&kernels::ResizeBilinear<Float16>>(DType::kFloat16, DType::kFloat16),
    MakeLoop<&kernels::ResizeBilinear<BFloat16>>(DType::kBFloat16, DType::kBFloat16),
};
constexpr Loop kAntialiasedLoops[] = {
    MakeLoop<&kernels::ResizeBilinearAntialiased<float>>(DType::kFloat32, DType::kFloat32),
    MakeLoop<&kernels::ResizeBilinearAntialiased<double>>(DType::kFloat64, DType::kFloat64),
    MakeLoop<&kernels::ResizeBilinearAntialiased<Float16>>(DType::kFloat16, DType::kFloat16),
    MakeLoop<&kernels::ResizeBilinearAntialiased<BFloat16>>(DType::kBFloat16, DType::kBFloat16),
};

constexpr Op kOps[] = {
    {"aten::_upsample_bilinear2d_aa.out", Boxed<PrepareBilinearOut, RunBilinearOut<TriangleSteps>>,
     kAntialiasedLoops},
    {"aten::_upsample_nearest_exact2d.out", Boxed<PrepareNearestOut, RunNearestOut<true>>, {}},
    {"aten::upsample_bilinear2d.out", Boxed<PrepareBilinearOut, RunBilinearOut<BilinearSteps>>,
     kBilinearLoops},
    {"aten::upsample_bilinear2d.vec_out", Boxed<PrepareBilinearVec, RunBilinearVec>,
     kBilinearLoops},
    {"aten::upsample_nearest2d.out", Boxed<PrepareNearestOut, RunNearestOut<false>>, {}},
    {"aten::upsample_nearest2d.vec_out", Boxed<PrepareNearestVec, RunNearestVec>, {}},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> UpsampleOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
