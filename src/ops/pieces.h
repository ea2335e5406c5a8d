// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// How much work goes into one piece of a ParallelFor.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rushlight::ops {

// Multiplications and additions, or other cheap steps, that take 10 to 100 µs.
inline constexpr uint64_t kPieceWork = uint64_t{1} << 18;

// How many things that cost `steps` each make a piece: one at least, `most` at most.
// Requires: most > 0.
constexpr size_t PieceOf(uint64_t steps, size_t most) {
  const uint64_t n = kPieceWork / (steps == 0 ? 1 : steps);
  return n == 0 ? 1 : n < most ? static_cast<size_t>(n) : most;
}

constexpr size_t CeilDiv(size_t a, size_t b) { return a / b + (a % b != 0 ? 1 : 0); }

}  // namespace rushlight::ops
