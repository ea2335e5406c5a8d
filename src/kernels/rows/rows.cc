// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/rows/rows.h"

#include "src/kernels/vector/table.h"

namespace rushlight::kernels {

RUSHLIGHT_DECLARE_VECTOR(extern const RowKernels kRows)

const PerIsa<const RowKernels*> kRowKernels = RUSHLIGHT_VECTOR_TABLE(kRows);

}  // namespace rushlight::kernels
