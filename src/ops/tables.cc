// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/ops/tables.h"

namespace rushlight::ops {

Span<const Span<const Op>> AllOps() {
  static const Span<const Op> tables[] = {ArithmeticOps(), ColumnsOps(), ConvolutionOps(),
                                          GridSampleOps(), MatmulOps(),  PixelShuffleOps(),
                                          PoolingOps(),    PrimOps(),    UpsampleOps()};
  return tables;
}

}  // namespace rushlight::ops
