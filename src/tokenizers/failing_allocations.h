// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// For tests: the heap refuses from the n-th allocation on.  Defines the allocation functions of the
// whole program, so it is included by one source file of a test program.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "rushlight/error.h"

namespace rushlight {

inline std::atomic<int64_t> g_allocations_left{-1};  // negative: no limit

inline void* AllocateOrFail(size_t size) {
  if (g_allocations_left.load() >= 0 && g_allocations_left.fetch_sub(1) <= 0) {
    g_allocations_left = 0;
    return nullptr;
  }
  return std::malloc(size == 0 ? 1 : size);
}

// Runs `work` with ever more allocations until it succeeds.  Where they run out it must return
// Reason::kHeap, and must still work with a heap that gives everything.  `least`: allocations that
// it is known to make.
template <class Work>
void ExpectHeapErrors(const Work& work, int64_t least = 100) {
  int64_t allowed = 0;
  for (bool done = false; !done; ++allowed) {
    g_allocations_left = allowed;
    const Error error = work();
    g_allocations_left = -1;
    done = error.ok();
    ASSERT_EQ(error.reason, done ? Reason::kOk : Reason::kHeap) << allowed;
    ASSERT_TRUE(allowed % 16 != 0 || work().ok());
  }
  EXPECT_GT(allowed, least);
}

}  // namespace rushlight

void* operator new(size_t size) {
  void* p = rushlight::AllocateOrFail(size);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return rushlight::AllocateOrFail(size);
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }
