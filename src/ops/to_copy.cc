// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Copies that may change the dtype or the layout: both are those of the output.

#include "src/ops/casts.h"
#include "src/ops/copy.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

Error RunConversion(RunContext& c, const Tensor& self, Tensor& out) {
  const View from = ViewOf(self);
  RL_RETURN_IF_ERROR(ResizeAs(out, from));
  return CopyConverted(c.context, Conversion(c, 0), ViewOf(out), from);
}

// clone, _to_copy: memory formats are the compiler's business, `out` has one already.

Error PrepareClone(PrepareContext& c, const Tensor& self, std::optional<int64_t>, Tensor& out) {
  return UseConversion(c, 0, self.dtype(), out.dtype());
}
Error RunClone(RunContext& c, const Tensor& self, std::optional<int64_t>, Tensor& out) {
  return RunConversion(c, self, out);
}
Error PrepareToCopy(PrepareContext& c, const Tensor& self, bool, std::optional<int64_t>,
                    Tensor& out) {
  return UseConversion(c, 0, self.dtype(), out.dtype());
}
Error RunToCopy(RunContext& c, const Tensor& self, bool, std::optional<int64_t>, Tensor& out) {
  return RunConversion(c, self, out);
}
Error PrepareDimOrderCopy(PrepareContext& c, const Tensor& self, bool,
                          std::optional<Span<const int64_t>>, Tensor& out) {
  return UseConversion(c, 0, self.dtype(), out.dtype());
}
Error RunDimOrderCopy(RunContext& c, const Tensor& self, bool, std::optional<Span<const int64_t>>,
                      Tensor& out) {
  return RunConversion(c, self, out);
}

// copy: src, broadcast to the sizes of self.

Error CopyInto(RunContext& c, View from, Tensor& out) {
  const View to = ViewOf(out);
  RL_RETURN_IF_ERROR(Expand(from, to.shape()));
  return CopyConverted(c.context, Conversion(c, 0), to, from);
}
Error PrepareCopyInPlace(PrepareContext& c, Tensor& self, const Tensor& src, bool) {
  return UseConversion(c, 0, src.dtype(), self.dtype());
}
Error RunCopyInPlace(RunContext& c, Tensor& self, const Tensor& src, bool) {
  return CopyInto(c, ViewOf(src), self);
}
Error PrepareCopy(PrepareContext& c, const Tensor&, const Tensor& src, bool, Tensor& out) {
  return UseConversion(c, 0, src.dtype(), out.dtype());
}
Error RunCopy(RunContext& c, const Tensor& self, const Tensor& src, bool, Tensor& out) {
  const View from = ViewOf(src);
  RL_RETURN_IF_ERROR(ResizeAs(out, ViewOf(self)));
  return CopyInto(c, from, out);
}

constexpr PrepareFn kDimOrderCopy = Boxed<PrepareDimOrderCopy, RunDimOrderCopy>;

constexpr Op kOps[] = {
    {"aten::_to_copy.out", Boxed<PrepareToCopy, RunToCopy>, {}, kCasts},
    {"aten::clone.out", Boxed<PrepareClone, RunClone>, {}, kCasts},
    {"aten::copy.out", Boxed<PrepareCopy, RunCopy>, {}, kCasts},
    {"aten::copy_", Boxed<PrepareCopyInPlace, RunCopyInPlace>, {}, kCasts},
    {"dim_order_ops::_clone_dim_order.out", kDimOrderCopy, {}, kCasts},
    {"dim_order_ops::_to_dim_order_copy.out", kDimOrderCopy, {}, kCasts},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> ToCopyOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
