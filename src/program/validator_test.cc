// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// One sound program, and every way in which a program can be wrong: each check of the loader
// refuses something that no other check does.  tests/hostile/deleted_checks.py holds it to that.

#include "src/program/validator.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "rushlight/program.h"
#include "rushlight/tensor.h"  // kMaxRank
#include "tests/hostile/mutator.h"
#include "tests/hostile/program_writer.h"

namespace rushlight {
namespace {

using hostile::File;
using hostile::MethodWriter;
using hostile::ProgramWriter;

// Where the values of the sound program are.
enum : int32_t {
  kNull,
  kInt,
  kBool,
  kDouble,
  kString,
  kX,
  kY,
  kConstant,
  kState,
  kIntList,
  kDoubleList,
  kBoolList,
  kTensorList,
  kOptionalList,
  kExternal,
  kMask,
  kFlat,
  kLongs,
  kTurned,
  kCount
};
// And the instructions.
enum : uint32_t { kKernel, kDelegate, kMove, kJump, kFree };

File Sound() {
  constexpr DType kFloat = DType::kFloat32;
  ProgramWriter p;
  MethodWriter w(p, "forward");
  w.m.AddNull();
  w.m.AddInt(3);
  w.m.AddBool(true);
  w.m.AddDouble(0.5);
  w.m.AddString(std::string(64, 'x'));  // room for Remove
  w.Planned(kFloat, {2, 3});
  w.Planned(kFloat, {2, 3});
  w.Weights(kFloat, {2, 3});
  MethodWriter::Options state;
  state.memory_id = 2;
  w.State(kFloat, {4}, p.Keep(std::vector<float>(4, 1.0f)), state);
  w.m.AddIntList({kInt});
  w.m.AddDoubleList({1.0, 2.0});
  w.m.AddBoolList({true, false});
  w.m.AddTensorList({kX, kY});
  w.m.AddOptionalTensorList({kX, -1, kNull});
  w.External(kFloat, {5}, "weight", false);
  w.Planned(DType::kBool, {2});
  w.Planned(kFloat, {6});
  w.Planned(DType::kInt64, {2, 3});
  MethodWriter::Options turned;
  turned.dim_order = {1, 0};
  EXPECT_EQ(w.Planned(kFloat, {2, 3}, turned), kCount - 1);
  w.Call("aten::add.out", {kX, kConstant, kInt, kY});
  p.builder.AddDelegate(w.m, "Behind", p.Keep(std::vector<uint8_t>(5)), {{"key", "value"}});
  p.builder.AddDelegate(w.m, "Inside", p.Keep(std::vector<uint8_t>(5)), {}, true);
  w.m.AddDelegateCall(0, {kX, kY});
  w.m.AddMove(kX, kY);
  w.m.AddJumpFalse(kBool, 5);
  w.Free(kX);
  p.builder.AddNamedData("a", p.Keep(std::vector<uint8_t>(3)), 16);
  w.Inputs({kX, kInt});
  w.Outputs({kY, kString});
  w.Finish();
  return p.builder.ToBytes();
}

// Loads a copy, in both ways.
Error Load(const File& file) {
  std::vector<uint64_t> words((file.size() + 31) / 8 + 2);
  auto* const data =
      reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(words.data()) + 15) / 16 * 16);
  if (!file.empty()) std::memcpy(data, file.data(), file.size());
  const Span<const uint8_t> bytes(data, file.size());
  const Result<Program> in_place = Program::LoadInPlace(bytes);
  const Result<size_t> size = Program::MetadataBytes(bytes, bytes.size());
  if (!size.ok()) {
    EXPECT_EQ(in_place.error().reason, size.error().reason);
    return size.error();
  }
  std::vector<uint64_t> memory((*size + 31) / 8);
  Arena arena(memory.data(), memory.size() * 8);
  const Result<Program> copied = Program::Load(bytes, arena);
  EXPECT_EQ(in_place.error().reason, copied.error().reason);
  return copied.error();
}

using Edit = std::function<void(fb::ProgramT& program, fb::ExecutionPlanT& plan)>;

Error Edited(const Edit& edit) {
  const File sound = Sound();
  fb::ProgramT program;
  fb::GetProgram(sound.data())->UnPackTo(&program);
  edit(program, *program.execution_plan[0]);
  return Load(hostile::Repack(program, sound));
}

// Edits of the bytes: what the object API cannot make.
using Patch = std::function<void(const fb::Program& program, const fb::ExecutionPlan& plan)>;

Error Patched(const Patch& patch) {
  File file = Sound();
  const fb::Program* program = fb::GetProgram(file.data());
  patch(*program, *program->execution_plan()->Get(0));
  return Load(file);
}

