// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The tables of operators, one a source file.
#pragma once

#include "rushlight/ops.h"

namespace rushlight::ops {

Span<const Op> ActivationOps();
Span<const Op> ArithmeticOps();
Span<const Op> LogicOps();
Span<const Op> PrimOps();
Span<const Op> UnaryOps();

}  // namespace rushlight::ops
