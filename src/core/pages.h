// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Pages: the owner of memory from platform::AllocatePages().
#pragma once

#include <cstddef>
#include <cstdint>

#include "rushlight/platform.h"

namespace rushlight {

// Zeroed memory of its own; counts itself in `account` while it lives, which must outlive it.
class Pages {
 public:
  explicit Pages(size_t size, uint64_t* account = nullptr)
      : data_(platform::AllocatePages(size)), size_(size), account_(account) {
    if (account_ != nullptr) *account_ += size_;
  }
  ~Pages() {
    platform::FreePages(data_, size_);
    if (account_ != nullptr) *account_ -= size_;
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  bool ok() const { return data_ != nullptr; }
  uint8_t* data() const { return static_cast<uint8_t*>(data_); }
  size_t size() const { return size_; }
  void Zero() { platform::ZeroPages(data_, size_); }

 private:
  void* data_;
  size_t size_;
  uint64_t* account_;
};

}  // namespace rushlight
