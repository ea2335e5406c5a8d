// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Packs blocks that live for an interval of time into one strip of memory: the heart of the memory
// planner.
//
// The result depends on the order in which blocks are placed; each goes into the smallest gap that
// fits between the blocks that live at the same time.  PackBlocks tries several orders and then
// perturbs the best one, always in the same way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace rushlight::compiler {

struct Block {
  uint64_t bytes = 0;
  uint64_t alignment = 1;  // a power of two
  int32_t first = 0;       // moments, inclusive
  int32_t last = 0;
  // Where it must lie; such blocks may overlap each other.
  std::optional<uint64_t> offset = std::nullopt;
};

// Sizes of packings count in these.
constexpr uint64_t RoundSize(uint64_t bytes) { return (bytes + 15) / 16 * 16; }

// The size that no packing can beat: the largest sum of bytes that live at one moment.
uint64_t PackingBound(const std::vector<Block>& blocks);

// Offsets [blocks].  Requires: the sum of bytes, alignments and fixed offsets is below 2^63.
std::vector<uint64_t> PackBlocks(const std::vector<Block>& blocks);

}  // namespace rushlight::compiler
