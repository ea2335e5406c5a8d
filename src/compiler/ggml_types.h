// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The element types of GGUF tensors, and how their blocks are turned into floats, or into the
// integers that they hold.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/kernels/packed/layout.h"

namespace rushlight::compiler {

// Blocks as integers: value = scale * code + minimum, in float32, is what they stand for, exactly.
struct GgmlIntegers {
  kernels::PackedFormat format;  // that holds the codes (src/kernels/packed/pack.h)
  kernels::ScaleType scale;      // that holds the scales and the minimums
  uint32_t group;                // numbers that share a scale
  bool has_minimum;
  // codes: [count * elements]; scales and minimums: [count * elements / group].
  // Requires: minimums is not null if has_minimum.
  void (*read)(const uint8_t* blocks, size_t count, int8_t* codes, float* scales, float* minimums);
};

struct GgmlType {
  uint32_t id;        // in the file
  const char* name;   // "Q4_K"
  uint32_t elements;  // of one block
  uint32_t bytes;     // of one block
  // Null where we know how large blocks are, but not what is in them.
  void (*decode)(const uint8_t* blocks, size_t count, float* out);
  const GgmlIntegers* integers = nullptr;  // null where numbers are not integers with scales
};

// Null where there is no such type.
const GgmlType* FindGgmlType(uint32_t id);

}  // namespace rushlight::compiler
