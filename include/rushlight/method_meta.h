// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// MethodMeta: what can be known of a method without loading it.
//
// A view into a Program, which must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "rushlight/program.h"
#include "rushlight/value.h"

namespace rushlight {

struct TensorInfo {
  DType dtype;
  Span<const int32_t> sizes;      // upper bounds where dynamic
  Span<const uint8_t> dim_order;  // outermost first
  bool dynamic;
  bool planned;  // its memory is in an arena of the method; otherwise the caller's
  size_t nbytes;
  std::string_view name;  // of a named buffer, else empty
};

struct PlannedTensor {
  TensorInfo info;
  uint32_t memory_id;
  uint64_t offset;
};

class MethodMeta {
 public:
  static Result<MethodMeta> Get(const Program& program, std::string_view name);
  // Requires: index < program.num_methods().
  MethodMeta(const Program& program, size_t index);

  std::string_view name() const;
  size_t index() const { return index_; }

  size_t num_inputs() const;
  size_t num_outputs() const;
  // Requires: i < num_inputs(), num_outputs().  kUnsupported for tags without a tensor.
  Tag input_tag(size_t i) const;
  Tag output_tag(size_t i) const;
  Result<TensorInfo> input_tensor(size_t i) const;
  Result<TensorInfo> output_tensor(size_t i) const;
  // Positions in the value table.
  size_t input_value(size_t i) const;
  size_t output_value(size_t i) const;
  // The tensor at a position; kUnsupported where there is something else.  Requires: v <
  // num_values().
  Result<TensorInfo> value_tensor(size_t v) const;
  // Trees of inputs and outputs, as the compiler wrote them; may be empty.
  std::string_view input_tree() const;
  std::string_view output_tree() const;

  // Planned arenas: memory ids are 1 to num_planned().
  size_t num_planned() const;
  uint64_t planned_bytes(size_t memory_id) const;

  size_t num_values() const;
  size_t num_instructions() const;
  size_t num_operators() const;
  // "aten::add.out", written into `buffer` (kMaxOperatorName + 1 bytes or more).
  static constexpr size_t kMaxOperatorName = 99;
  std::string_view operator_name(size_t i, Span<char> buffer) const;
  // The operator or delegate that an instruction calls; empty where it calls none, or does not
  // exist.
  std::string_view instruction_name(size_t i, Span<char> buffer) const;
  // The values that an instruction names; empty where it names none.  Requires: i <
  // num_instructions().
  Span<const int32_t> instruction_operands(size_t i) const;
  // The bytes in the file of a constant; false where value i is not one.
  bool constant_value(size_t i, Span<const uint8_t>* bytes) const;
  size_t num_delegates() const;
  std::string_view delegate_id(size_t i) const;

  // Where value i lies in planned memory; false where it does not.  Requires: i < num_values().
  bool planned_value(size_t i, PlannedTensor* planned) const;

  // Bytes of method arena that Method::Load takes on this machine, or on one with 32-bit or
  // 64-bit pointers; without what delegates allocate.
  size_t arena_bytes() const;
  size_t arena_bytes_32() const;
  size_t arena_bytes_64() const;

  const void* plan() const { return plan_; }

 private:
  const Program* program_;
  size_t index_;
  const void* plan_;
};

}  // namespace rushlight
