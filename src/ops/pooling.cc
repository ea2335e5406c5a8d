// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Pooling: the greatest element and its index, the average, and the average over windows that
// divide the input evenly (adaptive).

#include "rushlight/half.h"
#include "src/kernels/pool/pool.h"
#include "src/ops/pieces.h"
#include "src/ops/shapes.h"
#include "src/ops/spatial.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

using kernels::PoolArgs;
using kernels::PoolDim;
using kernels::PoolShape;

using Ints = Span<const int64_t>;

// Batch may be missing.
Error CheckRanks(const Tensor& self, size_t dims, const Tensor& out) {
  RL_CHECK(self.rank() == dims + 1 || self.rank() == dims + 2, Reason::kArgumentRank, Error::kNone,
           static_cast<int64_t>(self.rank()), static_cast<int64_t>(dims + 2));
  RL_CHECK(out.rank() == self.rank(), Reason::kOutputRank, Error::kNone,
           static_cast<int64_t>(out.rank()), static_cast<int64_t>(self.rank()));
  return kOk;
}

// The input's side of a shape.  An unbatched tensor is an image of a batch.
Error ReadInput(const Image& in, PoolShape* s) {
  s->channels = in.channels;
  s->in_batch = in.batch_stride;
  s->in_channel = in.channel_stride;
  for (size_t d = 0; d < kSpatial; ++d) {
    RL_CHECK(in.size[d] > 0, Reason::kArgumentSize, Error::kNone, in.size[d], 1);
    s->dims[d].in = in.size[d];
    s->dims[d].in_stride = in.stride[d];
  }
  return kOk;
}

// Reads the windows and works out the output's sizes.  Arguments are at 1, 2, 3, ...
Error ReadWindows(Ints kernel, Ints stride, Ints padding, Ints dilation, bool ceil_mode,
                  size_t dims, PoolShape* s) {
  int64_t kernels[kSpatial], strides[kSpatial], paddings[kSpatial], dilations[kSpatial];
  RL_RETURN_IF_ERROR(ReadSpatial(kernel, dims, 1, 1, 1, kernels));
  RL_RETURN_IF_ERROR(ReadSpatial(stride.empty() ? kernel : stride, dims, 1, 1, 2, strides));
  RL_RETURN_IF_ERROR(ReadSpatial(padding, dims, 0, 0, 3, paddings));
  RL_RETURN_IF_ERROR(ReadSpatial(dilation, dims, 1, 1, 4, dilations));
  for (size_t i = 0; i < kSpatial; ++i) {
    PoolDim& d = s->dims[i];
    d.kernel = kernels[i];
    d.stride = strides[i];
    d.padding = paddings[i];
    d.dilation = dilations[i];
    if (d.padding > d.kernel / 2) {
      return Error(Reason::kArgumentValue, Error::kNone, d.padding, d.kernel / 2).WithArgument(3);
    }
    const int64_t room = d.in + 2 * d.padding - d.dilation * (d.kernel - 1) - 1;
    RL_CHECK(room >= 0 || ceil_mode, Reason::kArgumentSize, Error::kNone, room, 0);
    const int64_t reach = room + (ceil_mode ? d.stride - 1 : 0);
    RL_CHECK(reach >= 0, Reason::kArgumentSize, Error::kNone, reach, 0);
    d.out = reach / d.stride + 1;
    // The last window has to start inside of the input or of the padding before it.
    if (ceil_mode && (d.out - 1) * d.stride >= d.in + d.padding) --d.out;
    RL_CHECK(d.out > 0, Reason::kArgumentSize, Error::kNone, d.out, 1);
  }
  return kOk;
}

// Resizes an output to the shape's sizes.
Error ResizeTo(const PoolShape& s, const Tensor& self, size_t dims, Tensor& out) {
  int32_t sizes[2 + kSpatial];
  const size_t lead = self.rank() - dims;
  for (size_t d = 0; d < lead; ++d) sizes[d] = self.size(d);
  for (size_t d = 0; d < dims; ++d) {
    const int64_t size = s.dims[kSpatial - dims + d].out;
    RL_CHECK(size <= INT32_MAX, Reason::kArgumentSize, Error::kNone, size, INT32_MAX);
    sizes[lead + d] = static_cast<int32_t>(size);
  }
  return out.Resize({sizes, self.rank()});
}

