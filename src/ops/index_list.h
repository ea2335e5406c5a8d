// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The `Tensor?[] indices` of aten::index and aten::index_put: for each dimension nothing, or a
// tensor of indices, or a mask that covers as many dimensions as it has.
#pragma once

#include "rushlight/op.h"
#include "src/ops/index_map.h"

namespace rushlight::ops {

// For Prepare: checks the dtypes, and adds the memory that masks need to `scratch`.
Error CheckIndexList(OptionalTensors indices, size_t argument, size_t* scratch);

// What indices select of a view of a whole tensor, as PyTorch has it: the index tensors broadcast
// against each other, and their dimensions stand where the first indexed dimension was, or in
// front where there is an unindexed dimension between two indexed ones.
// A list may be exchanged for another between Prepare and here, so all is checked again but the
// indices themselves: CheckIndices does that when the output has its final sizes.
Error SelectIndices(RunContext& c, OptionalTensors indices, size_t argument, IndexedView& x);

// CheckIndex for each index tensor; negative indices count from the end.
Error CheckIndices(OptionalTensors indices, size_t argument, const View& self,
                   const Tensor& written);

}  // namespace rushlight::ops
