// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Tensors made of numbers.  The dtype is the output's.

#include <cmath>
#include <type_traits>

#include "src/ops/casts.h"
#include "src/ops/copy.h"
#include "src/ops/shapes.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

Error ResizeTo(Tensor& out, Span<const int64_t> size) {
  int32_t sizes[kMaxRank];
  RL_RETURN_IF_ERROR(NarrowSizes(size, sizes));
  return out.Resize({sizes, size.size()});
}

Error FillWith(RunContext& c, Scalar value, Tensor& out) {
  return Fill(c.context, ViewOf(out), MakeElement(c, 0, value).bytes);
}

// By size, or by the size of another tensor; with one number, given or known.

Error PrepareFull(PrepareContext& c, Span<const int64_t>, Scalar, Tensor& out) {
  return UseNumber(c, 0, out.dtype());
}
Error RunFull(RunContext& c, Span<const int64_t> size, Scalar value, Tensor& out) {
  RL_RETURN_IF_ERROR(ResizeTo(out, size));
  return FillWith(c, value, out);
}

Error PrepareConstant(PrepareContext& c, Span<const int64_t>, Tensor& out) {
  return UseNumber(c, 0, out.dtype());
}
template <int64_t kValue>
Error RunConstant(RunContext& c, Span<const int64_t> size, Tensor& out) {
  return RunFull(c, size, Scalar(kValue), out);
}

Error PrepareFill(PrepareContext& c, const Tensor&, Scalar, Tensor& out) {
  return UseNumber(c, 0, out.dtype());
}
Error RunFill(RunContext& c, const Tensor& self, Scalar value, Tensor& out) {
  RL_RETURN_IF_ERROR(ResizeAs(out, ViewOf(self)));
  return FillWith(c, value, out);
}

Error PrepareFullLike(PrepareContext& c, const Tensor& self, Scalar value, std::optional<int64_t>,
                      Tensor& out) {
  return PrepareFill(c, self, value, out);
}
Error RunFullLike(RunContext& c, const Tensor& self, Scalar value, std::optional<int64_t>,
                  Tensor& out) {
  return RunFill(c, self, value, out);
}

Error PrepareConstantLike(PrepareContext& c, const Tensor&, std::optional<int64_t>, Tensor& out) {
  return UseNumber(c, 0, out.dtype());
}
template <int64_t kValue>
Error RunConstantLike(RunContext& c, const Tensor& self, std::optional<int64_t>, Tensor& out) {
  return RunFill(c, self, Scalar(kValue), out);
}

Error PrepareScalarTensor(PrepareContext& c, Scalar, Tensor& out) {
  return UseNumber(c, 0, out.dtype());
}
Error RunScalarTensor(RunContext& c, Scalar value, Tensor& out) {
  return RunFull(c, {}, value, out);
}

Error PrepareFillTensor(PrepareContext& c, const Tensor&, const Tensor& value, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckRank(value, 0, 1));
  return UseConversion(c, 0, value.dtype(), out.dtype());
}
Error RunFillTensor(RunContext& c, const Tensor& self, const Tensor& value, Tensor& out) {
  Element element;
  Conversion(c, 0).Run(element.bytes, value.raw(), 1, 1, ElementSize(value.dtype()));
  RL_RETURN_IF_ERROR(ResizeAs(out, ViewOf(self)));
  return Fill(c.context, ViewOf(out), element.bytes);
}

// empty: nothing is written.

Error PrepareEmpty(PrepareContext&, Span<const int64_t>, std::optional<int64_t>, Tensor&) {
  return kOk;
}
Error RunEmpty(RunContext&, Span<const int64_t> size, std::optional<int64_t>, Tensor& out) {
  return ResizeTo(out, size);
}
Error PrepareEmptyLike(PrepareContext&, const Tensor&, std::optional<int64_t>, Tensor&) {
  return kOk;
}
Error RunEmptyLike(RunContext&, const Tensor& self, std::optional<int64_t>, Tensor& out) {
  return ResizeAs(out, ViewOf(self));
}
Error PrepareEmptyDimOrder(PrepareContext&, Span<const int64_t>, std::optional<Span<const int64_t>>,
                           Tensor&) {
  return kOk;
}
Error RunEmptyDimOrder(RunContext&, Span<const int64_t> size, std::optional<Span<const int64_t>>,
                       Tensor& out) {
  return ResizeTo(out, size);
}

