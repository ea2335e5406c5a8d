// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/method_meta.h"

#include <cstring>

#include "src/program/schema.h"
#include "src/runtime/footprint.h"

namespace rushlight {
namespace {

using flatbuffers::uoffset_t;

const fb::ExecutionPlan& Plan(const void* plan) {
  return *static_cast<const fb::ExecutionPlan*>(plan);
}

Tag TagOf(fb::KernelTypes type) {
  switch (type) {
    case fb::KernelTypes_Int:
      return Tag::kInt;
    case fb::KernelTypes_Bool:
      return Tag::kBool;
    case fb::KernelTypes_Double:
      return Tag::kDouble;
    case fb::KernelTypes_Tensor:
      return Tag::kTensor;
    case fb::KernelTypes_String:
      return Tag::kString;
    default:
      return Tag::kNone;
  }
}

}  // namespace

Result<MethodMeta> MethodMeta::Get(const Program& program, std::string_view name) {
  RL_ASSIGN_OR_RETURN(const size_t index, program.FindMethod(name));
  return MethodMeta(program, index);
}

MethodMeta::MethodMeta(const Program& program, size_t index)
    : program_(&program),
      index_(index),
      plan_(Root(program).execution_plan()->Get(static_cast<uoffset_t>(index))) {}

std::string_view MethodMeta::name() const { return View(Plan(plan_).name()); }
size_t MethodMeta::num_inputs() const { return Plan(plan_).inputs()->size(); }
size_t MethodMeta::num_outputs() const { return Plan(plan_).outputs()->size(); }

Tag MethodMeta::input_tag(size_t i) const {
  return TagOf(Plan(plan_).values()->Get(static_cast<uoffset_t>(input_value(i)))->val_type());
}

Tag MethodMeta::output_tag(size_t i) const {
  return TagOf(Plan(plan_).values()->Get(static_cast<uoffset_t>(output_value(i)))->val_type());
}

Result<TensorInfo> MethodMeta::value_tensor(size_t value) const {
  const fb::EValue& v = *Plan(plan_).values()->Get(static_cast<uoffset_t>(value));
  RL_CHECK(v.val_type() == fb::KernelTypes_Tensor, Reason::kUnsupported,
           static_cast<uint32_t>(value), v.val_type());
  const fb::Tensor& t = *v.val_as_Tensor();
  TensorInfo info;
  info.dtype = static_cast<DType>(t.scalar_type());
  info.sizes = {reinterpret_cast<const int32_t*>(t.sizes()->Data()), t.sizes()->size()};
  info.dim_order = {t.dim_order()->Data(), t.dim_order()->size()};
  info.dynamic = t.shape_dynamism() != fb::TensorShapeDynamism_STATIC;
  info.planned = t.allocation_info() != nullptr;
  size_t numel = 0;
  RL_CHECK(CheckedNumel(info.sizes, &numel), Reason::kTensorBytes, static_cast<uint32_t>(value));
  info.nbytes = numel * ElementSize(info.dtype);
  if (t.extra_tensor_info() != nullptr) {
    info.name = ViewOrEmpty(t.extra_tensor_info()->fully_qualified_name());
  }
  return info;
}

size_t MethodMeta::input_value(size_t i) const {
  return static_cast<size_t>(Plan(plan_).inputs()->Get(static_cast<uoffset_t>(i)));
}

size_t MethodMeta::output_value(size_t i) const {
  return static_cast<size_t>(Plan(plan_).outputs()->Get(static_cast<uoffset_t>(i)));
}

Result<TensorInfo> MethodMeta::input_tensor(size_t i) const { return value_tensor(input_value(i)); }
Result<TensorInfo> MethodMeta::output_tensor(size_t i) const {
  return value_tensor(output_value(i));
}

std::string_view MethodMeta::input_tree() const {
  const auto* meta = Plan(plan_).container_meta_type();
  return meta == nullptr ? std::string_view() : ViewOrEmpty(meta->encoded_inp_str());
}

std::string_view MethodMeta::output_tree() const {
  const auto* meta = Plan(plan_).container_meta_type();
  return meta == nullptr ? std::string_view() : ViewOrEmpty(meta->encoded_out_str());
}

size_t MethodMeta::num_planned() const { return Plan(plan_).non_const_buffer_sizes()->size() - 1; }

uint64_t MethodMeta::planned_bytes(size_t memory_id) const {
  const auto id = static_cast<uoffset_t>(memory_id);
  return static_cast<uint64_t>(Plan(plan_).non_const_buffer_sizes()->Get(id));
}

size_t MethodMeta::num_values() const { return Plan(plan_).values()->size(); }
size_t MethodMeta::num_instructions() const { return CountMethod(Plan(plan_)).instructions; }
size_t MethodMeta::num_operators() const { return SizeOf(Plan(plan_).operators()); }

std::string_view MethodMeta::operator_name(size_t i, Span<char> buffer) const {
  const fb::Operator& op = *Plan(plan_).operators()->Get(static_cast<uoffset_t>(i));
  const std::string_view name = View(op.name());
  const std::string_view overload = ViewOrEmpty(op.overload());
  size_t n = name.size();
  std::memcpy(buffer.data(), name.data(), n);
  if (!overload.empty()) {
    buffer[n++] = '.';
    std::memcpy(buffer.data() + n, overload.data(), overload.size());
    n += overload.size();
  }
  return {buffer.data(), n};
}

namespace {

// Instruction i of all chains, or null.
const fb::Instruction* FindInstruction(const fb::ExecutionPlan& plan, size_t i) {
  for (const fb::Chain* chain : *plan.chains()) {
    const auto& instructions = *chain->instructions();
    if (i < instructions.size()) return instructions.Get(static_cast<uoffset_t>(i));
    i -= instructions.size();
  }
  return nullptr;
}

}  // namespace

std::string_view MethodMeta::instruction_name(size_t i, Span<char> buffer) const {
  const fb::Instruction* instruction = FindInstruction(Plan(plan_), i);
  if (instruction == nullptr) return {};
  if (const auto* call = instruction->instr_args_as_KernelCall()) {
    return operator_name(static_cast<size_t>(call->op_index()), buffer);
  }
  if (const auto* call = instruction->instr_args_as_DelegateCall()) {
    return delegate_id(static_cast<size_t>(call->delegate_index()));
  }
  return {};
}

Span<const int32_t> MethodMeta::instruction_operands(size_t i) const {
  const fb::Instruction* instruction = FindInstruction(Plan(plan_), i);
  const flatbuffers::Vector<int32_t>* args = nullptr;
  if (const auto* call = instruction->instr_args_as_KernelCall()) args = call->args();
  if (const auto* call = instruction->instr_args_as_DelegateCall()) args = call->args();
  if (args == nullptr) return {};
  return {reinterpret_cast<const int32_t*>(args->Data()), args->size()};
}

bool MethodMeta::constant_value(size_t i, Span<const uint8_t>* bytes) const {
  const fb::EValue& value = *Plan(plan_).values()->Get(static_cast<uoffset_t>(i));
  if (value.val_type() != fb::KernelTypes_Tensor) return false;
  const fb::Tensor& t = *value.val_as_Tensor();
  if (t.data_buffer_idx() == 0 || t.allocation_info() != nullptr || IsExternal(t)) return false;
  const Result<TensorInfo> info = value_tensor(i);
  if (!info.ok()) return false;
  const fb::SubsegmentOffsets& where = *Root(*program_).constant_segment();
  const uint64_t offset = where.offsets()->Get(t.data_buffer_idx());
  *bytes =
      program_->segment(where.segment_index()).subspan(static_cast<size_t>(offset), info->nbytes);
  return true;
}

size_t MethodMeta::num_delegates() const { return SizeOf(Plan(plan_).delegates()); }

std::string_view MethodMeta::delegate_id(size_t i) const {
  return View(Plan(plan_).delegates()->Get(static_cast<uoffset_t>(i))->id());
}

bool MethodMeta::planned_value(size_t i, PlannedTensor* planned) const {
  const fb::EValue& value = *Plan(plan_).values()->Get(static_cast<uoffset_t>(i));
  if (value.val_type() != fb::KernelTypes_Tensor) return false;
  const fb::AllocationDetails* allocation = value.val_as_Tensor()->allocation_info();
  const Result<TensorInfo> info = value_tensor(i);
  if (allocation == nullptr || !info.ok()) return false;
  *planned = {*info, allocation->memory_id(), MemoryOffset(*allocation)};
  return true;
}

size_t MethodMeta::arena_bytes() const {
  return sizeof(void*) == 4 ? arena_bytes_32() : arena_bytes_64();
}
size_t MethodMeta::arena_bytes_32() const {
  return MethodArenaBytes(CountMethod(Plan(plan_)), kAbi32);
}
size_t MethodMeta::arena_bytes_64() const {
  return MethodArenaBytes(CountMethod(Plan(plan_)), kAbi64);
}

}  // namespace rushlight
