// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// convolution: one, two or three dimensions, transposed or not, in any layout.

#include "src/kernels/conv/conv.h"
#include "src/ops/casts.h"
#include "src/ops/pieces.h"
#include "src/ops/products.h"
#include "src/ops/shapes.h"
#include "src/ops/spatial.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

using kernels::ConvArgs;
using kernels::ConvDim;
using kernels::ConvShape;
using kernels::kConvColumns;
using kernels::kConvRows;

using Ints = Span<const int64_t>;

// Positions of the arguments.
enum : size_t {
  kInput,
  kWeight,
  kBias,
  kStride,
  kPadding,
  kDilation,
  kTransposed,
  kOutputPadding,
  kGroups,
  kOut
};

Error PrepareConvolution(PrepareContext& c, const Tensor& input, const Tensor& weight,
                         const Tensor* bias, Ints, Ints, Ints, bool, Ints, int64_t, Tensor& out) {
  RL_CHECK(input.rank() >= 3 && input.rank() <= 2 + kSpatial, Reason::kArgumentRank, Error::kNone,
           static_cast<int64_t>(input.rank()), 2 + kSpatial);
  RL_RETURN_IF_ERROR(CheckRank(weight, input.rank(), kWeight));
  if (bias != nullptr) RL_RETURN_IF_ERROR(CheckRank(*bias, 1, kBias));
  RL_CHECK(out.rank() == input.rank(), Reason::kOutputRank, Error::kNone,
           static_cast<int64_t>(out.rank()), static_cast<int64_t>(input.rank()));
  return PrepareProduct(c, {&input, &weight, bias}, out);
}

// The size of the output along one dimension, which may be out of range: see NarrowSizes.
// No term exceeds 2^62 and none but the last two are negative.
int64_t OutputSize(const ConvDim& d, bool transposed, int64_t output_padding) {
  const int64_t reach = d.dilation * (d.kernel - 1);
  if (transposed) {
    return (d.in - 1) * d.stride + reach + output_padding + 1 - 2 * d.padding;
  }
  const int64_t room = d.in + 2 * d.padding - reach - 1;
  return room < 0 ? 0 : room / d.stride + 1;
}

// One number for each dimension, or one for all.
struct Windows {
  Ints stride;
  Ints padding;
  Ints dilation;
  Ints output_padding;
};

Error ReadDims(const Image& in, const Image& weight, size_t dims, const Windows& windows,
               ConvShape* s) {
  int64_t stride[kSpatial], padding[kSpatial], dilation[kSpatial], output_padding[kSpatial];
  RL_RETURN_IF_ERROR(ReadSpatial(windows.stride, dims, 1, 1, kStride, stride));
  RL_RETURN_IF_ERROR(ReadSpatial(windows.padding, dims, 0, 0, kPadding, padding));
  RL_RETURN_IF_ERROR(ReadSpatial(windows.dilation, dims, 1, 1, kDilation, dilation));
  RL_RETURN_IF_ERROR(
      ReadSpatial(windows.output_padding, dims, 0, 0, kOutputPadding, output_padding));
  for (size_t i = 0; i < kSpatial; ++i) {
    ConvDim& d = s->dims[i];
    d = {in.size[i], 0, weight.size[i], stride[i], padding[i], dilation[i], in.stride[i], 0};
    RL_CHECK(d.in > 0 && d.kernel > 0, Reason::kArgumentSize, Error::kNone,
             d.in > 0 ? d.kernel : d.in, 1);
    RL_CHECK(!s->transposed || output_padding[i] < d.stride || output_padding[i] < d.dilation,
             Reason::kArgumentValue, Error::kNone, output_padding[i], d.stride);
    d.out = OutputSize(d, s->transposed, output_padding[i]);
    RL_CHECK(d.out > 0, Reason::kArgumentSize, Error::kNone, d.out, 1);
  }
  return kOk;
}

// The strides of the weights, whose taps have to lie at equal distances.
Error ReadWeightStrides(const Image& weight, ConvShape* s) {
  s->weight_row = s->transposed ? weight.channel_stride : weight.batch_stride;
  s->weight_channel = s->transposed ? weight.batch_stride : weight.channel_stride;
  s->weight_tap = 0;
  int64_t taps = 1;
  for (size_t d = kSpatial; d-- > 0;) {
    if (weight.size[d] == 1) continue;
    if (taps == 1) s->weight_tap = weight.stride[d];
    if (weight.stride[d] != taps * s->weight_tap) {
      return Error(Reason::kArgumentDimOrder).WithArgument(kWeight);
    }
    taps *= weight.size[d];
  }
  if (taps == 1) s->weight_tap = s->weight_channel;
  s->taps = static_cast<size_t>(taps);
  return kOk;
}

