// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Arena: a bump allocator over memory that the caller owns.
//
// Nothing is destroyed: only trivially destructible types live here.  Not synchronised.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>

#include "rushlight/span.h"

namespace rushlight {

class Arena {
 public:
  Arena() = default;
  Arena(void* base, size_t capacity)
      : base_(static_cast<uint8_t*>(base)), capacity_(base == nullptr ? 0 : capacity) {}

  // Uninitialised memory, or null where it does not fit.  Requires: alignment is a power of two.
  void* Allocate(size_t bytes, size_t alignment);

  // `count` value-initialised objects, or null.
  template <class T>
  T* AllocateArray(size_t count) {
    static_assert(std::is_trivially_destructible_v<T>);
    T* array = static_cast<T*>(AllocateItems(count, sizeof(T), alignof(T)));
    if (array == nullptr) return nullptr;
    for (size_t i = 0; i < count; ++i) ::new (static_cast<void*>(array + i)) T();
    return array;
  }

  size_t used() const { return used_; }
  size_t capacity() const { return capacity_; }
  size_t high_water() const { return high_water_; }

  // Everything allocated after `used() == mark` becomes free again.  Requires: mark <= used().
  void Release(size_t mark) { used_ = mark; }

 private:
  void* AllocateItems(size_t count, size_t size, size_t alignment);

  uint8_t* base_ = nullptr;
  size_t capacity_ = 0;
  size_t used_ = 0;
  size_t high_water_ = 0;
};

}  // namespace rushlight
