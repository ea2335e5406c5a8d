// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// im2col: the windows of an image as columns [batch, channels * taps, windows]; col2im: back.

#include "src/kernels/conv/columns.h"

#include "rushlight/half.h"
#include "src/ops/pieces.h"
#include "src/ops/shapes.h"
#include "src/ops/spatial.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

using kernels::ColumnsArgs;
using kernels::ColumnsDim;
using kernels::ColumnsShape;

using Ints = Span<const int64_t>;

constexpr size_t kDims = 2;

// Reads the windows of an image of these sizes; `first` is the position of the kernel size.
Error ReadWindows(const int64_t* image, Ints kernel, Ints dilation, Ints padding, Ints stride,
                  size_t first, ColumnsShape* s) {
  int64_t kernels[kSpatial], dilations[kSpatial], paddings[kSpatial], strides[kSpatial];
  RL_RETURN_IF_ERROR(ReadSpatial(kernel, kDims, 1, 1, first, kernels));
  RL_RETURN_IF_ERROR(ReadSpatial(dilation, kDims, 1, 1, first + 1, dilations));
  RL_RETURN_IF_ERROR(ReadSpatial(padding, kDims, 0, 0, first + 2, paddings));
  RL_RETURN_IF_ERROR(ReadSpatial(stride, kDims, 1, 1, first + 3, strides));
  for (size_t d = 0; d < kDims; ++d) {
    const size_t axis = kSpatial - kDims + d;
    const int64_t room =
        image[axis] + 2 * paddings[axis] - dilations[axis] * (kernels[axis] - 1) - 1;
    RL_CHECK(image[axis] > 0 && room >= 0, Reason::kArgumentSize, Error::kNone, room, 0);
    s->dims[d] = {image[axis],
                  room / strides[axis] + 1,
                  kernels[axis],
                  strides[axis],
                  paddings[axis],
                  dilations[axis],
                  0};
  }
  return kOk;
}

int64_t Taps(const ColumnsShape& s) { return s.dims[0].kernel * s.dims[1].kernel; }

// The image's side of a shape; its spatial sizes are known already.
void ReadLayout(const Image& image, ColumnsShape* s) {
  s->channels = image.channels;
  s->image_batch = image.batch_stride;
  s->image_channel = image.channel_stride;
  for (size_t d = 0; d < kDims; ++d) {
    s->dims[d].image_stride = image.stride[kSpatial - kDims + d];
  }
}

Error RunColumns(RunContext& c, const ColumnsShape& s, uint64_t steps, const Tensor& in,
                 const Tensor& out) {
  if (out.numel() == 0) return kOk;
  return c.context.ParallelFor(out.numel(), PieceOf(steps, out.numel()),
                               [&](size_t begin, size_t end) {
                                 c.CallLoop(0, ColumnsArgs{&s, in.raw(), out.raw(), begin, end});
                               });
}

// `image` and `columns` are of the same rank but for the spatial dimensions, which are one.
Error PrepareColumns(PrepareContext& c, const Tensor& image, const Tensor& columns) {
  RL_CHECK(image.rank() == 3 || image.rank() == 4, Reason::kArgumentRank, Error::kNone,
           static_cast<int64_t>(image.rank()), 4);
  RL_CHECK(columns.rank() + 1 == image.rank(), Reason::kArgumentRank, Error::kNone,
           static_cast<int64_t>(columns.rank()), static_cast<int64_t>(image.rank() - 1));
  RL_CHECK(columns.dtype() == image.dtype(), Reason::kArgumentDType, Error::kNone,
           static_cast<int64_t>(columns.dtype()), static_cast<int64_t>(image.dtype()));
  return c.UseLoop(0, image.dtype(), image.dtype());
}

