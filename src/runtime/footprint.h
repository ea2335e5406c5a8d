// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Footprint: the method arena, byte for byte, on this machine and on others.
//
// Method::Load makes one array of each kind, in the order of MethodArrays; so the arena's size
// follows from the counts and from the sizes that a pointer width gives to the structures.  The
// same function serves the loader's own check, the compiler's printout and static assertions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/program/schema.h"

namespace rushlight {

// Sizes of what lies in a method arena.
struct Abi {
  size_t pointer;
  size_t value;
  size_t tensor;
  size_t int_list;
  size_t tensor_list;
  size_t view;  // a string_view or a Span
  size_t instruction;
  size_t delegate;
  size_t output;
};
inline constexpr Abi kAbi32 = {4, 16, 24, 12, 12, 8, 56, 28, 12};
inline constexpr Abi kAbi64 = {8, 16, 40, 24, 24, 16, 96, 40, 24};

// How many of each a method has.
struct MethodCounts {
  size_t values = 0;
  size_t ints = 0;  // items of int lists
  size_t tensors = 0;
  size_t int_lists = 0;
  size_t tensor_lists = 0;
  size_t strings = 0;
  size_t double_lists = 0;
  size_t bool_lists = 0;
  size_t list_tensors = 0;  // items of tensor lists
  size_t instructions = 0;
  size_t delegates = 0;
  size_t inputs = 0;
  size_t outputs = 0;
  size_t planned = 0;       // memories
  size_t dynamic_dims = 0;  // sizes that the method may change
};

MethodCounts CountMethod(const fb::ExecutionPlan& plan);

// Bytes of method arena, from a 16-byte aligned start; SIZE_MAX where they are more than that.
size_t MethodArenaBytes(const MethodCounts& counts, const Abi& abi);

}  // namespace rushlight
