// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Rows of floats to packed panels (src/kernels/packed/layout.h).
#pragma once

#include <cstdint>
#include <vector>

#include "rushlight/error.h"
#include "src/kernels/packed/pack.h"

namespace rushlight::compiler {

struct PackedWeights {
  std::vector<uint8_t> panels;
  double squared_error = 0;      // sum of (packed - float)^2
  double squared_magnitude = 0;  // sum of float^2
};

// Packs rows [n, k] in a matrix's format.  Integers: for every group the scale, of those near what
// its extremes ask for, with the smallest squared error; likewise the minimum, where there is one,
// and the scale of an output, where there are two levels. Errors: kOptionInvalid where there is no
// such matrix, or a weight that is not finite.
Result<PackedWeights> PackWeights(const kernels::PackedMatrix& w, const float* rows);

// Packs integers as they are: what comes back is equal.  Errors: kOptionInvalid where there is no
// such matrix, or one of two levels, a code that its format does not have, or a scale or minimum
// that is not finite or would be rounded.
Result<std::vector<uint8_t>> PackExactly(const kernels::PackedMatrix& w,
                                         const kernels::ConstIntegerRows& rows);

}  // namespace rushlight::compiler
