// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Operators whose sizes or places depend on data: masked_select, masked_scatter, nonzero,
// repeat_interleave.

#include "src/kernels/copy/copy.h"
#include "src/ops/casts.h"
#include "src/ops/elementwise.h"  // BroadcastShape
#include "src/ops/mask.h"
#include "src/ops/shapes.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

Error CheckMask(const Tensor& mask, size_t argument) {
  return mask.dtype() == DType::kUInt8 ? kOk : CheckDType(mask, DType::kBool, argument);
}

// Both, broadcast against each other.
Error BroadcastViews(const Tensor& self, const Tensor& mask, View* self_view, View* mask_view) {
  Shape shape;
  RL_RETURN_IF_ERROR(BroadcastShape({self, mask}, &shape));
  int64_t sizes[kMaxRank];
  for (size_t d = 0; d < shape.rank; ++d) sizes[d] = shape.sizes[d];
  *self_view = ViewOf(self);
  *mask_view = ViewOf(mask);
  RL_RETURN_IF_ERROR(Expand(*self_view, {sizes, shape.rank}));
  RL_RETURN_IF_ERROR(Expand(*mask_view, {sizes, shape.rank}));
  return CheckNumel(*self_view);
}

// Places, collected so that a kernel is called for many at once: flush(places, first, n), where
// `first` were flushed before.
template <class F>
class PlaceBuffer {
 public:
  explicit PlaceBuffer(F flush) : flush_(flush) {}
  void Add(int64_t place) {
    places_[count_++] = place;
    if (count_ == kCapacity) Flush();
  }
  void Flush() {
    flush_(places_, done_, count_);
    done_ += count_;
    count_ = 0;
  }

 private:
  static constexpr size_t kCapacity = 64;
  F flush_;
  size_t done_ = 0;
  size_t count_ = 0;
  int64_t places_[kCapacity];
};

Error CountTrue(const Context& context, const View& mask, const Conversion& to_bool,
                int64_t* count) {
  *count = 0;
  return ForEachTrue(context, mask, to_bool, mask.strides, [&](size_t, int64_t) { ++*count; });
}

Error ResizeVector(Tensor& out, int64_t size) {
  int32_t narrow = 0;
  RL_RETURN_IF_ERROR(NarrowSizes({&size, 1}, &narrow));
  return out.Resize({&narrow, 1});
}

// masked_select.

Error PrepareMaskedSelect(PrepareContext&, const Tensor& self, const Tensor& mask, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckMask(mask, 1));
  RL_RETURN_IF_ERROR(CheckRank(out, 1, 2));
  return CheckDType(out, self.dtype(), 2);
}
Error RunMaskedSelect(RunContext& c, const Tensor& self, const Tensor& mask, Tensor& out) {
  View from;
  View chosen;
  RL_RETURN_IF_ERROR(BroadcastViews(self, mask, &from, &chosen));
  int64_t count = 0;
  RL_RETURN_IF_ERROR(CountTrue(c.context, chosen, Conversion(), &count));
  RL_RETURN_IF_ERROR(ResizeVector(out, count));
  if (count == 0) return kOk;
  RL_CHECK(!Overlap(mask, out), Reason::kArgumentOverlap);  // it is read again
  const View to = ViewOf(out);
  PlaceBuffer buffer([&](const int64_t* places, size_t first, size_t n) {
    kernels::GatherPlaces(to.at(static_cast<int64_t>(first)), 1, from.at(0), places, n,
                          from.element_size);
  });
  RL_RETURN_IF_ERROR(ForEachTrue(c.context, chosen, Conversion(), from.strides,
                                 [&](size_t, int64_t place) { buffer.Add(place); }));
  buffer.Flush();
  return kOk;
}

// masked_scatter: the chosen elements of self become those of source, one after another.

Error PrepareMaskedScatter(PrepareContext&, const Tensor& self, const Tensor& mask,
                           const Tensor& source, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckMask(mask, 1));
  RL_RETURN_IF_ERROR(CheckDType(source, self.dtype(), 2));
  return CheckDType(out, self.dtype(), 3);
}
Error RunMaskedScatter(RunContext& c, const Tensor& self, const Tensor& mask, const Tensor& source,
                       Tensor& out) {
  View from;
  View chosen;
  RL_RETURN_IF_ERROR(CheckContiguous(source, 2));
  RL_RETURN_IF_ERROR(BroadcastViews(self, mask, &from, &chosen));
  const View values = ViewOf(source);
  const auto available = static_cast<int64_t>(source.numel());
  int64_t count = 0;
  RL_RETURN_IF_ERROR(CountTrue(c.context, chosen, Conversion(), &count));
  RL_CHECK(count <= available, Reason::kArgumentSize, Error::kNone, available, count);
  RL_RETURN_IF_ERROR(ResizeAs(out, from));
  if (out.numel() == 0) return kOk;
  RL_CHECK(!Overlap(mask, out), Reason::kArgumentOverlap);
  const View to = ViewOf(out);
  RL_RETURN_IF_ERROR(Copy(c.context, to, from));
  PlaceBuffer buffer([&](const int64_t* places, size_t first, size_t n) {
    kernels::ScatterPlaces(to.at(0), places, values.at(static_cast<int64_t>(first)), 1, n,
                           to.element_size);
  });
  RL_RETURN_IF_ERROR(ForEachTrue(c.context, chosen, Conversion(), to.strides,
                                 [&](size_t, int64_t place) { buffer.Add(place); }));
  buffer.Flush();
  return kOk;
}