// Takes a field out of a table.  Tables of one layout share a description of it, so this one gets
// its own, in the bytes of the string.
template <class T>
void Remove(const fb::ExecutionPlan& plan, const T& table, flatbuffers::voffset_t field) {
  const auto* base = reinterpret_cast<const uint8_t*>(&table);
  const uint8_t* old = base - ReadUnaligned<int32_t>(base);
  const size_t bytes = ReadUnaligned<uint16_t>(old);
  const flatbuffers::String* room = plan.values()->Get(kString)->val_as_String()->string_val();
  ASSERT_LE(bytes, room->size());
  auto* const own = const_cast<uint8_t*>(room->Data());
  std::memcpy(own, old, bytes);
  if (field < bytes) std::memset(own + field, 0, sizeof field);
  const auto distance = static_cast<int32_t>(base - own);
  std::memcpy(const_cast<uint8_t*>(base), &distance, sizeof distance);
}

template <class T, class Number>
void Set(const T& table, flatbuffers::voffset_t field, Number value) {
  const auto& t = reinterpret_cast<const flatbuffers::Table&>(table);
  const uint8_t* p = t.GetAddressOf(field);
  ASSERT_NE(p, nullptr);
  std::memcpy(const_cast<uint8_t*>(p), &value, sizeof value);
}

fb::TensorT& TensorOf(fb::ExecutionPlanT& plan, int32_t v) {
  return *plan.values[static_cast<size_t>(v)]->val.AsTensor();
}

fb::InstructionArgumentsUnion& Args(fb::ExecutionPlanT& plan, uint32_t i) {
  return plan.chains[0]->instructions[i]->instr_args;
}

const fb::Tensor& TensorOf(const fb::ExecutionPlan& plan, uint32_t v) {
  return *plan.values()->Get(v)->val_as_Tensor();
}

// The error has that reason and, where one is given, that object.
void ExpectError(const Error& error, Reason reason, int64_t index, const char* what) {
  EXPECT_EQ(static_cast<int>(error.reason), static_cast<int>(reason)) << what;
  if (index >= 0) {
    EXPECT_EQ(error.index, static_cast<uint32_t>(index)) << what;
  }
}

