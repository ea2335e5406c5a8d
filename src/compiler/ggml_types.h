// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The element types of GGUF tensors, and how their blocks are turned into floats.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rushlight::compiler {

struct GgmlType {
  uint32_t id;        // in the file
  const char* name;   // "Q4_K"
  uint32_t elements;  // of one block
  uint32_t bytes;     // of one block
  // Null where we know how large blocks are, but not what is in them.
  void (*decode)(const uint8_t* blocks, size_t count, float* out);
};

// Null where there is no such type.
const GgmlType* FindGgmlType(uint32_t id);

}  // namespace rushlight::compiler