Error RunConvolution(RunContext& c, const Tensor& input, const Tensor& weight, const Tensor* bias,
                     Ints stride, Ints padding, Ints dilation, bool transposed, Ints output_padding,
                     int64_t groups, Tensor& out) {
  const size_t dims = input.rank() - 2;
  const Image in(input, dims);
  const Image w(weight, dims);

  // Channels.  The weight is [out, in / groups, ...], transposed [in, out / groups, ...].
  RL_CHECK(in.channels > 0 && groups > 0 && in.channels % groups == 0, Reason::kArgumentValue,
           Error::kNone, groups, in.channels);
  const int64_t weight_in = transposed ? w.batch : w.channels * groups;
  RL_CHECK(weight_in == in.channels, Reason::kArgumentSize, Error::kNone, weight_in, in.channels);
  const int64_t out_channels = transposed ? w.channels * groups : w.batch;
  RL_CHECK(out_channels % groups == 0, Reason::kArgumentValue, Error::kNone, groups, out_channels);
  RL_CHECK(bias == nullptr || bias->size(0) == out_channels, Reason::kArgumentSize, Error::kNone,
           bias == nullptr ? 0 : bias->size(0), out_channels);
  const int64_t group_in = in.channels / groups;
  const int64_t group_out = out_channels / groups;

  // Sizes and layouts.
  ConvShape shape{};
  shape.transposed = transposed;
  shape.channels = static_cast<size_t>(group_in);
  RL_RETURN_IF_ERROR(ReadDims(in, w, dims, {stride, padding, dilation, output_padding}, &shape));
  int64_t sizes[2 + kSpatial] = {in.batch, out_channels};
  for (size_t d = 0; d < dims; ++d) sizes[2 + d] = shape.dims[kSpatial - dims + d].out;
  int32_t narrow[2 + kSpatial];
  RL_RETURN_IF_ERROR(NarrowSizes({sizes, 2 + dims}, narrow));
  RL_RETURN_IF_ERROR(out.Resize({narrow, 2 + dims}));
  if (out.numel() == 0) return kOk;
  const Image to(out, dims);
  for (size_t d = 0; d < kSpatial; ++d) shape.dims[d].out_stride = to.stride[d];
  shape.in_channel = in.channel_stride;
  shape.out_channel = to.channel_stride;
  RL_RETURN_IF_ERROR(ReadWeightStrides(w, &shape));

  // Pieces: a block of output channels of a group, at a stretch of positions.
  const auto positions = static_cast<size_t>(to.positions());
  const auto rows = static_cast<size_t>(group_out);
  const size_t block_rows = rows < kConvRows ? rows : kConvRows;
  const size_t row_blocks = CeilDiv(rows, kConvRows);
  const uint64_t panel_steps = uint64_t{block_rows} * shape.channels * shape.taps * kConvColumns;
  const size_t length = PieceOf(panel_steps, CeilDiv(positions, kConvColumns)) * kConvColumns;
  const size_t stretches = CeilDiv(positions, length);
  const size_t blocks =
      static_cast<size_t>(in.batch) * static_cast<size_t>(groups) * row_blocks * stretches;
  const kernels::Storage storage = StorageOf(c, out.dtype());

  return c.context.ParallelFor(
      blocks, PieceOf(panel_steps * (length / kConvColumns), blocks),
      [&](size_t begin, size_t end) {
        for (size_t block = begin; block < end; ++block) {
          const size_t first_row = block / stretches % row_blocks * kConvRows;
          const auto row = static_cast<int64_t>(first_row);
          const auto part = static_cast<int64_t>(block / stretches / row_blocks);
          const int64_t group = part % groups;
          const int64_t image = part / groups;
          const int64_t channel = group * group_out + row;
          const int64_t weight_at = transposed
                                        ? group * group_in * w.batch_stride + row * w.channel_stride
                                        : channel * w.batch_stride;
          ConvArgs a{};
          a.shape = &shape;
          a.storage = storage;
          a.in = storage.At(input.raw(),
                            image * in.batch_stride + group * group_in * in.channel_stride);
          a.weight = storage.At(weight.raw(), weight_at);
          if (bias != nullptr) a.bias = storage.At(bias->raw(), channel);
          a.out = storage.At(out.raw(), image * to.batch_stride + channel * to.channel_stride);
          a.rows = rows - first_row < kConvRows ? rows - first_row : kConvRows;
          a.begin = block % stretches * length;
          a.end = positions - a.begin < length ? positions : a.begin + length;
          c.CallLoop(kProduct, a);
        }
      });
}

constexpr Loop kLoops[] = {
    MakeLoop<&kernels::Convolve<float>>(DType::kFloat32, DType::kFloat32),
    MakeLoop<&kernels::Convolve<double>>(DType::kFloat64, DType::kFloat64),
    MakeLoop<&kernels::Convolve<uint32_t>>(DType::kInt32, DType::kInt32),
    MakeLoop<&kernels::Convolve<uint64_t>>(DType::kInt64, DType::kInt64),
};

constexpr Op kOps[] = {
    {"aten::convolution.out", Boxed<PrepareConvolution, RunConvolution>, kLoops, kCasts},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> ConvolutionOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