Error PrepareIm2Col(PrepareContext& c, const Tensor& self, Ints, Ints, Ints, Ints, Tensor& out) {
  return PrepareColumns(c, self, out);
}
Error RunIm2Col(RunContext& c, const Tensor& self, Ints kernel, Ints dilation, Ints padding,
                Ints stride, Tensor& out) {
  const Image image(self, kDims);
  ColumnsShape s{};
  RL_RETURN_IF_ERROR(ReadWindows(image.size, kernel, dilation, padding, stride, 1, &s));
  ReadLayout(image, &s);
  int64_t sizes[3] = {image.batch, 0, 0};
  RL_CHECK(!__builtin_mul_overflow(image.channels, Taps(s), &sizes[1]) &&
               !__builtin_mul_overflow(s.dims[0].windows, s.dims[1].windows, &sizes[2]),
           Reason::kArgumentSize);
  int32_t narrow[3];
  RL_RETURN_IF_ERROR(NarrowSizes(sizes, narrow));
  RL_RETURN_IF_ERROR(out.Resize({narrow + 3 - out.rank(), out.rank()}));
  RL_RETURN_IF_ERROR(CheckContiguous(out, 5));
  return RunColumns(c, s, 8, self, out);
}

Error PrepareCol2Im(PrepareContext& c, const Tensor& self, Ints, Ints, Ints, Ints, Ints,
                    Tensor& out) {
  return PrepareColumns(c, out, self);
}
Error RunCol2Im(RunContext& c, const Tensor& self, Ints output_size, Ints kernel, Ints dilation,
                Ints padding, Ints stride, Tensor& out) {
  int64_t size[kSpatial];
  RL_RETURN_IF_ERROR(ReadSpatial(output_size, kDims, 1, 1, 1, size));
  ColumnsShape s{};
  RL_RETURN_IF_ERROR(ReadWindows(size, kernel, dilation, padding, stride, 2, &s));
  RL_RETURN_IF_ERROR(CheckContiguous(self, 0));
  const size_t rank = self.rank();
  const int64_t rows = self.size(rank - 2);
  RL_CHECK(rows % Taps(s) == 0, Reason::kArgumentSize, Error::kNone, rows, Taps(s));
  int64_t windows = 0;
  RL_CHECK(!__builtin_mul_overflow(s.dims[0].windows, s.dims[1].windows, &windows) &&
               self.size(rank - 1) == windows,
           Reason::kArgumentSize, Error::kNone, self.size(rank - 1), windows);
  const int64_t sizes[4] = {rank == 3 ? self.size(0) : 1, rows / Taps(s), size[1], size[2]};
  int32_t narrow[4];
  RL_RETURN_IF_ERROR(NarrowSizes(sizes, narrow));
  RL_RETURN_IF_ERROR(out.Resize({narrow + 4 - out.rank(), out.rank()}));
  ReadLayout(Image(out, kDims), &s);
  return RunColumns(c, s, 4 * static_cast<uint64_t>(Taps(s)), self, out);
}

constexpr Loop kImageToColumns[] = {
    MakeLoop<&kernels::ImageToColumns<float>>(DType::kFloat32, DType::kFloat32),
    MakeLoop<&kernels::ImageToColumns<double>>(DType::kFloat64, DType::kFloat64),
    MakeLoop<&kernels::ImageToColumns<Float16>>(DType::kFloat16, DType::kFloat16),
    MakeLoop<&kernels::ImageToColumns<BFloat16>>(DType::kBFloat16, DType::kBFloat16),
};
constexpr Loop kColumnsToImage[] = {
    MakeLoop<&kernels::ColumnsToImage<float>>(DType::kFloat32, DType::kFloat32),
    MakeLoop<&kernels::ColumnsToImage<double>>(DType::kFloat64, DType::kFloat64),
    MakeLoop<&kernels::ColumnsToImage<Float16>>(DType::kFloat16, DType::kFloat16),
    MakeLoop<&kernels::ColumnsToImage<BFloat16>>(DType::kBFloat16, DType::kBFloat16),
};

constexpr Op kOps[] = {
    {"aten::col2im.out", Boxed<PrepareCol2Im, RunCol2Im>, kColumnsToImage},
    {"aten::im2col.out", Boxed<PrepareIm2Col, RunIm2Col>, kImageToColumns},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> ColumnsOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