// nonzero: the indices of each element that is not zero, as rows of a matrix.

Error PrepareNonzero(PrepareContext& c, const Tensor& self, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckRank(out, 2, 1));
  RL_RETURN_IF_ERROR(CheckDType(out, DType::kInt64, 1));
  return UseConversion(c, 0, self.dtype(), DType::kBool);
}
Error RunNonzero(RunContext& c, const Tensor& self, Tensor& out) {
  const View from = ViewOf(self);
  const Conversion to_bool(c, 0);
  int64_t count = 0;
  RL_RETURN_IF_ERROR(CountTrue(c.context, from, to_bool, &count));
  View rows{nullptr, sizeof(int64_t), 0, 2, {count, static_cast<int64_t>(from.rank)}, {}};
  RL_RETURN_IF_ERROR(ResizeAs(out, rows));
  if (out.numel() == 0) return kOk;
  RL_CHECK(!Overlap(self, out), Reason::kArgumentOverlap);
  rows = ViewOf(out);
  auto* const indices = out.mutable_data<int64_t>();
  int64_t row = 0;
  return ForEachTrue(c.context, from, to_bool, from.strides, [&](size_t position, int64_t) {
    auto rest = static_cast<int64_t>(position);
    for (size_t d = from.rank; d-- > 0;) {
      indices[row * rows.strides[0] + static_cast<int64_t>(d) * rows.strides[1]] =
          rest % from.sizes[d];
      rest /= from.sizes[d];
    }
    ++row;
  });
}

// repeat_interleave: i, repeats[i] times.

template <class I>
Error Interleave(RunContext& c, const Tensor& repeats, std::optional<int64_t> output_size,
                 Tensor& out) {
  const I* counts = repeats.data<I>();
  const size_t n = repeats.numel();
  int64_t total = 0;
  for (size_t i = 0; i < n; ++i) {
    RL_CHECK(counts[i] >= 0 && !__builtin_add_overflow(total, counts[i], &total),
             Reason::kArgumentValue, Error::kNone, counts[i]);
  }
  RL_CHECK(output_size.value_or(total) == total, Reason::kArgumentValue, Error::kNone,
           output_size.value_or(total), total);
  RL_RETURN_IF_ERROR(ResizeVector(out, total));
  if (total == 0) return kOk;
  RL_CHECK(!Overlap(repeats, out), Reason::kArgumentOverlap);
  I* to = out.mutable_data<I>();
  return Serial(c.context).ParallelFor(n, CopyGrain(sizeof(I)), [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const auto value = static_cast<I>(i);
      kernels::FillRun(to, 1, &value, static_cast<size_t>(counts[i]), sizeof(I));
      to += counts[i];
    }
  });
}

Error PrepareRepeatInterleave(PrepareContext&, const Tensor& repeats, std::optional<int64_t>,
                              Tensor& out) {
  RL_RETURN_IF_ERROR(CheckRank(repeats, 1, 0));
  RL_RETURN_IF_ERROR(CheckRank(out, 1, 2));
  if (repeats.dtype() != DType::kInt32) RL_RETURN_IF_ERROR(CheckDType(repeats, DType::kInt64, 0));
  return CheckDType(out, repeats.dtype(), 2);
}
Error RunRepeatInterleave(RunContext& c, const Tensor& repeats, std::optional<int64_t> output_size,
                          Tensor& out) {
  return repeats.dtype() == DType::kInt32 ? Interleave<int32_t>(c, repeats, output_size, out)
                                          : Interleave<int64_t>(c, repeats, output_size, out);
}

constexpr Op kOps[] = {
    {"aten::masked_scatter.out", Boxed<PrepareMaskedScatter, RunMaskedScatter>},
    {"aten::masked_select.out", Boxed<PrepareMaskedSelect, RunMaskedSelect>},
    {"aten::nonzero.out", Boxed<PrepareNonzero, RunNonzero>, {}, kCasts},
    {"aten::repeat_interleave.Tensor_out", Boxed<PrepareRepeatInterleave, RunRepeatInterleave>},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> MaskedOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
