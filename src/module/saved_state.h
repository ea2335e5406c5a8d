// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// State of a conversation as bytes: what Module::SaveState writes and RestoreState reads.
//
//   "RLSTATE1", identity, positions, count, then `count` times: size of the name, its bytes, size
//   of the contents, its bytes.  Numbers are 64 bits, little-endian.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "rushlight/error.h"
#include "rushlight/span.h"

namespace rushlight {

// Buffers of state by name.
using StateBuffers = std::map<std::string, Span<uint8_t>, std::less<>>;

std::vector<uint8_t> SaveState(uint64_t identity, uint64_t positions, const StateBuffers& buffers);

// The positions that a saved state holds.  Fails with kSavedState, or kSavedStateProgram where
// `identity` is another one.
Result<uint64_t> SavedPositions(Span<const uint8_t> saved, uint64_t identity);

// Fills `buffers` with what was saved: the same names, the same sizes, or nothing is written.
Error RestoreState(Span<const uint8_t> saved, const StateBuffers& buffers);

}  // namespace rushlight
