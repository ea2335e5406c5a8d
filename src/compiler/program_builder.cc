// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/compiler/program_builder.h"

#include <cstring>
#include <functional>
#include <memory>
#include <string_view>

namespace rushlight::compiler {
namespace {

constexpr size_t kHeaderBytes = 32;

size_t Hash(Span<const uint8_t> bytes) {
  return std::hash<std::string_view>()({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace

// ---------------------------------------------------------------------------------------------
// MethodBuilder

MethodBuilder::MethodBuilder(fb::ExecutionPlanT* plan) : plan_(plan) {
  plan_->container_meta_type = std::make_unique<fb::ContainerMetadataT>();
  plan_->non_const_buffer_sizes = {0};
  plan_->chains.push_back(std::make_unique<fb::ChainT>());
}

template <class T>
int32_t MethodBuilder::Add(T value) {
  auto entry = std::make_unique<fb::EValueT>();
  entry->val.Set(std::move(value));
  plan_->values.push_back(std::move(entry));
  return static_cast<int32_t>(plan_->values.size()) - 1;
}

int32_t MethodBuilder::AddNull() { return Add(fb::NullT()); }

int32_t MethodBuilder::AddInt(int64_t v) {
  fb::IntT value;
  value.int_val = v;
  return Add(std::move(value));
}

int32_t MethodBuilder::AddBool(bool v) {
  fb::BoolT value;
  value.bool_val = v;
  return Add(std::move(value));
}

int32_t MethodBuilder::AddDouble(double v) {
  fb::DoubleT value;
  value.double_val = v;
  return Add(std::move(value));
}

int32_t MethodBuilder::AddString(std::string v) {
  fb::StringT value;
  value.string_val = std::move(v);
  return Add(std::move(value));
}

int32_t MethodBuilder::AddTensor(const TensorSpec& spec) {
  fb::TensorT t;
  t.scalar_type = static_cast<fb::ScalarType>(spec.scalar_type);
  t.sizes = spec.sizes;
  t.dim_order = spec.dim_order;
  if (t.dim_order.empty()) {
    for (size_t d = 0; d < spec.sizes.size(); ++d) t.dim_order.push_back(static_cast<uint8_t>(d));
  }
  t.data_buffer_idx = spec.constant;
  t.shape_dynamism =
      spec.dynamic ? fb::TensorShapeDynamism_DYNAMIC_BOUND : fb::TensorShapeDynamism_STATIC;
  if (spec.memory_id != 0) {
    t.allocation_info = std::make_unique<fb::AllocationDetailsT>();
    t.allocation_info->memory_id = spec.memory_id;
    t.allocation_info->memory_offset_low = static_cast<uint32_t>(spec.memory_offset);
    t.allocation_info->memory_offset_high = static_cast<uint32_t>(spec.memory_offset >> 32);
  }
  if (!spec.name.empty()) {
    t.extra_tensor_info = std::make_unique<fb::ExtraTensorInfoT>();
    t.extra_tensor_info->fully_qualified_name = spec.name;
    if (spec.external) t.extra_tensor_info->location = fb::TensorDataLocation_EXTERNAL;
  }
  return Add(std::move(t));
}

int32_t MethodBuilder::AddIntList(std::vector<int64_t> items) {
  fb::IntListT value;
  value.items = std::move(items);
  return Add(std::move(value));
}

int32_t MethodBuilder::AddDoubleList(std::vector<double> items) {
  fb::DoubleListT value;
  value.items = std::move(items);
  return Add(std::move(value));
}

int32_t MethodBuilder::AddBoolList(const std::vector<bool>& items) {
  fb::BoolListT value;
  value.items = items;
  return Add(std::move(value));
}

int32_t MethodBuilder::AddTensorList(std::vector<int32_t> items) {
  fb::TensorListT value;
  value.items = std::move(items);
  return Add(std::move(value));
}

int32_t MethodBuilder::AddOptionalTensorList(std::vector<int32_t> items) {
  fb::OptionalTensorListT value;
  value.items = std::move(items);
  return Add(std::move(value));
}

int32_t MethodBuilder::AddOperator(const std::string& name, const std::string& overload) {
  const auto [entry, added] =
      operators_.try_emplace(name + "." + overload, static_cast<int32_t>(plan_->operators.size()));
  if (added) {
    plan_->operators.push_back(std::make_unique<fb::OperatorT>());
    plan_->operators.back()->name = name;
    plan_->operators.back()->overload = overload;
  }
  return entry->second;
}

template <class T>
int32_t MethodBuilder::AddInstruction(T call) {
  auto instruction = std::make_unique<fb::InstructionT>();
  instruction->instr_args.Set(std::move(call));
  plan_->chains[0]->instructions.push_back(std::move(instruction));
  return num_instructions() - 1;
}

int32_t MethodBuilder::num_instructions() const {
  return static_cast<int32_t>(plan_->chains[0]->instructions.size());
}

int32_t MethodBuilder::AddKernelCall(int32_t op, std::vector<int32_t> args) {
  fb::KernelCallT call;
  call.op_index = op;
  call.args = std::move(args);
  return AddInstruction(std::move(call));
}

int32_t MethodBuilder::AddDelegateCall(int32_t delegate, std::vector<int32_t> args) {
  fb::DelegateCallT call;
  call.delegate_index = delegate;
  call.args = std::move(args);
  return AddInstruction(std::move(call));
}

int32_t MethodBuilder::AddMove(int32_t from, int32_t to) {
  fb::MoveCallT call;
  call.move_from = from;
  call.move_to = to;
  return AddInstruction(std::move(call));
}

int32_t MethodBuilder::AddJumpFalse(int32_t condition, int32_t destination) {
  fb::JumpFalseCallT call;
  call.cond_value_index = condition;
  call.destination_instruction = destination;
  return AddInstruction(std::move(call));
}

void MethodBuilder::SetJumpDestination(int32_t instruction, int32_t destination) {
  auto& entry = *plan_->chains[0]->instructions[static_cast<size_t>(instruction)];
  entry.instr_args.AsJumpFalseCall()->destination_instruction = destination;
}

void MethodBuilder::SetInputs(std::vector<int32_t> values) { plan_->inputs = std::move(values); }
void MethodBuilder::SetOutputs(std::vector<int32_t> values) { plan_->outputs = std::move(values); }

void MethodBuilder::SetTrees(std::string inputs, std::string outputs) {
  plan_->container_meta_type->encoded_inp_str = std::move(inputs);
  plan_->container_meta_type->encoded_out_str = std::move(outputs);
}

void MethodBuilder::SetMemory(const std::vector<int64_t>& bytes) {
  plan_->non_const_buffer_sizes = {0};
  for (const int64_t n : bytes) plan_->non_const_buffer_sizes.push_back(n);
}

// ---------------------------------------------------------------------------------------------
// ProgramBuilder

ProgramBuilder::ProgramBuilder(ProgramAlignment alignment) : alignment_(alignment) {
  program_.constant_segment = std::make_unique<fb::SubsegmentOffsetsT>();
  program_.constant_segment->offsets = {0};  // entry 0 is reserved
  initial_offsets_ = {0};
}

MethodBuilder ProgramBuilder::AddMethod(const std::string& name) {
  program_.execution_plan.push_back(std::make_unique<fb::ExecutionPlanT>());
  program_.execution_plan.back()->name = name;
  return MethodBuilder(program_.execution_plan.back().get());
}

uint32_t ProgramBuilder::AddToSubsegment(Subsegments& segment, std::vector<uint64_t>& offsets,
                                         Bytes bytes, size_t alignment) {
  const size_t hash = Hash(bytes);
  const auto [first, last] = segment.by_hash.equal_range(hash);
  for (auto it = first; it != last; ++it) {
    if (Equal(segment.pieces[it->second - 1].second, bytes)) return it->second;
  }
  const uint64_t offset = AlignUp(segment.size, alignment);
  segment.pieces.emplace_back(offset, bytes);
  segment.size = offset + bytes.size();
  offsets.push_back(offset);
  const auto entry = static_cast<uint32_t>(offsets.size() - 1);
  segment.by_hash.emplace(hash, entry);
  return entry;
}

uint32_t ProgramBuilder::AddConstant(Bytes bytes) {
  return AddToSubsegment(constants_, program_.constant_segment->offsets, bytes,
                         alignment_.constant);
}

uint32_t ProgramBuilder::AddInitialState(Bytes bytes) {
  return AddToSubsegment(initial_state_, initial_offsets_, bytes, 16);
}

void ProgramBuilder::AddNamedData(const std::string& key, Bytes bytes, size_t alignment) {
  auto entry = std::make_unique<fb::NamedDataT>();
  entry->key = key;
  entry->segment_index = AddWholeSegment(named_segments_, bytes, alignment);  // made final later
  program_.named_data.push_back(std::move(entry));
}

int32_t ProgramBuilder::AddDelegate(MethodBuilder& method, const std::string& id, Bytes payload,
                                    const std::vector<std::pair<std::string, std::string>>& specs,
                                    bool inline_payload) {
  auto delegate = std::make_unique<fb::BackendDelegateT>();
  delegate->id = id;
  delegate->processed = std::make_unique<fb::BackendDelegateDataReferenceT>();
  if (inline_payload || payload.empty()) {
    delegate->processed->location = fb::DataLocation_INLINE;
    delegate->processed->index = static_cast<uint32_t>(program_.backend_delegate_data.size());
    auto data = std::make_unique<fb::BackendDelegateInlineDataT>();
    data->data.assign(payload.begin(), payload.end());
    program_.backend_delegate_data.push_back(std::move(data));
  } else {
    delegate->processed->location = fb::DataLocation_SEGMENT;
    delegate->processed->index = AddWholeSegment(delegate_segments_, payload, 16);
  }
  for (const auto& [key, value] : specs) {
    auto spec = std::make_unique<fb::CompileSpecT>();
    spec->key = key;
    spec->value.assign(value.begin(), value.end());
    delegate->compile_specs.push_back(std::move(spec));
  }
  method.plan_->delegates.push_back(std::move(delegate));
  return static_cast<int32_t>(method.plan_->delegates.size()) - 1;
}

// Fixes the order of segments: constants, initial state, delegate payloads, named data.
void ProgramBuilder::LayOutSegments() {
  if (!layout_.empty()) return;
  layout_ = {&constants_};
  if (initial_state_.size > 0) {
    auto entry = std::make_unique<fb::SubsegmentOffsetsT>();
    entry->segment_index = static_cast<uint32_t>(layout_.size());
    entry->offsets = initial_offsets_;
    program_.mutable_data_segments.push_back(std::move(entry));
    layout_.push_back(&initial_state_);
  }
  const auto first_delegate = static_cast<uint32_t>(layout_.size());
  for (const Segment& s : delegate_segments_) layout_.push_back(&s);
  const auto first_named = static_cast<uint32_t>(layout_.size());
  for (const Segment& s : named_segments_) layout_.push_back(&s);
  for (auto& entry : program_.named_data) entry->segment_index += first_named;
  SortByKey(&program_.named_data);
  for (auto& plan : program_.execution_plan) {
    for (auto& d : plan->delegates) {
      if (d->processed->location == fb::DataLocation_SEGMENT) d->processed->index += first_delegate;
    }
  }
  data_size_ = LayOut(layout_, alignment_.segment, &program_.segments);
}

bool ProgramBuilder::Finish(const Sink& write) {
  LayOutSegments();
  flatbuffers::FlatBufferBuilder builder(1 << 16);
  builder.Finish(fb::CreateProgram(builder, &program_), fb::ProgramIdentifier());
  if (data_size_ == 0) return write(builder.GetBufferPointer(), builder.GetSize());

  std::vector<uint8_t> header(AlignUp(kHeaderBytes, alignment_.constant), 0);
  const uint32_t length = kHeaderBytes;
  const uint64_t program_size = builder.GetSize() + header.size();
  const uint64_t base = AlignUp(program_size, alignment_.segment);
  std::memcpy(header.data(), "eh00", 4);
  std::memcpy(header.data() + 4, &length, 4);
  std::memcpy(header.data() + 8, &program_size, 8);
  std::memcpy(header.data() + 16, &base, 8);
  std::memcpy(header.data() + 24, &data_size_, 8);
  return WriteSegmented(builder, header, base, layout_, program_.segments, write);
}

Error ProgramBuilder::WriteFile(const std::string& path) {
  return compiler::WriteFile(path, [this](const Sink& write) { return Finish(write); });
}

std::vector<uint8_t> ProgramBuilder::ToBytes() {
  return compiler::ToBytes([this](const Sink& write) { return Finish(write); });
}

}  // namespace rushlight::compiler