// Fills in the layouts of the outputs (`indices` may be null) and runs the loop.
Error RunPool(RunContext& c, const Tensor& self, size_t dims, Tensor& out, Tensor* indices,
              PoolShape* s) {
  RL_RETURN_IF_ERROR(ResizeTo(*s, self, dims, out));
  if (indices != nullptr) RL_RETURN_IF_ERROR(ResizeTo(*s, self, dims, *indices));
  if (out.numel() == 0) return kOk;
  const Image to(out, dims);
  s->out_batch = to.batch_stride;
  s->out_channel = to.channel_stride;
  for (size_t d = 0; d < kSpatial; ++d) s->dims[d].out_stride = to.stride[d];
  PoolArgs all{s, self.raw(), out.raw(), nullptr, 0, 0};
  if (indices != nullptr) {
    const Image at(*indices, dims);
    s->indices_batch = at.batch_stride;
    s->indices_channel = at.channel_stride;
    for (size_t d = 0; d < kSpatial; ++d) s->dims[d].indices_stride = at.stride[d];
    all.indices = indices->mutable_data<int64_t>();
  }
  uint64_t steps = 1;  // of a window: at most the elements of a plane
  for (const PoolDim& d : s->dims) {
    const int64_t window = s->adaptive ? d.in / d.out + 2 : d.kernel;
    steps *= static_cast<uint64_t>(window < d.in ? window : d.in);
  }
  return c.context.ParallelFor(out.numel(), PieceOf(steps + 4, out.numel()),
                               [&](size_t begin, size_t end) {
                                 PoolArgs a = all;
                                 a.begin = begin;
                                 a.end = end;
                                 c.CallLoop(0, a);
                               });
}

// max_pool2d_with_indices, max_pool3d_with_indices.

template <size_t kDims>
Error PrepareMaxPool(PrepareContext& c, const Tensor& self, Ints, Ints, Ints, Ints, bool,
                     Tensor& out, Tensor& indices) {
  RL_RETURN_IF_ERROR(CheckRanks(self, kDims, out));
  RL_RETURN_IF_ERROR(CheckRanks(self, kDims, indices));
  RL_RETURN_IF_ERROR(CheckDType(out, self.dtype(), 6));
  RL_RETURN_IF_ERROR(CheckDType(indices, DType::kInt64, 7));
  return c.UseLoop(0, self.dtype(), self.dtype());
}
template <size_t kDims>
Error RunMaxPool(RunContext& c, const Tensor& self, Ints kernel, Ints stride, Ints padding,
                 Ints dilation, bool ceil_mode, Tensor& out, Tensor& indices) {
  PoolShape s{};
  RL_RETURN_IF_ERROR(ReadInput(Image(self, kDims), &s));
  RL_RETURN_IF_ERROR(ReadWindows(kernel, stride, padding, dilation, ceil_mode, kDims, &s));
  return RunPool(c, self, kDims, out, &indices, &s);
}

// avg_pool1d, avg_pool2d, avg_pool3d.

template <size_t kDims>
Error PrepareAvgPool(PrepareContext& c, const Tensor& self, Ints, Ints, Ints, bool, bool,
                     std::optional<int64_t>, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckRanks(self, kDims, out));
  RL_RETURN_IF_ERROR(CheckDType(out, self.dtype(), 7));
  return c.UseLoop(0, self.dtype(), self.dtype());
}
template <size_t kDims>
Error RunAvgPool(RunContext& c, const Tensor& self, Ints kernel, Ints stride, Ints padding,
                 bool ceil_mode, bool count_padding, std::optional<int64_t> divisor, Tensor& out) {
  PoolShape s{};
  RL_CHECK(!divisor.has_value() || *divisor != 0, Reason::kArgumentValue, Error::kNone, 0, 1);
  s.divisor = divisor.value_or(0);
  s.count_padding = count_padding;
  RL_RETURN_IF_ERROR(ReadInput(Image(self, kDims), &s));
  const int64_t one = 1;
  RL_RETURN_IF_ERROR(ReadWindows(kernel, stride, padding, {&one, 1}, ceil_mode, kDims, &s));
  // The number of elements of a window, those of the padding included, has to be one.
  int64_t count = 1;
  for (const PoolDim& d : s.dims) {
    RL_CHECK(!__builtin_mul_overflow(count, d.kernel, &count), Reason::kArgumentValue, Error::kNone,
             d.kernel, count);
  }
  return RunPool(c, self, kDims, out, nullptr, &s);
}
Error PrepareAvgPool1d(PrepareContext& c, const Tensor& self, Ints kernel, Ints stride,
                       Ints padding, bool ceil_mode, bool count_padding, Tensor& out) {
  return PrepareAvgPool<1>(c, self, kernel, stride, padding, ceil_mode, count_padding, {}, out);
}
Error RunAvgPool1d(RunContext& c, const Tensor& self, Ints kernel, Ints stride, Ints padding,
                   bool ceil_mode, bool count_padding, Tensor& out) {
  return RunAvgPool<1>(c, self, kernel, stride, padding, ceil_mode, count_padding, {}, out);
}

