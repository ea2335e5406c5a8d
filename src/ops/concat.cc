// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Joining tensors (cat, stack), taking them apart (split, unbind), and repeating one.

#include "src/ops/casts.h"
#include "src/ops/copy.h"
#include "src/ops/shapes.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

// Inputs of other dtypes than the output's are converted.  A list of tensors may have many; the
// slots suffice for three kinds, each of which starts at the slot whose cast reads it.

constexpr size_t kKinds = kMaxLoops / kConversionSlots;

Error PrepareJoin(PrepareContext& c, Span<Tensor* const> tensors, int64_t, Tensor& out) {
  DType kinds[kKinds];
  size_t count = 0;
  size_t i = 0;
  for (const Tensor* t : tensors) {
    const DType dtype = t->dtype();
    bool known = dtype == out.dtype();
    for (size_t k = 0; k < count; ++k) known |= kinds[k] == dtype;
    if (!known) {
      const bool narrows = IsFloating(dtype) && !IsFloating(out.dtype());
      if (narrows || count == kKinds) {
        return Error(Reason::kArgumentDType, Error::kNone, static_cast<int64_t>(dtype),
                     static_cast<int64_t>(out.dtype()))
            .WithArgument(i);
      }
      RL_RETURN_IF_ERROR(UseConversion(c, count * kConversionSlots, dtype, out.dtype()));
      kinds[count++] = dtype;
    }
    ++i;
  }
  return kOk;
}

// to = t, converted.  The list may have been exchanged for another since Prepare saw it.
Error CopyPart(RunContext& c, const View& to, const Tensor& t, DType dtype, size_t i) {
  Conversion conversion;
  if (t.dtype() != dtype) {
    for (size_t k = 0; k < kKinds && conversion.identity(); ++k) {
      const size_t slot = k * kConversionSlots;
      if (c.has_loop(slot) && c.loop(slot).in == t.dtype()) conversion = Conversion(c, slot);
    }
    if (conversion.identity()) return CheckDType(t, dtype, i);
  }
  const View from = ViewOf(t);
  RL_RETURN_IF_ERROR(CheckSameSizes(from, to, i));
  return CopyConverted(c.context, conversion, to, from);
}

// An input that is also the output would change its size under our hands.
Error CheckParts(Span<Tensor* const> tensors, const Tensor& out) {
  RL_CHECK(!tensors.empty(), Reason::kArgumentCount, Error::kNone, 0, 1);
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i] == &out) return Error(Reason::kArgumentOverlap).WithArgument(i);
  }
  return kOk;
}

// cat, with PyTorch's exception for tensors of sizes [0], which fit everywhere.
bool IsLegacyEmpty(const Tensor& t) { return t.rank() == 1 && t.size(0) == 0; }

Error RunCat(RunContext& c, Span<Tensor* const> tensors, int64_t dim, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckParts(tensors, out));
  const Tensor* model = tensors[0];  // has the sizes of the result, but for one dimension
  for (const Tensor* t : tensors) {
    if (IsLegacyEmpty(*model)) model = t;
  }
  RL_CHECK(model->rank() > 0, Reason::kArgumentRank, Error::kNone, 0, 1);
  size_t d = 0;
  RL_RETURN_IF_ERROR(NormalizeDim(dim, model->rank(), &d));
  int64_t total = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (IsLegacyEmpty(*tensors[i])) continue;
    RL_RETURN_IF_ERROR(CheckRank(*tensors[i], model->rank(), i));
    total += tensors[i]->size(d);
  }
  View whole = ViewOf(*model);
  whole.sizes[d] = total;
  RL_RETURN_IF_ERROR(ResizeAs(out, whole));
  whole = ViewOf(out);
  int64_t done = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (IsLegacyEmpty(*tensors[i])) continue;
    View to = whole;
    Cut(to, d, done, tensors[i]->size(d));
    RL_RETURN_IF_ERROR(CopyPart(c, to, *tensors[i], out.dtype(), i));
    done += tensors[i]->size(d);
  }
  return kOk;
}

