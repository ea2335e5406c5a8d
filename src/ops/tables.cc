// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/ops/tables.h"

namespace rushlight::ops {

Span<const Span<const Op>> AllOps() {
  static const Span<const Op> tables[] = {
      ActivationOps(), ArgReduceOps(),    ArithmeticOps(), BatchNormOps(), ColumnsOps(),
      ConcatOps(),     ConvolutionOps(),  DistanceOps(),   FactoryOps(),   GridSampleOps(),
      IndexingOps(),   LogicOps(),        MaskedOps(),     MatmulOps(),    NormOps(),
      PadOps(),        PixelShuffleOps(), PoolingOps(),    PrimOps(),      ReduceOps(),
      ScanOps(),       ScatterOps(),      SearchOps(),     SoftmaxOps(),   SortOps(),
      StatisticsOps(), ToCopyOps(),       TriangularOps(), UnaryOps(),     UpsampleOps(),
      ViewOps()};
  return tables;
}

}  // namespace rushlight::ops
