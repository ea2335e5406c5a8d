// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/ops/tables.h"

namespace rushlight::ops {

Span<const Span<const Op>> AllOps() {
  static const Span<const Op> tables[] = {
      ActivationOps(), ArithmeticOps(), ConcatOps(),     FactoryOps(), IndexingOps(),
      LogicOps(),      MaskedOps(),     PadOps(),        PrimOps(),    ScatterOps(),
      SearchOps(),     ToCopyOps(),     TriangularOps(), UnaryOps(),   ViewOps()};
  return tables;
}

}  // namespace rushlight::ops