Error RunStack(RunContext& c, Span<Tensor* const> tensors, int64_t dim, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckParts(tensors, out));
  View whole = ViewOf(*tensors[0]);
  RL_RETURN_IF_ERROR(Unsqueeze(whole, dim));
  size_t d = 0;
  RL_RETURN_IF_ERROR(NormalizeDim(dim, whole.rank, &d));
  whole.sizes[d] = static_cast<int64_t>(tensors.size());
  RL_RETURN_IF_ERROR(ResizeAs(out, whole));
  whole = ViewOf(out);
  for (size_t i = 0; i < tensors.size(); ++i) {
    View to = whole;
    Cut(to, d, static_cast<int64_t>(i), 1);
    Drop(to, d);
    RL_RETURN_IF_ERROR(CopyPart(c, to, *tensors[i], out.dtype(), i));
  }
  return kOk;
}

// The parts of a tensor along a dimension, one after another.

Error CheckOutputs(const Tensor& self, OutTensors out) {
  for (size_t i = 0; i < out.size(); ++i) RL_RETURN_IF_ERROR(CheckDType(out[i], self.dtype(), i));
  return kOk;
}

class Splitter {
 public:
  static Error Make(const Tensor& self, int64_t dim, Splitter* out) {
    RL_CHECK(self.rank() > 0, Reason::kArgumentRank, Error::kNone, 0, 1);
    out->whole_ = ViewOf(self);
    return NormalizeDim(dim, self.rank(), &out->dim_);
  }
  int64_t size() const { return whole_.sizes[dim_]; }
  size_t dim() const { return dim_; }

  // The next `length` indices.  Requires: that many are left.
  View Next(int64_t length) {
    View part = whole_;
    Cut(part, dim_, done_, length);
    done_ += length;
    return part;
  }

 private:
  View whole_;
  size_t dim_ = 0;
  int64_t done_ = 0;
};

Error CheckCount(OutTensors out, int64_t expected) {
  RL_CHECK(static_cast<int64_t>(out.size()) == expected, Reason::kArgumentCount, Error::kNone,
           static_cast<int64_t>(out.size()), expected);
  return kOk;
}

Error PrepareSplit(PrepareContext&, const Tensor& self, int64_t, int64_t, OutTensors out) {
  return CheckOutputs(self, out);
}
Error RunSplit(RunContext& c, const Tensor& self, int64_t split_size, int64_t dim, OutTensors out) {
  RL_RETURN_IF_ERROR(CheckOutputs(self, out));
  Splitter splitter;
  RL_RETURN_IF_ERROR(Splitter::Make(self, dim, &splitter));
  int64_t left = splitter.size();
  RL_CHECK(split_size > 0 || (split_size == 0 && left == 0), Reason::kArgumentValue, Error::kNone,
           split_size, left);
  RL_RETURN_IF_ERROR(CheckCount(out, left == 0 ? 1 : (left - 1) / split_size + 1));
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t length = left < split_size ? left : split_size;
    RL_RETURN_IF_ERROR(CopyTo(c.context, out[i], splitter.Next(length)));
    left -= length;
  }
  return kOk;
}

Error PrepareSplitWithSizes(PrepareContext&, const Tensor& self, Span<const int64_t>, int64_t,
                            OutTensors out) {
  return CheckOutputs(self, out);
}
Error RunSplitWithSizes(RunContext& c, const Tensor& self, Span<const int64_t> split_sizes,
                        int64_t dim, OutTensors out) {
  RL_RETURN_IF_ERROR(CheckOutputs(self, out));
  Splitter splitter;
  RL_RETURN_IF_ERROR(Splitter::Make(self, dim, &splitter));
  int64_t left = splitter.size();
  for (const int64_t length : split_sizes) {
    RL_CHECK(length >= 0 && length <= left, Reason::kArgumentValue, Error::kNone, length, left);
    left -= length;
  }
  RL_CHECK(left == 0, Reason::kArgumentValue, Error::kNone, splitter.size() - left,
           splitter.size());
  RL_RETURN_IF_ERROR(CheckCount(out, static_cast<int64_t>(split_sizes.size())));
  for (size_t i = 0; i < out.size(); ++i) {
    RL_RETURN_IF_ERROR(CopyTo(c.context, out[i], splitter.Next(split_sizes[i])));
  }
  return kOk;
}

