// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/packed/matmul_float.h"

#include "src/kernels/vector/table.h"

namespace rushlight::kernels {

RUSHLIGHT_DECLARE_VECTOR(void MatmulFloat(const FloatMatmulArgs& args))

const PerIsa<FloatMatmul> kFloatMatmul = RUSHLIGHT_VECTOR_TABLE(MatmulFloat);

}  // namespace rushlight::kernels
