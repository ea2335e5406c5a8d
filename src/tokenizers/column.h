// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Column: numbers, or structs of numbers, that are read where they lie in a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "rushlight/span.h"

namespace rushlight::tokenizers {

template <class T>
class Column {
 public:
  Column() = default;
  // Requires: as many bytes as some number of T take.
  explicit Column(Span<const uint8_t> bytes)
      : bytes_(bytes.data()), size_(bytes.size() / sizeof(T)) {}

  size_t size() const { return size_; }
  // Requires: i < size().
  T operator[](size_t i) const {
    T value;
    std::memcpy(&value, bytes_ + i * sizeof(T), sizeof(T));
    return value;
  }

 private:
  const uint8_t* bytes_ = nullptr;
  size_t size_ = 0;
};

}  // namespace rushlight::tokenizers