Error PrepareUnbind(PrepareContext&, const Tensor& self, int64_t, OutTensors out) {
  return CheckOutputs(self, out);
}
Error RunUnbind(RunContext& c, const Tensor& self, int64_t dim, OutTensors out) {
  RL_RETURN_IF_ERROR(CheckOutputs(self, out));
  Splitter splitter;
  RL_RETURN_IF_ERROR(Splitter::Make(self, dim, &splitter));
  RL_RETURN_IF_ERROR(CheckCount(out, splitter.size()));
  for (size_t i = 0; i < out.size(); ++i) {
    View part = splitter.Next(1);
    Drop(part, splitter.dim());
    RL_RETURN_IF_ERROR(CopyTo(c.context, out[i], part));
  }
  return kOk;
}

// repeat.  A dimension of the output that repeats several elements becomes two: the outer one
// counts repetitions, which all read the same place.

Error PrepareRepeat(PrepareContext&, const Tensor& self, Span<const int64_t>, Tensor& out) {
  return CheckDType(out, self.dtype(), 2);
}
Error RunRepeat(RunContext& c, const Tensor& self, Span<const int64_t> repeats, Tensor& out) {
  RL_CHECK(repeats.size() >= self.rank() && repeats.size() <= kMaxRank, Reason::kArgumentValue,
           Error::kNone, static_cast<int64_t>(repeats.size()), static_cast<int64_t>(self.rank()));
  View from = ViewOf(self);
  while (from.rank < repeats.size()) Insert(from, 0, 1, 0);
  View whole = from;
  for (size_t d = 0; d < whole.rank; ++d) {
    RL_CHECK(repeats[d] >= 0 && repeats[d] <= INT32_MAX, Reason::kArgumentValue, Error::kNone,
             repeats[d], INT32_MAX);
    whole.sizes[d] *= repeats[d];
  }
  RL_RETURN_IF_ERROR(ResizeAs(out, whole));
  View to = ViewOf(out);
  if (to.empty()) return kOk;
  for (size_t d = to.rank; d-- > 0;) {
    const int64_t size = from.sizes[d];
    const int64_t count = to.sizes[d] / size;
    if (size == 1) {
      from.sizes[d] = count;
      from.strides[d] = 0;
    } else if (count > 1) {
      RL_CHECK(to.rank < kMaxRank, Reason::kTooManyDimensions, Error::kNone,
               static_cast<int64_t>(to.rank + 1), kMaxRank);
      to.sizes[d] = size;
      Insert(to, d, count, to.strides[d] * size);
      Insert(from, d, count, 0);
    }
  }
  return Copy(c.context, to, from);
}

constexpr Op kOps[] = {
    {"aten::cat.out", Boxed<PrepareJoin, RunCat>, {}, kCasts},
    {"aten::repeat.out", Boxed<PrepareRepeat, RunRepeat>},
    {"aten::split_copy.Tensor_out", Boxed<PrepareSplit, RunSplit>},
    {"aten::split_with_sizes_copy.out", Boxed<PrepareSplitWithSizes, RunSplitWithSizes>},
    {"aten::stack.out", Boxed<PrepareJoin, RunStack>, {}, kCasts},
    {"aten::unbind_copy.int_out", Boxed<PrepareUnbind, RunUnbind>},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> ConcatOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