#define EXPECT_EDITED(reason, index, ...)                                  \
  ExpectError(Edited([](fb::ProgramT& program, fb::ExecutionPlanT& plan) { \
                static_cast<void>(program);                                \
                static_cast<void>(plan);                                   \
                __VA_ARGS__;                                               \
              }),                                                          \
              Reason::reason, index, #__VA_ARGS__)
#define EXPECT_PATCHED(reason, index, ...)                                            \
  ExpectError(Patched([](const fb::Program& program, const fb::ExecutionPlan& plan) { \
                static_cast<void>(program);                                           \
                static_cast<void>(plan);                                              \
                __VA_ARGS__;                                                          \
              }),                                                                     \
              Reason::reason, index, #__VA_ARGS__)

TEST(Validator, TheSoundProgramLoads) {
  EXPECT_TRUE(Load(Sound()).ok());
  EXPECT_EDITED(kOk, -1, {});
  EXPECT_PATCHED(kOk, -1, {});
}

TEST(Validator, Root) {
  EXPECT_EDITED(kProgramVersion, -1, program.version = 1);
  EXPECT_EDITED(kNoMethods, -1, program.execution_plan.clear());
  EXPECT_PATCHED(kNoMethods, -1, Remove(plan, program, fb::Program::VT_EXECUTION_PLAN));
  EXPECT_EDITED(
      kTooManyEntries, -1, for (size_t i = 0; i < kMaxMethods; ++i) {
        auto method = std::make_unique<fb::ExecutionPlanT>(plan);
        method->name = std::to_string(i);
        program.execution_plan.push_back(std::move(method));
      });
  EXPECT_EDITED(kDuplicateMethod, 1,
                program.execution_plan.push_back(std::make_unique<fb::ExecutionPlanT>(plan)));
  EXPECT_EDITED(kOk, -1, auto other = std::make_unique<fb::ExecutionPlanT>(plan);
                other->name = "other"; program.execution_plan.push_back(std::move(other)));
}

TEST(Validator, Segments) {
  EXPECT_EDITED(kSegmentRange, 0, program.segments[0]->offset = UINT64_MAX);
  EXPECT_EDITED(kSegmentRange, 0, program.segments[0]->offset = 1 << 20;
                program.segments[0]->size = 0);
  EXPECT_EDITED(kSegmentRange, 1, program.segments[1]->size = 1 << 20);
  EXPECT_EDITED(kSegmentRange, 1, program.segments[1]->size = UINT64_MAX);
}

TEST(Validator, NamedData) {
  EXPECT_PATCHED(kNamedDataKey, 0,
                 Remove(plan, *program.named_data()->Get(0), fb::NamedData::VT_KEY));
  EXPECT_EDITED(kNameTooLong, 0, program.named_data[0]->key = std::string(1025, 'x'));
  EXPECT_EDITED(kOk, -1, program.named_data[0]->key = std::string(1024, 'x'));
  EXPECT_EDITED(
      kSegmentIndex, 0,
      program.named_data[0]->segment_index = static_cast<uint32_t>(program.segments.size()));
  EXPECT_EDITED(
      kOk, -1,
      program.named_data.push_back(std::make_unique<fb::NamedDataT>(*program.named_data[0])));
  // Many that are not sorted; as many that are.
  const auto add = [](fb::ProgramT& program, bool sorted) {
    for (size_t i = 0; i <= kMaxUnsortedKeys; ++i) {
      auto d = std::make_unique<fb::NamedDataT>();
      d->key = sorted ? std::string("b").append(std::to_string(100000 + i)) : "b";
      program.named_data.push_back(std::move(d));
    }
  };
  EXPECT_EQ(Edited([&](fb::ProgramT& p, fb::ExecutionPlanT&) { add(p, false); }).reason,
            Reason::kTooManyEntries);
  EXPECT_TRUE(Edited([&](fb::ProgramT& p, fb::ExecutionPlanT&) { add(p, true); }).ok());
}

TEST(Validator, StoredData) {
  EXPECT_EDITED(kSegmentIndex, 0, program.constant_segment->segment_index = 99);
  EXPECT_EDITED(kSegmentIndex, 1, program.mutable_data_segments[0]->segment_index = 99);
  EXPECT_EDITED(kConstantOffset, 1, program.constant_segment->offsets[1] = 1 << 20);
  EXPECT_EDITED(kConstantOffset, 1, program.mutable_data_segments[0]->offsets[1] = 1 << 20);
  // Lists without an entry that counts are not looked at.
  EXPECT_EDITED(kTensorData, kConstant, program.constant_segment->offsets = {0};
                program.constant_segment->segment_index = 99);
  EXPECT_EDITED(kTensorData, kConstant, program.constant_segment.reset());
  EXPECT_PATCHED(kTensorData, kConstant,
                 Remove(plan, *program.constant_segment(), fb::SubsegmentOffsets::VT_OFFSETS));
  EXPECT_EDITED(kTensorData, kState, program.mutable_data_segments.clear());
  EXPECT_EDITED(kTensorData, kConstant, TensorOf(plan, kConstant).data_buffer_idx = 2);
  EXPECT_EDITED(kTensorData, kState, TensorOf(plan, kState).data_buffer_idx = 2);
  EXPECT_EDITED(kTensorDataRange, kConstant, program.constant_segment->offsets[1] = 4);
  EXPECT_EDITED(kTensorDataAlignment, kConstant, TensorOf(plan, kConstant).sizes = {1, 1};
                program.constant_segment->offsets[1] = 2);
  EXPECT_EDITED(kOk, -1, TensorOf(plan, kConstant).sizes = {1, 1};
                program.constant_segment->offsets[1] = 4);
  EXPECT_EDITED(kOk, -1, TensorOf(plan, kState).sizes = {1};
                program.mutable_data_segments[0]->offsets[1] = 2);  // copied, not used in place
}

TEST(Validator, Method) {
  EXPECT_EDITED(kMethodName, 0, plan.name.clear());
  EXPECT_PATCHED(kMethodName, 0, Remove(plan, plan, fb::ExecutionPlan::VT_NAME));
  EXPECT_EDITED(kNameTooLong, 0, plan.name = std::string(1025, 'x'));
  EXPECT_PATCHED(kMissingField, 0, Remove(plan, plan, fb::ExecutionPlan::VT_VALUES));
  EXPECT_PATCHED(kMissingField, 1, Remove(plan, plan, fb::ExecutionPlan::VT_INPUTS));
  EXPECT_PATCHED(kMissingField, 2, Remove(plan, plan, fb::ExecutionPlan::VT_OUTPUTS));
  EXPECT_PATCHED(kMissingField, 3, Remove(plan, plan, fb::ExecutionPlan::VT_CHAINS));
  EXPECT_PATCHED(kMissingField, 4,
                 Remove(plan, plan, fb::ExecutionPlan::VT_NON_CONST_BUFFER_SIZES));
  EXPECT_EDITED(kPlanInput, 0, plan.inputs[0] = -1);
  EXPECT_EDITED(kPlanInput, 1, plan.inputs[1] = kCount);
  EXPECT_EDITED(kPlanInputKind, 0, plan.inputs[0] = kIntList);
  EXPECT_EDITED(kPlanOutput, 0, plan.outputs[0] = -1);
  EXPECT_EDITED(kPlanOutput, 1, plan.outputs[1] = kCount);
  EXPECT_EDITED(kPlanOutputKind, 0, plan.outputs[0] = kTensorList);
}

TEST(Validator, Memory) {
  EXPECT_EDITED(kMissingField, 4, plan.non_const_buffer_sizes.clear());
  EXPECT_EDITED(kTooManyEntries, -1, plan.non_const_buffer_sizes.resize(kMaxMemories + 2));
  EXPECT_EDITED(kOk, -1, plan.non_const_buffer_sizes.resize(kMaxMemories + 1));
  EXPECT_EDITED(kMemorySize, 2, plan.non_const_buffer_sizes[2] = -1);
  EXPECT_EDITED(
      kMemoryDevice, 0,
      plan.non_const_buffer_device.push_back(std::make_unique<fb::NonConstBufferDeviceT>());
      plan.non_const_buffer_device[0]->device_type = fb::DeviceType_CUDA);
  EXPECT_EDITED(
      kOk, -1,
      plan.non_const_buffer_device.push_back(std::make_unique<fb::NonConstBufferDeviceT>()));
  auto planned = [](fb::ExecutionPlanT& p, int32_t v) -> fb::AllocationDetailsT& {
    return *TensorOf(p, v).allocation_info;
  };
  const auto with = [&](int32_t v, uint32_t id, uint32_t low, uint32_t high) {
    return Edited([&](fb::ProgramT&, fb::ExecutionPlanT& p) {
      planned(p, v).memory_id = id;
      planned(p, v).memory_offset_low = low;
      planned(p, v).memory_offset_high = high;
    });
  };
  ExpectError(with(kX, 0, 0, 0), Reason::kMemoryId, kX, "id 0");
  ExpectError(with(kX, 3, 0, 0), Reason::kMemoryId, kX, "no such id");
  ExpectError(with(kX, 1, 0, 1), Reason::kMemoryRange, kX, "far away");
  ExpectError(with(kX, 2, 0, 0), Reason::kMemoryRange, kX, "longer than its memory");
  ExpectError(with(kX, 1, 2, 0), Reason::kMemoryAlignment, kX, "inside an element");
  ExpectError(with(kLongs, 1, 4, 0), Reason::kMemoryAlignment, kLongs, "inside an element");
  ExpectError(with(kX, 1, 4, 0), Reason::kOk, -1, "at an element");
  ExpectError(with(kMask, 1, 1, 0), Reason::kOk, -1, "bytes are anywhere");
}

TEST(Validator, Values) {
  EXPECT_PATCHED(kValueKind, kInt,
                 Set(*plan.values()->Get(kInt), fb::EValue::VT_VAL_TYPE, uint8_t{0}));
  EXPECT_PATCHED(kValueKind, kInt,
                 Set(*plan.values()->Get(kInt), fb::EValue::VT_VAL_TYPE,
                     static_cast<uint8_t>(fb::KernelTypes_MAX + 1)));
  EXPECT_PATCHED(kValueNull, kInt, Remove(plan, *plan.values()->Get(kInt), fb::EValue::VT_VAL));
}

TEST(Validator, ValuesWithoutContents) {
  for (const auto kind :
       {fb::KernelTypes_IntList, fb::KernelTypes_DoubleList, fb::KernelTypes_BoolList,
        fb::KernelTypes_TensorList, fb::KernelTypes_OptionalTensorList, fb::KernelTypes_String}) {
    // An Int of value 0 is a table without fields: read as another kind, its vector is absent.
    File file = [&] {
      const File sound = Sound();
      fb::ProgramT program;
      fb::GetProgram(sound.data())->UnPackTo(&program);
      program.execution_plan[0]->values.push_back(std::make_unique<fb::EValueT>());
      program.execution_plan[0]->values.back()->val.Set(fb::IntT());
      return hostile::Repack(program, sound);
    }();
    const fb::ExecutionPlan& plan = *fb::GetProgram(file.data())->execution_plan()->Get(0);
    Set(*plan.values()->Get(kCount), fb::EValue::VT_VAL_TYPE, static_cast<uint8_t>(kind));
    ExpectError(Load(file), Reason::kValueNull, kCount, fb::EnumNameKernelTypes(kind));
  }
}

TEST(Validator, Lists) {
  const auto tensors = [](fb::ExecutionPlanT& p) -> std::vector<int32_t>& {
    return p.values[kTensorList]->val.AsTensorList()->items;
  };
  const auto optional = [](fb::ExecutionPlanT& p) -> std::vector<int32_t>& {
    return p.values[kOptionalList]->val.AsOptionalTensorList()->items;
  };
  const auto with = [&](const auto& list, int32_t item) {
    return Edited([&](fb::ProgramT&, fb::ExecutionPlanT& p) { list(p)[1] = item; });
  };
  ExpectError(with(tensors, -1), Reason::kListItem, kTensorList, "-1");
  ExpectError(with(tensors, kCount), Reason::kListItem, kTensorList, "behind the end");
  ExpectError(with(tensors, kInt), Reason::kListItemKind, kTensorList, "an int");
  ExpectError(with(tensors, kNull), Reason::kListItemKind, kTensorList, "none");
  ExpectError(with(optional, -2), Reason::kListItem, kOptionalList, "-2");
  ExpectError(with(optional, kCount), Reason::kListItem, kOptionalList, "behind the end");
  ExpectError(with(optional, kInt), Reason::kListItemKind, kOptionalList, "an int");
  EXPECT_EDITED(kListItem, kIntList, plan.values[kIntList]->val.AsIntList()->items[0] = -1);
  EXPECT_EDITED(kListItem, kIntList, plan.values[kIntList]->val.AsIntList()->items[0] = kCount);
  EXPECT_EDITED(kListItem, kIntList,
                plan.values[kIntList]->val.AsIntList()->items[0] = int64_t{1} << 32);
  EXPECT_EDITED(kListItemKind, kIntList, plan.values[kIntList]->val.AsIntList()->items[0] = kBool);
  EXPECT_EQ(with(tensors, -1).argument, 1);
}

TEST(Validator, Tensors) {
  EXPECT_EDITED(kTensorLayout, kX, TensorOf(plan, kX).layout = 1);
  EXPECT_EDITED(kTensorStorageOffset, kX, TensorOf(plan, kX).storage_offset = 1);
  EXPECT_EDITED(kTensorDType, kX, TensorOf(plan, kX).scalar_type = static_cast<fb::ScalarType>(99));
  EXPECT_EDITED(kTensorDType, kX, TensorOf(plan, kX).scalar_type = static_cast<fb::ScalarType>(-1));
  EXPECT_PATCHED(kTensorSizes, -1, Remove(plan, TensorOf(plan, kX), fb::Tensor::VT_SIZES));
  EXPECT_PATCHED(kTensorSizes, -1, Remove(plan, TensorOf(plan, kX), fb::Tensor::VT_DIM_ORDER));
  EXPECT_EDITED(kTooManyDimensions, kX, TensorOf(plan, kX).sizes.assign(kMaxRank + 1, 1);
                TensorOf(plan, kX).dim_order.resize(kMaxRank + 1));
  EXPECT_EDITED(kTensorDimCount, kX, TensorOf(plan, kX).dim_order = {0});
  EXPECT_EDITED(kTensorSize, kX, TensorOf(plan, kX).sizes[1] = -1);
  EXPECT_EDITED(kTensorDimOrder, kX, TensorOf(plan, kX).dim_order = {0, 2});
  EXPECT_EDITED(kTensorDimOrder, kX, TensorOf(plan, kX).dim_order = {0, 0});
  EXPECT_EDITED(kTensorBytes, kX, TensorOf(plan, kX).sizes.assign(3, INT32_MAX);
                TensorOf(plan, kX).dim_order = {0, 1, 2});
  EXPECT_EDITED(kTensorBytes, kX, TensorOf(plan, kX).sizes = {1 << 30, 1 << 30, 2};
                TensorOf(plan, kX).dim_order = {0, 1, 2});  // 2^63
  EXPECT_EDITED(kUnboundedTensor, kX,
                TensorOf(plan, kX).shape_dynamism = fb::TensorShapeDynamism_DYNAMIC_UNBOUND);
  EXPECT_EDITED(kTensorDynamism, kX,
                TensorOf(plan, kX).shape_dynamism = static_cast<fb::TensorShapeDynamism>(3));
  EXPECT_EDITED(kOk, -1, TensorOf(plan, kX).shape_dynamism = fb::TensorShapeDynamism_DYNAMIC_BOUND);
}

TEST(Validator, TensorsWithMore) {
  EXPECT_EDITED(kTensorDevice, kExternal,
                TensorOf(plan, kExternal).extra_tensor_info->device_type = fb::DeviceType_CUDA);
  EXPECT_EDITED(kTensorLayout, kExternal,
                TensorOf(plan, kExternal).extra_tensor_info->location =
                    static_cast<fb::TensorDataLocation>(2));
  EXPECT_PATCHED(kTensorName, kExternal,
                 Remove(plan, *TensorOf(plan, kExternal).extra_tensor_info(),
                        fb::ExtraTensorInfo::VT_FULLY_QUALIFIED_NAME));
  EXPECT_EDITED(
      kNameTooLong, kExternal,
      TensorOf(plan, kExternal).extra_tensor_info->fully_qualified_name = std::string(1025, 'x'));
  EXPECT_EDITED(kOk, -1,
                TensorOf(plan, kX).extra_tensor_info = std::make_unique<fb::ExtraTensorInfoT>());
  EXPECT_EDITED(
      kTensorData, kExternal,
      TensorOf(plan, kExternal).extra_tensor_info->location = fb::TensorDataLocation_SEGMENT;
      TensorOf(plan, kExternal).data_buffer_idx = 7);
  EXPECT_EDITED(kOk, -1, TensorOf(plan, kExternal).data_buffer_idx = 7);  // not looked at
  EXPECT_EDITED(
      kTooManyEntries, kCount + kMaxExternalTensors - 1,
      for (size_t i = 0; i < kMaxExternalTensors;
           ++i) { plan.values.push_back(std::make_unique<fb::EValueT>(*plan.values[kExternal])); });
}

TEST(Validator, OperatorsAndDelegates) {
  EXPECT_PATCHED(kOperatorName, 0, Remove(plan, *plan.operators()->Get(0), fb::Operator::VT_NAME));
  EXPECT_PATCHED(kOk, -1, Remove(plan, *plan.operators()->Get(0), fb::Operator::VT_OVERLOAD));
  EXPECT_EDITED(kNameTooLong, 0, plan.operators[0]->name = std::string(96, 'x'));  // .out
  EXPECT_EDITED(kOk, -1, plan.operators[0]->name = std::string(95, 'x'));
  EXPECT_PATCHED(kDelegateId, 0,
                 Remove(plan, *plan.delegates()->Get(0), fb::BackendDelegate::VT_ID));
  EXPECT_EDITED(kDelegateId, 1, plan.delegates[1]->id = std::string(1025, 'x'));
  EXPECT_EDITED(kDelegateData, 0, plan.delegates[0]->processed.reset());
  EXPECT_EDITED(kDelegateData, 0, plan.delegates[0]->processed->index = 99);
  EXPECT_EDITED(kDelegateData, 1, plan.delegates[1]->processed->index = 1);
  EXPECT_EDITED(kDelegateData, 0,
                plan.delegates[0]->processed->location = static_cast<fb::DataLocation>(2));
  EXPECT_PATCHED(
      kCompileSpec, 0,
      Remove(plan, *plan.delegates()->Get(0)->compile_specs()->Get(0), fb::CompileSpec::VT_KEY));
  EXPECT_PATCHED(
      kCompileSpec, 0,
      Remove(plan, *plan.delegates()->Get(0)->compile_specs()->Get(0), fb::CompileSpec::VT_VALUE));
}

TEST(Validator, Chains) {
  EXPECT_EDITED(kMissingField, 3, plan.chains.clear());
  EXPECT_EDITED(
      kTooManyEntries, -1, for (size_t i = 0; i < kMaxChains; ++i) {
        plan.chains.push_back(std::make_unique<fb::ChainT>());
      });
  EXPECT_EDITED(
      kOk, -1, for (size_t i = 1; i < kMaxChains; ++i) {
        plan.chains.push_back(std::make_unique<fb::ChainT>());
      });
  EXPECT_PATCHED(kMissingField, 0,
                 Remove(plan, *plan.chains()->Get(0), fb::Chain::VT_INSTRUCTIONS));
  EXPECT_EQ(Patched([](const fb::Program&, const fb::ExecutionPlan& plan) {
              Remove(plan, *plan.chains()->Get(0), fb::Chain::VT_INSTRUCTIONS);
            }).argument,
            0);  // of a chain
}

TEST(Validator, InstructionKinds) {
  const auto first = [](const fb::ExecutionPlan& plan) -> const fb::Instruction& {
    return *plan.chains()->Get(0)->instructions()->Get(kKernel);
  };
  for (const uint8_t kind : {0, fb::InstructionArguments_MAX + 1, 255}) {
    const Error error = Patched([&](const fb::Program&, const fb::ExecutionPlan& plan) {
      Set(first(plan), fb::Instruction::VT_INSTR_ARGS_TYPE, kind);
    });
    ExpectError(error, Reason::kInstructionKind, -1, "unknown");
    EXPECT_EQ(error.instruction, 0u);
    EXPECT_EQ(error.method, 0u);
  }
  ExpectError(Patched([&](const fb::Program&, const fb::ExecutionPlan& plan) {
                Remove(plan, first(plan), fb::Instruction::VT_INSTR_ARGS);
              }),
              Reason::kInstructionKind, -1, "no arguments");
}

TEST(Validator, Calls) {
  EXPECT_EDITED(kOperatorIndex, -1, Args(plan, kKernel).AsKernelCall()->op_index = -1);
  EXPECT_EDITED(kOperatorIndex, -1, Args(plan, kKernel).AsKernelCall()->op_index = 1);
  EXPECT_EDITED(kInstructionArgument, -1, Args(plan, kKernel).AsKernelCall()->args[0] = -1);
  EXPECT_EDITED(kInstructionArgument, -1, Args(plan, kKernel).AsKernelCall()->args[2] = kCount);
  EXPECT_EDITED(kDelegateIndex, -1, Args(plan, kDelegate).AsDelegateCall()->delegate_index = -1);
  EXPECT_EDITED(kDelegateIndex, -1, Args(plan, kDelegate).AsDelegateCall()->delegate_index = 2);
  EXPECT_EDITED(kInstructionArgument, -1, Args(plan, kDelegate).AsDelegateCall()->args[1] = kCount);
  const auto remove = [](uint32_t instruction, flatbuffers::voffset_t field) {
    return Patched([&](const fb::Program&, const fb::ExecutionPlan& plan) {
      const auto* i = plan.chains()->Get(0)->instructions()->Get(instruction);
      Remove(plan, *static_cast<const flatbuffers::Table*>(i->instr_args()), field);
    });
  };
  for (const Error& error :
       {remove(kKernel, fb::KernelCall::VT_ARGS), remove(kDelegate, fb::DelegateCall::VT_ARGS)}) {
    ExpectError(error, Reason::kMissingField, 0, "no list of arguments");
    EXPECT_EQ(error.argument, 1);  // of an instruction
  }
}

TEST(Validator, Moves) {
  const auto move = [](int32_t from, int32_t to) {
    return Edited([&](fb::ProgramT&, fb::ExecutionPlanT& plan) {
      Args(plan, kMove).AsMoveCall()->move_from = from;
      Args(plan, kMove).AsMoveCall()->move_to = to;
    });
  };
  ExpectError(move(-1, kY), Reason::kInstructionArgument, -1, "from nowhere");
  ExpectError(move(kX, kCount), Reason::kInstructionArgument, -1, "to nowhere");
  ExpectError(move(kInt, kNull), Reason::kOk, -1, "scalars");
  ExpectError(move(kDouble, kBool), Reason::kOk, -1, "scalars");
  ExpectError(move(kInt, kX), Reason::kMoveKinds, -1, "a scalar to a tensor");
  ExpectError(move(kX, kInt), Reason::kMoveKinds, -1, "a tensor to a scalar");
  ExpectError(move(kString, kString), Reason::kMoveKinds, -1, "strings");
  ExpectError(move(kIntList, kIntList), Reason::kMoveKinds, -1, "lists");
  ExpectError(move(kLongs, kX), Reason::kMoveKinds, -1, "another dtype");
  ExpectError(move(kFlat, kX), Reason::kMoveKinds, -1, "another rank");
  ExpectError(move(kTurned, kX), Reason::kMoveKinds, -1, "another order of dimensions");
}

TEST(Validator, Jumps) {
  const auto jump = [](int32_t condition, int32_t destination) {
    return Edited([&](fb::ProgramT&, fb::ExecutionPlanT& plan) {
      Args(plan, kJump).AsJumpFalseCall()->cond_value_index = condition;
      Args(plan, kJump).AsJumpFalseCall()->destination_instruction = destination;
    });
  };
  ExpectError(jump(-1, 0), Reason::kInstructionArgument, -1, "no condition");
  ExpectError(jump(kBool, -1), Reason::kJumpTarget, -1, "in front of the start");
  ExpectError(jump(kBool, 6), Reason::kJumpTarget, -1, "behind the end");
  ExpectError(jump(kBool, 5), Reason::kOk, -1, "to the end");
  ExpectError(jump(kMask, 0), Reason::kOk, -1, "a tensor of bool");
  ExpectError(jump(kInt, 0), Reason::kOk, -1, "a slot for a result");
  ExpectError(jump(kX, 0), Reason::kJumpCondition, -1, "a tensor of float");
  ExpectError(jump(kDouble, 0), Reason::kJumpCondition, -1, "a double");
}

TEST(Validator, Frees) {
  EXPECT_EDITED(kInstructionArgument, -1, Args(plan, kFree).AsFreeCall()->value_index = kCount);
  EXPECT_EDITED(kFreeKind, -1, Args(plan, kFree).AsFreeCall()->value_index = kInt);
}

// What is read once is charged once: lists that lie on top of each other are refused.
TEST(Validator, OverlappingVectors) {
  const File sound = Sound();
  fb::ProgramT program;
  fb::GetProgram(sound.data())->UnPackTo(&program);
  fb::ChainT& chain = *program.execution_plan[0]->chains[0];
  chain.instructions.clear();
  for (size_t i = 0; i < 1000; ++i) {
    fb::KernelCallT call;
    if (i == 0) call.args.resize(1000);
    chain.instructions.push_back(std::make_unique<fb::InstructionT>());
    chain.instructions.back()->instr_args.Set(call);
  }
  File file = hostile::Repack(program, sound);
  EXPECT_TRUE(Load(file).ok());
  const auto& instructions =
      *fb::GetProgram(file.data())->execution_plan()->Get(0)->chains()->Get(0)->instructions();
  const auto* shared =
      reinterpret_cast<const uint8_t*>(instructions.Get(0)->instr_args_as_KernelCall()->args());
  for (const fb::Instruction* i : instructions) {
    const auto& call = *reinterpret_cast<const flatbuffers::Table*>(i->instr_args());
    const uint8_t* field = call.GetAddressOf(fb::KernelCall::VT_ARGS);
    ASSERT_NE(field, nullptr);
    Set(*i->instr_args_as_KernelCall(), fb::KernelCall::VT_ARGS,
        static_cast<uint32_t>(shared - field));
  }
  ExpectError(Load(file), Reason::kRepeatedVectors, -1, "a thousand times the same vector");
}

TEST(Validator, MisalignedVectors) {
  // The list of positions [1], read from 4 bytes on: its length is the low half of its item.
  EXPECT_PATCHED(kVectorMisaligned, -1,
                 const auto* list = reinterpret_cast<const flatbuffers::Table*>(
                     plan.values()->Get(kIntList)->val());
                 const uint8_t* field = list->GetAddressOf(fb::IntList::VT_ITEMS);
                 Set(*list, fb::IntList::VT_ITEMS, ReadUnaligned<uint32_t>(field) + 4));
}

// The header.

File WithHeader(size_t at, uint64_t value, size_t bytes = 8) {
  File file = Sound();
  std::memcpy(file.data() + at, &value, bytes);
  return file;
}

TEST(ProgramHeader, IsChecked) {
  const File sound = Sound();
  const hostile::FileParts parts = hostile::PartsOf(sound);
  ASSERT_GT(parts.segment_base, parts.metadata);
  EXPECT_EQ(Load({}).reason, Reason::kTooShort);
  EXPECT_EQ(Load(File(sound.begin(), sound.begin() + 63)).reason, Reason::kTooShort);
  EXPECT_EQ(Load(WithHeader(4, 0x30305445, 4)).reason, Reason::kOtherFormatVersion);  // ET00
  EXPECT_EQ(Load(WithHeader(4, 0x21544550, 4)).reason, Reason::kMagic);
  EXPECT_EQ(Load(WithHeader(12, 23, 4)).reason, Reason::kHeaderLength);
  EXPECT_EQ(Load(WithHeader(16, 63)).reason, Reason::kHeaderSizes);
  EXPECT_EQ(Load(WithHeader(16, sound.size() + 1)).reason, Reason::kProgramTruncated);
  EXPECT_EQ(Load(WithHeader(16, UINT64_MAX)).reason, Reason::kProgramTruncated);
  EXPECT_EQ(Load(WithHeader(24, parts.metadata - 1)).reason, Reason::kSegmentBase);
  EXPECT_EQ(Load(WithHeader(24, sound.size() + 128)).reason, Reason::kSegmentsTruncated);
  EXPECT_EQ(Load(WithHeader(24, UINT64_MAX)).reason, Reason::kSegmentsTruncated);
  EXPECT_EQ(Load(WithHeader(32, sound.size())).reason, Reason::kSegmentsTruncated);
  EXPECT_EQ(Load(WithHeader(32, UINT64_MAX)).reason, Reason::kSegmentsTruncated);
  EXPECT_EQ(Load(WithHeader(24, 0)).reason, Reason::kSegmentRange);  // segments, but no place
  EXPECT_EQ(Load(WithHeader(12, 24, 4)).reason, Reason::kOk);  // the short header of old files
  EXPECT_EQ(Load(WithHeader(0, 0x7fffffff, 4)).reason, Reason::kFlatBuffer);
}

TEST(ProgramHeader, SizesThatFlatBuffersCannotHold) {
  // A file that long, as far as the header can tell.
  File head = WithHeader(16, uint64_t{1} << 31);
  EXPECT_EQ(Program::MetadataBytes(head, uint64_t{1} << 40).error().reason, Reason::kFileTooLarge);
  head = WithHeader(16, (uint64_t{1} << 31) - 2);
  EXPECT_TRUE(Program::MetadataBytes(head, uint64_t{1} << 40).ok() ||
              Program::MetadataBytes(head, uint64_t{1} << 40).error().reason ==
                  Reason::kSegmentBase);
}

TEST(Program, WantsAlignedMemoryAndRoom) {
  const File sound = Sound();
  std::vector<uint64_t> words(sound.size() / 8 + 8);
  auto* const data =
      reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(words.data()) + 15) / 16 * 16);
  std::memcpy(data + 8, sound.data(), sound.size());
  EXPECT_EQ(Program::LoadInPlace({data + 8, sound.size()}).error().reason,
            Reason::kInputMisaligned);
  std::memcpy(data, sound.data(), sound.size());
  std::vector<uint64_t> memory(hostile::PartsOf(sound).metadata / 8);
  Arena arena(memory.data(), memory.size() * 8 - 8);
  EXPECT_EQ(Program::Load({data, sound.size()}, arena).error().reason, Reason::kMetadataArena);
}

