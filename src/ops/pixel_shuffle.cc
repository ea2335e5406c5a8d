// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// pixel_shuffle: [..., c * r * r, h, w] becomes [..., c, h * r, w * r]; pixel_unshuffle: back.

#include "src/ops/copy.h"
#include "src/ops/shapes.h"
#include "src/ops/tables.h"
#include "src/ops/view.h"

namespace rushlight::ops {
namespace {

// Splits dimension d into [size / r, r].
void Split(View& v, size_t d, int64_t r) {
  const int64_t stride = v.strides[d];
  v.sizes[d] /= r;
  v.strides[d] *= r;
  Insert(v, d + 1, r, stride);
}

// Both as [..., c, row in the block, column in the block, h, w]; `d` is that of the channels.

View ViewOfBlocks(const Tensor& blocks, size_t d, int64_t r) {
  View v = ViewOf(blocks);
  Split(v, d, r);
  Split(v, d, r);
  return v;
}

Result<View> ViewOfPixels(const Tensor& pixels, size_t d, int64_t r) {
  View v = ViewOf(pixels);
  Split(v, d + 2, r);
  Split(v, d + 1, r);
  int64_t order[kMaxRank];
  for (size_t i = 0; i < v.rank; ++i) order[i] = static_cast<int64_t>(i);
  const auto channels = static_cast<int64_t>(d);
  order[d + 1] = channels + 2;
  order[d + 2] = channels + 4;
  order[d + 3] = channels + 1;
  order[d + 4] = channels + 3;
  RL_RETURN_IF_ERROR(Permute(v, {order, v.rank}));
  return v;
}

Error PrepareShuffle(PrepareContext&, const Tensor& self, int64_t, Tensor& out) {
  RL_CHECK(self.rank() >= 3, Reason::kArgumentRank, Error::kNone, static_cast<int64_t>(self.rank()),
           3);
  RL_CHECK(self.rank() + 2 <= kMaxRank, Reason::kTooManyDimensions, Error::kNone,
           static_cast<int64_t>(self.rank() + 2), kMaxRank);
  RL_CHECK(out.rank() == self.rank(), Reason::kOutputRank, Error::kNone,
           static_cast<int64_t>(out.rank()), static_cast<int64_t>(self.rank()));
  return CheckDType(out, self.dtype(), 2);
}

// Gives `out` the leading sizes of `self` and then these three.
Error ResizeShuffled(const Tensor& self, const int64_t* channels_height_width, Tensor& out) {
  const size_t lead = self.rank() - 3;
  int64_t sizes[kMaxRank];
  for (size_t d = 0; d < lead; ++d) sizes[d] = self.size(d);
  for (size_t d = 0; d < 3; ++d) sizes[lead + d] = channels_height_width[d];
  int32_t narrow[kMaxRank];
  RL_RETURN_IF_ERROR(NarrowSizes({sizes, lead + 3}, narrow));
  return out.Resize({narrow, lead + 3});
}

Error RunShuffle(RunContext& c, const Tensor& self, int64_t r, Tensor& out) {
  RL_CHECK(r >= 1 && r <= INT32_MAX, Reason::kArgumentValue, Error::kNone, r, INT32_MAX);
  const size_t d = self.rank() - 3;
  RL_CHECK(self.size(d) % (r * r) == 0, Reason::kArgumentSize, Error::kNone, self.size(d), r * r);
  const int64_t sizes[3] = {self.size(d) / (r * r), self.size(d + 1) * r, self.size(d + 2) * r};
  RL_RETURN_IF_ERROR(ResizeShuffled(self, sizes, out));
  RL_ASSIGN_OR_RETURN(const View to, ViewOfPixels(out, d, r));
  return Copy(c.context, to, ViewOfBlocks(self, d, r));
}

Error RunUnshuffle(RunContext& c, const Tensor& self, int64_t r, Tensor& out) {
  RL_CHECK(r >= 1 && r <= INT32_MAX, Reason::kArgumentValue, Error::kNone, r, INT32_MAX);
  const size_t d = self.rank() - 3;
  for (size_t i = d + 1; i < self.rank(); ++i) {
    RL_CHECK(self.size(i) % r == 0, Reason::kArgumentSize, Error::kNone, self.size(i), r);
  }
  int64_t sizes[3] = {0, self.size(d + 1) / r, self.size(d + 2) / r};
  RL_CHECK(!__builtin_mul_overflow(self.size(d), r * r, &sizes[0]), Reason::kArgumentSize,
           Error::kNone, self.size(d), INT32_MAX);
  RL_RETURN_IF_ERROR(ResizeShuffled(self, sizes, out));
  RL_ASSIGN_OR_RETURN(const View from, ViewOfPixels(self, d, r));
  return Copy(c.context, ViewOfBlocks(out, d, r), from);
}

constexpr Op kOps[] = {
    {"aten::pixel_shuffle.out", Boxed<PrepareShuffle, RunShuffle>},
    {"aten::pixel_unshuffle.out", Boxed<PrepareShuffle, RunUnshuffle>},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> PixelShuffleOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
