// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/arena.h"

#include <gtest/gtest.h>

namespace rushlight {
namespace {

struct ArenaTest : testing::Test {
  alignas(64) uint8_t memory[256];
};

TEST_F(ArenaTest, AlignsTheAddressNotTheOffset) {
  Arena arena(memory + 1, 255);
  for (const size_t alignment : {1, 2, 4, 8, 16, 32, 64}) {
    void* const p = arena.Allocate(1, alignment);
    ASSERT_NE(p, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % alignment, 0u);
  }
}

TEST_F(ArenaTest, GivesAllThatThereIsAndNoMore) {
  Arena arena(memory, 256);
  EXPECT_EQ(arena.Allocate(257, 1), nullptr);
  EXPECT_EQ(arena.Allocate(SIZE_MAX, 1), nullptr);
  EXPECT_EQ(arena.used(), 0u);
  EXPECT_EQ(arena.Allocate(255, 1), memory);
  EXPECT_EQ(arena.Allocate(1, 2), nullptr);  // no room for the padding
  EXPECT_EQ(arena.Allocate(1, 1), memory + 255);
  EXPECT_EQ(arena.Allocate(1, 1), nullptr);
  EXPECT_NE(arena.Allocate(0, 1), nullptr);
}

TEST_F(ArenaTest, ReleasedMemoryIsUsedAgain) {
  Arena arena(memory, 256);
  void* const first = arena.Allocate(16, 16);
  const size_t mark = arena.used();
  void* const second = arena.Allocate(200, 16);
  arena.Release(mark);
  EXPECT_EQ(arena.Allocate(32, 16), second);
  EXPECT_EQ(arena.used(), 48u);
  EXPECT_EQ(arena.high_water(), 216u);
  arena.Release(0);
  EXPECT_EQ(arena.Allocate(1, 1), first);
}

TEST_F(ArenaTest, ArraysAreInitialised) {
  for (uint8_t& byte : memory) byte = 0xff;
  Arena arena(memory, 256);
  const uint32_t* const numbers = arena.AllocateArray<uint32_t>(64);
  ASSERT_NE(numbers, nullptr);
  for (size_t i = 0; i < 64; ++i) EXPECT_EQ(numbers[i], 0u);
}

TEST_F(ArenaTest, ArraysWhoseBytesOverflowAreRefused) {
  Arena arena(memory, 256);
  const volatile size_t huge = SIZE_MAX / 8 + 2;  // not to be seen through
  EXPECT_EQ(arena.AllocateArray<uint64_t>(huge), nullptr);
  EXPECT_EQ(arena.AllocateArray<uint64_t>(33), nullptr);
}

TEST_F(ArenaTest, WithoutMemoryNothingFits) {
  Arena none;
  EXPECT_EQ(none.Allocate(1, 1), nullptr);
  Arena null(nullptr, 100);
  EXPECT_EQ(null.capacity(), 0u);
  EXPECT_EQ(null.Allocate(1, 1), nullptr);
}

}  // namespace
}  // namespace rushlight
