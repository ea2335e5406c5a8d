// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Operators that copy out of a view of their input (slice_copy, permute_copy, ...), and those that
// copy their input with one view of it replaced (slice_scatter, ...).

#include "src/ops/copy.h"
#include "src/ops/shapes.h"
#include "src/ops/tables.h"
#include "src/ops/view.h"

namespace rushlight::ops {
namespace {

// out = F(self, arguments).
template <auto F>
struct ViewCopy;
template <class... A, Error (*F)(View&, A...)>
struct ViewCopy<F> {
  static Error Prepare(PrepareContext&, const Tensor& self, A..., Tensor& out) {
    return CheckDType(out, self.dtype(), sizeof...(A) + 1);
  }
  static Error Run(RunContext& c, const Tensor& self, A... arguments, Tensor& out) {
    View from = ViewOf(self);
    RL_RETURN_IF_ERROR(F(from, arguments...));
    return CopyTo(c.context, out, from);
  }
  static constexpr PrepareFn kBoxed = Boxed<Prepare, Run>;
};

// out = self, then F(out, arguments) = src.
template <auto F>
struct ViewScatter;
template <class... A, Error (*F)(View&, A...)>
struct ViewScatter<F> {
  static Error Prepare(PrepareContext&, const Tensor& self, const Tensor& src, A..., Tensor& out) {
    RL_RETURN_IF_ERROR(CheckDType(src, self.dtype(), 1));
    return CheckDType(out, self.dtype(), sizeof...(A) + 2);
  }
  static Error Run(RunContext& c, const Tensor& self, const Tensor& src, A... arguments,
                   Tensor& out) {
    const View all = ViewOf(self);
    const View from = ViewOf(src);
    RL_RETURN_IF_ERROR(ResizeAs(out, all));
    View to = ViewOf(out);
    RL_RETURN_IF_ERROR(F(to, arguments...));
    RL_RETURN_IF_ERROR(CheckSameSizes(from, to, 1));
    RL_RETURN_IF_ERROR(Copy(c.context, ViewOf(out), all));
    return Copy(c.context, to, from);
  }
  static constexpr PrepareFn kBoxed = Boxed<Prepare, Run>;
};

Error Identity(View&) { return kOk; }
// `implicit` only says who asked for the expansion.
Error ExpandCopy(View& v, Span<const int64_t> size, bool) { return Expand(v, size); }

// view: the same elements in the order of indices, whatever the order in memory.

Error PrepareViewCopy(PrepareContext&, const Tensor& self, Span<const int64_t>, Tensor& out) {
  return CheckDType(out, self.dtype(), 2);
}
Error RunViewCopy(RunContext& c, const Tensor& self, Span<const int64_t> size, Tensor& out) {
  const View from = ViewOf(self);
  int32_t sizes[kMaxRank];
  RL_RETURN_IF_ERROR(ResolveViewSizes(self, size, sizes));
  RL_RETURN_IF_ERROR(out.Resize({sizes, size.size()}));
  return CopyInOrder(c.context, ViewOf(out), 0, from, 0, out.numel());
}

// view_as_real: complex elements as pairs of their halves.

Error PrepareViewAsReal(PrepareContext&, const Tensor& self, Tensor& out) {
  RL_CHECK(self.rank() < kMaxRank, Reason::kTooManyDimensions, Error::kNone,
           static_cast<int64_t>(self.rank() + 1), kMaxRank);
  switch (self.dtype()) {
    case DType::kComplexFloat16:
      return CheckDType(out, DType::kFloat16, 1);
    case DType::kComplexFloat32:
      return CheckDType(out, DType::kFloat32, 1);
    case DType::kComplexFloat64:
      return CheckDType(out, DType::kFloat64, 1);
    default:
      return CheckDType(self, DType::kComplexFloat32, 0);
  }
}
Error RunViewAsReal(RunContext& c, const Tensor& self, Tensor& out) {
  View from = ViewOf(self);
  from.element_size /= 2;
  for (size_t d = 0; d < from.rank; ++d) from.strides[d] *= 2;
  Insert(from, from.rank, 2, 1);
  return CopyTo(c.context, out, from);
}

constexpr Op kOps[] = {
    {"aten::_unsafe_view.out", Boxed<PrepareViewCopy, RunViewCopy>},
    {"aten::alias_copy.out", ViewCopy<Identity>::kBoxed},
    {"aten::as_strided_copy.out", ViewCopy<AsStrided>::kBoxed},
    {"aten::detach_copy.out", ViewCopy<Identity>::kBoxed},
    {"aten::diagonal_copy.out", ViewCopy<Diagonal>::kBoxed},
    {"aten::diagonal_scatter.out", ViewScatter<Diagonal>::kBoxed},
    {"aten::expand_copy.out", ViewCopy<ExpandCopy>::kBoxed},
    {"aten::flip.out", ViewCopy<Flip>::kBoxed},
    {"aten::lift_fresh_copy.out", ViewCopy<Identity>::kBoxed},
    {"aten::narrow_copy.out", ViewCopy<Narrow>::kBoxed},
    {"aten::permute_copy.out", ViewCopy<Permute>::kBoxed},
    {"aten::select_copy.int_out", ViewCopy<Select>::kBoxed},
    {"aten::select_scatter.out", ViewScatter<Select>::kBoxed},
    {"aten::slice_copy.Tensor_out", ViewCopy<Slice>::kBoxed},
    {"aten::slice_scatter.out", ViewScatter<Slice>::kBoxed},
    {"aten::squeeze_copy.dim_out", ViewCopy<SqueezeDim>::kBoxed},
    {"aten::squeeze_copy.dims_out", ViewCopy<SqueezeDims>::kBoxed},
    {"aten::squeeze_copy.out", ViewCopy<Squeeze>::kBoxed},
    {"aten::t_copy.out", ViewCopy<TransposeMatrix>::kBoxed},
    {"aten::transpose_copy.int_out", ViewCopy<Transpose>::kBoxed},
    {"aten::unfold_copy.out", ViewCopy<Unfold>::kBoxed},
    {"aten::unsqueeze_copy.out", ViewCopy<Unsqueeze>::kBoxed},
    {"aten::view_as_real_copy.out", Boxed<PrepareViewAsReal, RunViewAsReal>},
    {"aten::view_copy.out", Boxed<PrepareViewCopy, RunViewCopy>},
    {"et_copy::_d2h_copy.out", ViewCopy<Identity>::kBoxed},
    {"et_copy::_h2d_copy.out", ViewCopy<Identity>::kBoxed},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> ViewOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