TEST(Program, FindsKeysWhetherSortedOrNot) {
  for (const bool sorted : {true, false}) {
    const File sound = Sound();
    fb::ProgramT program;
    fb::GetProgram(sound.data())->UnPackTo(&program);
    for (const char* key : {"c", "b", "d"}) {
      program.named_data.push_back(std::make_unique<fb::NamedDataT>());
      program.named_data.back()->key = key;
    }
    if (sorted) std::swap(program.named_data[1], program.named_data[2]);
    const File file = hostile::Repack(program, sound);
    std::vector<uint64_t> words(file.size() / 8 + 8);
    auto* const data =
        reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(words.data()) + 15) / 16 * 16);
    std::memcpy(data, file.data(), file.size());
    const Result<Program> loaded = Program::LoadInPlace({data, file.size()});
    ASSERT_TRUE(loaded.ok());
    NamedBytes found;
    for (const char* key : {"a", "b", "c", "d"}) {
      EXPECT_TRUE(loaded->named_data_map().Find(key, &found).ok()) << key;
    }
    for (const char* key : {"", "bb", "e"}) {
      EXPECT_EQ(loaded->named_data_map().Find(key, &found).reason, Reason::kKeyNotFound) << key;
    }
    EXPECT_EQ(loaded->FindMethod("other").error().reason, Reason::kMethodNotFound);
  }
}

}  // namespace
}  // namespace rushlight
