// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// pixel_shuffle: [..., c * r * r, h, w] becomes [..., c, h * r, w * r]; pixel_unshuffle: back.

#include "src/kernels/resample/resample.h"
#include "src/ops/pieces.h"
#include "src/ops/shapes.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

// Elements are walked through in the order lead, channel, row and column within a block of r x r
// pixels, row and column of the block.
struct Shuffle {
  size_t lead_dims;
  int64_t r;
  int64_t channels;
  int64_t height;  // in blocks
  int64_t width;
};

// Where an element lies in one of the two tensors.
class Side {
 public:
  Side(const Tensor& tensor, const Shuffle& shuffle, bool blocks_are_channels)
      : tensor_(tensor), shuffle_(shuffle) {
    ComputeStrides(tensor, strides_);
    const int64_t* s = strides_ + shuffle.lead_dims;
    const int64_t r = shuffle.r;
    if (blocks_are_channels) {
      channel_ = s[0] * r * r;
      block_row_ = s[0] * r;
      block_column_ = s[0];
      row_ = s[1];
      column_ = s[2];
    } else {
      channel_ = s[0];
      block_row_ = s[1];
      block_column_ = s[2];
      row_ = s[1] * r;
      column_ = s[2] * r;
    }
  }

  // Requires: position is that of an element.
  void* At(int64_t position) const {
    const Shuffle& s = shuffle_;
    int64_t rest = position;
    const auto next = [&rest](int64_t size) {
      const int64_t i = rest % size;
      rest /= size;
      return i;
    };
    int64_t offset = next(s.width) * column_;
    offset += next(s.height) * row_;
    offset += next(s.r) * block_column_;
    offset += next(s.r) * block_row_;
    offset += next(s.channels) * channel_;
    for (size_t d = s.lead_dims; d-- > 0;) offset += next(tensor_.size(d)) * strides_[d];
    return tensor_.mutable_data<uint8_t>() +
           offset * static_cast<int64_t>(ElementSize(tensor_.dtype()));
  }
  int64_t column_stride() const { return column_; }

 private:
  const Tensor& tensor_;
  const Shuffle& shuffle_;
  int64_t strides_[kMaxRank];
  int64_t channel_;
  int64_t block_row_;
  int64_t block_column_;
  int64_t row_;
  int64_t column_;
};

Error PrepareShuffle(PrepareContext&, const Tensor& self, int64_t, Tensor& out) {
  RL_CHECK(self.rank() >= 3, Reason::kArgumentRank, Error::kNone, static_cast<int64_t>(self.rank()),
           3);
  RL_CHECK(out.rank() == self.rank(), Reason::kOutputRank, Error::kNone,
           static_cast<int64_t>(out.rank()), static_cast<int64_t>(self.rank()));
  return CheckDType(out, self.dtype(), 2);
}

template <bool kBack>
Error RunShuffle(RunContext& c, const Tensor& self, int64_t r, Tensor& out) {
  RL_CHECK(r >= 1 && r <= INT32_MAX, Reason::kArgumentValue, Error::kNone, r, INT32_MAX);
  const size_t lead = self.rank() - 3;
  const int64_t size[3] = {self.size(lead), self.size(lead + 1), self.size(lead + 2)};
  int64_t sizes[kMaxRank];
  for (size_t d = 0; d < lead; ++d) sizes[d] = self.size(d);
  Shuffle s{lead, r, 0, 0, 0};
  if (kBack) {
    RL_CHECK(size[1] % r == 0 && size[2] % r == 0, Reason::kArgumentSize, Error::kNone,
             size[1] % r == 0 ? size[2] : size[1], r);
    s = {lead, r, size[0], size[1] / r, size[2] / r};
    RL_CHECK(!__builtin_mul_overflow(size[0], r * r, &sizes[lead]), Reason::kArgumentSize,
             Error::kNone, size[0], INT32_MAX);
    sizes[lead + 1] = s.height;
    sizes[lead + 2] = s.width;
  } else {
    RL_CHECK(size[0] % (r * r) == 0, Reason::kArgumentSize, Error::kNone, size[0], r * r);
    s = {lead, r, size[0] / (r * r), size[1], size[2]};
    sizes[lead] = s.channels;
    sizes[lead + 1] = s.height * r;
    sizes[lead + 2] = s.width * r;
  }
  int32_t narrow[kMaxRank];
  RL_RETURN_IF_ERROR(NarrowSizes({sizes, lead + 3}, narrow));
  RL_RETURN_IF_ERROR(out.Resize({narrow, lead + 3}));
  if (out.numel() == 0) return kOk;
  const Side from(self, s, !kBack);
  const Side to(out, s, kBack);
  const size_t element_size = ElementSize(out.dtype());
  return c.context.ParallelFor(out.numel(), PieceOf(2, out.numel()), [&](size_t begin, size_t end) {
    int64_t n = 0;
    for (auto p = static_cast<int64_t>(begin); p < static_cast<int64_t>(end); p += n) {
      const int64_t rest_of_row = s.width - p % s.width;
      const int64_t rest = static_cast<int64_t>(end) - p;
      n = rest < rest_of_row ? rest : rest_of_row;
      kernels::CopyStrided(to.At(p), to.column_stride(), from.At(p), from.column_stride(), n,
                           element_size);
    }
  });
}

constexpr Op kOps[] = {
    {"aten::pixel_shuffle.out", Boxed<PrepareShuffle, RunShuffle<false>>, {}},
    {"aten::pixel_unshuffle.out", Boxed<PrepareShuffle, RunShuffle<true>>, {}},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> PixelShuffleOps() { return kOps; }

}  // namespace rushlight::ops
