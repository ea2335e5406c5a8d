// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/ops/shapes.h"

namespace rushlight::ops {

Error NormalizeDim(int64_t dim, size_t rank, size_t* out) {
  const auto n = static_cast<int64_t>(rank == 0 ? 1 : rank);
  RL_CHECK(dim >= -n && dim < n, Reason::kArgumentValue, Error::kNone, dim, n);
  *out = static_cast<size_t>(dim < 0 ? dim + n : dim);
  return kOk;
}

Error NarrowSizes(Span<const int64_t> size, int32_t* sizes) {
  RL_CHECK(size.size() <= kMaxRank, Reason::kOutputRank, Error::kNone,
           static_cast<int64_t>(size.size()), kMaxRank);
  for (size_t d = 0; d < size.size(); ++d) {
    RL_CHECK(size[d] >= 0 && size[d] <= INT32_MAX, Reason::kArgumentSize, Error::kNone, size[d],
             INT32_MAX);
    sizes[d] = static_cast<int32_t>(size[d]);
  }
  return kOk;
}

Error ResolveViewSizes(const Tensor& self, Span<const int64_t> size, int32_t* sizes) {
  RL_CHECK(size.size() <= kMaxRank, Reason::kOutputRank, Error::kNone,
           static_cast<int64_t>(size.size()), kMaxRank);
  const size_t numel = self.numel();
  size_t known = 1;
  size_t inferred = kMaxRank;
  for (size_t d = 0; d < size.size(); ++d) {
    if (size[d] == -1 && inferred == kMaxRank) {
      inferred = d;
      continue;
    }
    RL_CHECK(size[d] >= 0 && size[d] <= INT32_MAX &&
                 !__builtin_mul_overflow(known, static_cast<size_t>(size[d]), &known),
             Reason::kArgumentSize, Error::kNone, size[d], INT32_MAX);
    sizes[d] = static_cast<int32_t>(size[d]);
  }
  if (inferred != kMaxRank) {
    RL_CHECK(known != 0 && numel % known == 0 && numel / known <= INT32_MAX, Reason::kArgumentSize,
             Error::kNone, static_cast<int64_t>(numel), static_cast<int64_t>(known));
    sizes[inferred] = static_cast<int32_t>(numel / known);
    known = numel;
  }
  RL_CHECK(known == numel, Reason::kArgumentSize, Error::kNone, static_cast<int64_t>(known),
           static_cast<int64_t>(numel));
  return kOk;
}

Error CheckRank(const Tensor& t, size_t rank, size_t argument) {
  if (t.rank() == rank) return kOk;
  return Error(Reason::kArgumentRank, Error::kNone, static_cast<int64_t>(t.rank()),
               static_cast<int64_t>(rank))
      .WithArgument(argument);
}

Error CheckDType(const Tensor& t, DType dtype, size_t argument) {
  if (t.dtype() == dtype) return kOk;
  return Error(Reason::kArgumentDType, Error::kNone, static_cast<int64_t>(t.dtype()),
               static_cast<int64_t>(dtype))
      .WithArgument(argument);
}

Error CheckFloating(const Tensor& t, size_t argument) {
  if (IsFloating(t.dtype())) return kOk;
  return Error(Reason::kArgumentDType, Error::kNone, static_cast<int64_t>(t.dtype()),
               static_cast<int64_t>(DType::kFloat32))
      .WithArgument(argument);
}

Error CheckNamedDType(const Tensor& out, int64_t dtype) {
  RL_CHECK(static_cast<int64_t>(out.dtype()) == dtype, Reason::kArgumentDType, Error::kNone,
           static_cast<int64_t>(out.dtype()), dtype);
  return kOk;
}

Error CheckContiguous(const Tensor& t, size_t argument) {
  if (t.IsContiguous()) return kOk;
  return Error(Reason::kArgumentDimOrder).WithArgument(argument);
}

}  // namespace rushlight::ops
