// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cstdint>

namespace rushlight::compiler {

// The next multiple of `alignment`.  Requires: alignment > 0; the result fits.
constexpr uint64_t AlignUp(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace rushlight::compiler
