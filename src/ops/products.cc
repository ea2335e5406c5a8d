// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/ops/products.h"

#include "src/ops/elementwise.h"  // ComputeType
#include "src/ops/shapes.h"

namespace rushlight::ops {

Error PrepareProduct(PrepareContext& c, std::initializer_list<const Tensor*> inputs,
                     const Tensor& out) {
  const DType dtype = out.dtype();
  size_t i = 0;
  for (const Tensor* input : inputs) {
    if (input != nullptr) RL_RETURN_IF_ERROR(CheckDType(*input, dtype, i));
    ++i;
  }
  // PyTorch has no products of bool.
  RL_CHECK(IsFloating(dtype) || IsInteger(dtype), Reason::kNoKernelForDType, Error::kNone,
           static_cast<int64_t>(dtype), static_cast<int64_t>(dtype));
  const DType compute = ComputeType(dtype);
  RL_RETURN_IF_ERROR(c.UseLoop(kProduct, compute, compute));
  if (dtype == compute) return kOk;
  RL_RETURN_IF_ERROR(c.UseCast(kWiden, dtype, compute));
  return c.UseCast(kNarrow, compute, dtype);
}

kernels::Storage StorageOf(const RunContext& c, DType dtype) {
  return {ElementSize(dtype), c.has_loop(kWiden) ? c.loop(kWiden).fn : nullptr,
          c.has_loop(kNarrow) ? c.loop(kNarrow).fn : nullptr};
}

}  // namespace rushlight::ops
