// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/arena.h"

namespace rushlight {

void* Arena::Allocate(size_t bytes, size_t alignment) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(base_) + used_;
  const size_t padding = (alignment - address % alignment) % alignment;
  const size_t left = capacity_ - used_;
  if (padding > left || bytes > left - padding) return nullptr;
  void* p = base_ + used_ + padding;
  used_ += padding + bytes;
  if (used_ > high_water_) high_water_ = used_;
  return p;
}

void* Arena::AllocateItems(size_t count, size_t size, size_t alignment) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return nullptr;
  return Allocate(bytes, alignment);
}

}  // namespace rushlight