// eye.

Error RunEyeOf(RunContext& c, int64_t rows, int64_t columns, Tensor& out) {
  const int64_t size[] = {rows, columns};
  RL_RETURN_IF_ERROR(RunFull(c, size, Scalar(int64_t{0}), out));
  View diagonal = ViewOf(out);
  RL_RETURN_IF_ERROR(Diagonal(diagonal, 0, 0, 1));
  return Fill(c.context, diagonal, MakeElement(c, 0, Scalar(int64_t{1})).bytes);
}
Error PrepareEye(PrepareContext& c, int64_t, Tensor& out) { return UseNumber(c, 0, out.dtype()); }
Error RunEye(RunContext& c, int64_t n, Tensor& out) { return RunEyeOf(c, n, n, out); }
Error PrepareEyeM(PrepareContext& c, int64_t, int64_t, Tensor& out) {
  return UseNumber(c, 0, out.dtype());
}
Error RunEyeM(RunContext& c, int64_t n, int64_t m, Tensor& out) { return RunEyeOf(c, n, m, out); }

// Sequences: value(i), a double or an int64, for each element of a vector.

template <class F>
Error RunSequence(RunContext& c, int64_t count, Tensor& out, F value) {
  RL_RETURN_IF_ERROR(ResizeTo(out, {&count, 1}));
  using T = decltype(value(int64_t{0}));
  const Conversion convert(c, std::is_integral_v<T> ? 0 : 1, 1);  // as UseNumber has it
  const size_t size = ElementSize(out.dtype());
  auto* const to = out.mutable_data<uint8_t>();
  return c.context.ParallelFor(static_cast<size_t>(count), CopyGrain(size),
                               [&](size_t begin, size_t end) {
                                 constexpr size_t kBlock = 64;
                                 T block[kBlock];
                                 for (size_t done = begin; done < end; done += kBlock) {
                                   const size_t n = end - done < kBlock ? end - done : kBlock;
                                   for (size_t i = 0; i < n; ++i)
                                     block[i] = value(static_cast<int64_t>(done + i));
                                   convert.Run(to + done * size, block, n, 1, sizeof(T));
                                 }
                               });
}

// How many steps there are from start to end, as PyTorch counts: with int64 for an int64 result,
// otherwise in double.
Error CountSteps(Scalar start, Scalar end, Scalar step, bool exact, int64_t* count) {
  if (exact) {
    const int64_t by = step.to_int();
    int64_t distance = 0;
    RL_CHECK(by != 0, Reason::kArgumentValue, Error::kNone, by);
    RL_CHECK(!__builtin_sub_overflow(end.to_int(), start.to_int(), &distance),
             Reason::kArgumentSize, Error::kNone, end.to_int(), start.to_int());
    RL_CHECK(distance == 0 || (distance > 0) == (by > 0), Reason::kArgumentValue, Error::kNone, by,
             distance);
    // Rounded up; the quotient of opposite limits does not exist.
    *count = by == -1 ? 0 - (distance == INT64_MIN ? -INT64_MAX : distance)
                      : distance / by + (distance % by != 0 ? 1 : 0);
    return kOk;
  }
  const double by = step.to_double();
  RL_CHECK(by != 0 && std::isfinite(by), Reason::kArgumentValue, Error::kNone, step.to_int());
  const double steps = (end.to_double() - start.to_double()) / by;
  RL_CHECK(steps >= 0, Reason::kArgumentValue, Error::kNone, step.to_int());  // nor NaN
  RL_CHECK(steps <= INT32_MAX, Reason::kArgumentSize, Error::kNone, INT64_MAX, INT32_MAX);
  *count = static_cast<int64_t>(std::ceil(steps));
  return kOk;
}

