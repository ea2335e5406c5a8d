// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Packs blocks that live for an interval of time into one strip of memory: the heart of the memory
// planner.
//
// Blocks are placed one after the other, each into a gap between those that live at the same time:
// the lowest gap, or the tightest.  How good the result is depends on the order.  PackBlocks tries
// several (by size, by area, by lifetime, by first use, and those first that live when memory is
// fullest), then changes the best one bit by bit, always in the same way, until the lower bound is
// met or a fixed amount of work is done.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "src/compiler/align.h"

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
constexpr uint64_t RoundSize(uint64_t bytes) { return AlignUp(bytes, 16); }

// The size that no packing can beat: the largest sum of bytes that live at one moment.
uint64_t PackingBound(const std::vector<Block>& blocks);

// Offsets [blocks].  Requires: the sum of bytes, alignments and fixed offsets is below 2^63.
std::vector<uint64_t> PackBlocks(const std::vector<Block>& blocks);

}  // namespace rushlight::compiler