// adaptive_avg_pool1d, _adaptive_avg_pool2d, _adaptive_avg_pool3d.

template <size_t kDims>
Error PrepareAdaptive(PrepareContext& c, const Tensor& self, Ints, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckRanks(self, kDims, out));
  RL_RETURN_IF_ERROR(CheckDType(out, self.dtype(), 2));
  RL_CHECK(IsFloating(self.dtype()), Reason::kNoKernelForDType, Error::kNone,
           static_cast<int64_t>(self.dtype()), static_cast<int64_t>(self.dtype()));
  return c.UseLoop(0, self.dtype(), self.dtype());
}
template <size_t kDims>
Error RunAdaptive(RunContext& c, const Tensor& self, Ints output_size, Tensor& out) {
  PoolShape s{};
  s.adaptive = true;
  RL_RETURN_IF_ERROR(ReadInput(Image(self, kDims), &s));
  int64_t sizes[kSpatial];
  RL_RETURN_IF_ERROR(ReadSpatial(output_size, kDims, 0, 1, 1, sizes));
  for (size_t d = 0; d < kSpatial; ++d) s.dims[d].out = sizes[d];
  return RunPool(c, self, kDims, out, nullptr, &s);
}

template <class T>
constexpr Loop MaxLoop(DType dtype) {
  return MakeLoop<&kernels::MaxPool<T>>(dtype, dtype);
}
template <class T>
constexpr Loop AvgLoop(DType dtype) {
  return MakeLoop<&kernels::AvgPool<T>>(dtype, dtype);
}
constexpr Loop kMaxLoops[] = {
    MaxLoop<float>(DType::kFloat32),   MaxLoop<double>(DType::kFloat64),
    MaxLoop<Float16>(DType::kFloat16), MaxLoop<BFloat16>(DType::kBFloat16),
    MaxLoop<uint8_t>(DType::kUInt8),   MaxLoop<int8_t>(DType::kInt8),
    MaxLoop<int16_t>(DType::kInt16),   MaxLoop<int32_t>(DType::kInt32),
    MaxLoop<int64_t>(DType::kInt64),
};
constexpr Loop kAvgLoops[] = {
    AvgLoop<float>(DType::kFloat32),   AvgLoop<double>(DType::kFloat64),
    AvgLoop<Float16>(DType::kFloat16), AvgLoop<BFloat16>(DType::kBFloat16),
    AvgLoop<int64_t>(DType::kInt64),
};

constexpr Op kOps[] = {
    {"aten::_adaptive_avg_pool2d.out", Boxed<PrepareAdaptive<2>, RunAdaptive<2>>, kAvgLoops},
    {"aten::_adaptive_avg_pool3d.out", Boxed<PrepareAdaptive<3>, RunAdaptive<3>>, kAvgLoops},
    {"aten::adaptive_avg_pool1d.out", Boxed<PrepareAdaptive<1>, RunAdaptive<1>>, kAvgLoops},
    {"aten::avg_pool1d.out", Boxed<PrepareAvgPool1d, RunAvgPool1d>, kAvgLoops},
    {"aten::avg_pool2d.out", Boxed<PrepareAvgPool<2>, RunAvgPool<2>>, kAvgLoops},
    {"aten::avg_pool3d.out", Boxed<PrepareAvgPool<3>, RunAvgPool<3>>, kAvgLoops},
    {"aten::max_pool2d_with_indices.out", Boxed<PrepareMaxPool<2>, RunMaxPool<2>>, kMaxLoops},
    {"aten::max_pool3d_with_indices.out", Boxed<PrepareMaxPool<3>, RunMaxPool<3>>, kMaxLoops},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> PoolingOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