Error PrepareArangeFrom(PrepareContext& c, Scalar, Scalar, Scalar, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckRank(out, 1, 3));
  return UseNumber(c, 0, out.dtype());
}
Error RunArangeFrom(RunContext& c, Scalar start, Scalar end, Scalar step, Tensor& out) {
  int64_t count = 0;
  RL_RETURN_IF_ERROR(CountSteps(start, end, step, out.dtype() == DType::kInt64, &count));
  if (IsFloating(out.dtype())) {
    const double first = start.to_double();
    const double by = step.to_double();
    return RunSequence(c, count, out,
                       [=](int64_t i) { return first + by * static_cast<double>(i); });
  }
  const auto first = static_cast<uint64_t>(start.to_int());
  const auto by = static_cast<uint64_t>(step.to_int());
  return RunSequence(c, count, out, [=](int64_t i) {
    return static_cast<int64_t>(first + by * static_cast<uint64_t>(i));
  });
}
Error PrepareArange(PrepareContext& c, Scalar, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckRank(out, 1, 1));
  return UseNumber(c, 0, out.dtype());
}
Error RunArange(RunContext& c, Scalar end, Tensor& out) {
  return RunArangeFrom(c, Scalar(int64_t{0}), end, Scalar(int64_t{1}), out);
}

Error PrepareLinspace(PrepareContext& c, Scalar, Scalar, int64_t, Tensor& out) {
  RL_RETURN_IF_ERROR(CheckRank(out, 1, 3));
  return UseNumber(c, 0, out.dtype());
}
Error RunLinspace(RunContext& c, Scalar start, Scalar end, int64_t steps, Tensor& out) {
  RL_CHECK(steps >= 0, Reason::kArgumentValue, Error::kNone, steps);
  const auto limit = [&](Scalar number) {  // of the output's kind, as PyTorch converts them
    return IsFloating(out.dtype()) ? number.to_double() : static_cast<double>(number.to_int());
  };
  const double first = limit(start);
  const double last = limit(end);
  const double by = steps > 1 ? (last - first) / static_cast<double>(steps - 1) : 0.0;
  // From both ends to the middle, so that both ends are exact.
  return RunSequence(c, steps, out, [=](int64_t i) {
    return i < steps / 2 || steps == 1 ? first + by * static_cast<double>(i)
                                       : last - by * static_cast<double>(steps - 1 - i);
  });
}

constexpr Op kOps[] = {
    {"aten::arange.out", Boxed<PrepareArange, RunArange>, {}, kCasts},
    {"aten::arange.start_out", Boxed<PrepareArangeFrom, RunArangeFrom>, {}, kCasts},
    {"aten::empty.out", Boxed<PrepareEmpty, RunEmpty>},
    {"aten::empty_like.out", Boxed<PrepareEmptyLike, RunEmptyLike>},
    {"aten::eye.m_out", Boxed<PrepareEyeM, RunEyeM>, {}, kCasts},
    {"aten::eye.out", Boxed<PrepareEye, RunEye>, {}, kCasts},
    {"aten::fill.Scalar_out", Boxed<PrepareFill, RunFill>, {}, kCasts},
    {"aten::fill.Tensor_out", Boxed<PrepareFillTensor, RunFillTensor>, {}, kCasts},
    {"aten::full.out", Boxed<PrepareFull, RunFull>, {}, kCasts},
    {"aten::full_like.out", Boxed<PrepareFullLike, RunFullLike>, {}, kCasts},
    {"aten::linspace.out", Boxed<PrepareLinspace, RunLinspace>, {}, kCasts},
    {"aten::ones.out", Boxed<PrepareConstant, RunConstant<1>>, {}, kCasts},
    {"aten::ones_like.out", Boxed<PrepareConstantLike, RunConstantLike<1>>, {}, kCasts},
    {"aten::scalar_tensor.out", Boxed<PrepareScalarTensor, RunScalarTensor>, {}, kCasts},
    {"aten::zeros.out", Boxed<PrepareConstant, RunConstant<0>>, {}, kCasts},
    {"aten::zeros_like.out", Boxed<PrepareConstantLike, RunConstantLike<0>>, {}, kCasts},
    {"dim_order_ops::_empty_dim_order.out", Boxed<PrepareEmptyDimOrder, RunEmptyDimOrder>},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> FactoryOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
