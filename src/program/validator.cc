// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/program/validator.h"

#include "rushlight/tensor.h"

namespace rushlight {
namespace {

using flatbuffers::uoffset_t;

// Which table a missing field belongs to: Error::argument of Reason::kMissingField, absent for the
// plan itself.
enum Table : uint16_t { kChain, kInstruction };

// A program under check.  Vectors are charged against a budget: a sound file has each of them once,
// so that overlapping ones, which would make loading quadratic, are refused.
class ProgramChecker {
 public:
  ProgramChecker(const fb::Program& program, const FileLayout& layout)
      : program_(program), layout_(layout), vector_budget_(4 * uint64_t{layout.metadata_bytes}) {}

  Error Run() {
    RL_CHECK(program_.version() == 0, Reason::kProgramVersion, Error::kNone, program_.version());
    RL_RETURN_IF_ERROR(CheckSegments(program_.segments(), layout_.segment_limit));
    RL_RETURN_IF_ERROR(CheckNamedData());
    RL_RETURN_IF_ERROR(CheckSubsegments(program_.constant_segment(), 0));
    if (SizeOf(program_.mutable_data_segments()) > 0) {  // only the first is ever used
      RL_RETURN_IF_ERROR(CheckSubsegments(program_.mutable_data_segments()->Get(0), 1));
    }
    const auto* plans = program_.execution_plan();
    RL_CHECK(SizeOf(plans) > 0, Reason::kNoMethods);
    RL_RETURN_IF_ERROR(Charge(plans));
    for (uoffset_t m = 0; m < plans->size(); ++m) {
      const Error error = CheckPlan(*plans->Get(m), m);
      if (!error.ok()) return error.InMethod(m);
    }
    return kOk;
  }

 private:
  template <class T>
  Error Charge(const flatbuffers::Vector<T>* vector) {
    return Charge(vector->Data(), vector->size(), sizeof(T));
  }
  Error Charge(const void* items, uoffset_t count, size_t item_bytes) {
    const uint64_t bytes = uint64_t{count} * item_bytes;
    RL_CHECK(bytes <= vector_budget_, Reason::kRepeatedVectors, Error::kNone, Signed(bytes),
             Signed(vector_budget_));
    vector_budget_ -= bytes;
    // FlatBuffers' verifier checks a vector's length field, not the alignment of its elements.
    RL_CHECK(reinterpret_cast<uintptr_t>(items) % item_bytes == 0, Reason::kVectorMisaligned);
    return kOk;
  }

  Error CheckNamedData() const {
    for (uoffset_t i = 0; i < SizeOf(program_.named_data()); ++i) {
      const fb::NamedData& d = *program_.named_data()->Get(i);
      RL_RETURN_IF_ERROR(CheckNamed(d.key(), d.segment_index(), program_.segments(), i));
    }
    return kOk;
  }

  Error CheckSubsegments(const fb::SubsegmentOffsets* s, uint32_t which) {
    if (s == nullptr || s->offsets() == nullptr || s->offsets()->size() <= 1) return kOk;
    RL_CHECK(s->segment_index() < SizeOf(program_.segments()), Reason::kSegmentIndex, which,
             s->segment_index(), Signed(SizeOf(program_.segments())));
    RL_RETURN_IF_ERROR(Charge(s->offsets()));
    const uint64_t size = program_.segments()->Get(s->segment_index())->size();
    for (uoffset_t i = 1; i < s->offsets()->size(); ++i) {
      RL_CHECK(s->offsets()->Get(i) <= size, Reason::kConstantOffset, i,
               Signed(s->offsets()->Get(i)), Signed(size));
    }
    return kOk;
  }

  Error CheckPlan(const fb::ExecutionPlan& plan, uoffset_t index) {
    RL_CHECK(plan.name() != nullptr && plan.name()->size() > 0, Reason::kMethodName, index);
    RL_CHECK(plan.name()->size() <= kMaxNameLength, Reason::kNameTooLong, index,
             plan.name()->size(), kMaxNameLength);
    for (uoffset_t m = 0; m < index; ++m) {
      RL_CHECK(View(program_.execution_plan()->Get(m)->name()) != View(plan.name()),
               Reason::kDuplicateMethod, index, m);
    }
    const void* required[] = {plan.values(), plan.inputs(), plan.outputs(), plan.chains(),
                              plan.non_const_buffer_sizes()};
    for (uint32_t f = 0; f < 5; ++f) {
      RL_CHECK(required[f] != nullptr, Reason::kMissingField, f);
    }
    RL_RETURN_IF_ERROR(CheckMemory(plan));
    RL_RETURN_IF_ERROR(Charge(plan.values()));
    for (uoffset_t v = 0; v < plan.values()->size(); ++v) {
      RL_RETURN_IF_ERROR(CheckValue(plan, v));
    }
    RL_RETURN_IF_ERROR(CheckEnds(plan, *plan.inputs(), Reason::kPlanInput, Reason::kPlanInputKind));
    RL_RETURN_IF_ERROR(
        CheckEnds(plan, *plan.outputs(), Reason::kPlanOutput, Reason::kPlanOutputKind));
    RL_RETURN_IF_ERROR(CheckOperators(plan));
    RL_RETURN_IF_ERROR(CheckDelegates(plan));
    return CheckChains(plan);
  }

  Error CheckMemory(const fb::ExecutionPlan& plan) {
    const auto& sizes = *plan.non_const_buffer_sizes();
    RL_CHECK(sizes.size() > 0, Reason::kMissingField, 4);
    RL_RETURN_IF_ERROR(Charge(&sizes));
    for (uoffset_t id = 1; id < sizes.size(); ++id) {
      RL_CHECK(sizes.Get(id) >= 0 && static_cast<uint64_t>(sizes.Get(id)) <= PTRDIFF_MAX,
               Reason::kMemorySize, id, sizes.Get(id));
    }
    for (uoffset_t i = 0; i < SizeOf(plan.non_const_buffer_device()); ++i) {
      const fb::NonConstBufferDevice& d = *plan.non_const_buffer_device()->Get(i);
      RL_CHECK(d.device_type() == fb::DeviceType_CPU, Reason::kMemoryDevice, i, d.device_type());
    }
    return kOk;
  }

  Error CheckValue(const fb::ExecutionPlan& plan, uoffset_t v) {
    const fb::EValue& value = *plan.values()->Get(v);
    RL_CHECK(value.val_type() >= fb::KernelTypes_Null && value.val_type() <= fb::KernelTypes_MAX,
             Reason::kValueKind, v, value.val_type());
    if (value.val_type() == fb::KernelTypes_Null) return kOk;
    RL_CHECK(value.val() != nullptr, Reason::kValueNull, v);
    switch (value.val_type()) {
      case fb::KernelTypes_Tensor:
        return CheckTensor(plan, *value.val_as_Tensor(), v);
      case fb::KernelTypes_String:
        return CheckPresent(value.val_as_String()->string_val(), v);
      case fb::KernelTypes_IntList:
        return CheckIntList(plan, value.val_as_IntList()->items(), v);
      case fb::KernelTypes_DoubleList:
        RL_RETURN_IF_ERROR(CheckPresent(value.val_as_DoubleList()->items(), v));
        return Charge(value.val_as_DoubleList()->items());
      case fb::KernelTypes_BoolList:
        return CheckPresent(value.val_as_BoolList()->items(), v);
      case fb::KernelTypes_TensorList:
        return CheckTensorList(plan, value.val_as_TensorList()->items(), v, false);
      case fb::KernelTypes_OptionalTensorList:
        return CheckTensorList(plan, value.val_as_OptionalTensorList()->items(), v, true);
      default:
        return kOk;
    }
  }

  static Error CheckPresent(const void* field, uoffset_t v) {
    RL_CHECK(field != nullptr, Reason::kValueNull, v);
    return kOk;
  }

  Error CheckTensor(const fb::ExecutionPlan& plan, const fb::Tensor& t, uoffset_t v) {
    RL_CHECK(t.layout() == 0, Reason::kTensorLayout, v, t.layout());
    RL_CHECK(t.storage_offset() == 0, Reason::kTensorStorageOffset, v, t.storage_offset());
    RL_ASSIGN_OR_RETURN(const uint64_t bytes,
                        CheckShape(t.scalar_type(), t.sizes(), t.dim_order(), v));
    RL_CHECK(t.shape_dynamism() != fb::TensorShapeDynamism_DYNAMIC_UNBOUND,
             Reason::kUnboundedTensor, v);
    RL_CHECK(t.shape_dynamism() == fb::TensorShapeDynamism_STATIC ||
                 t.shape_dynamism() == fb::TensorShapeDynamism_DYNAMIC_BOUND,
             Reason::kTensorDynamism, v, t.shape_dynamism());
    RL_RETURN_IF_ERROR(CheckExtra(t.extra_tensor_info(), v));
    // Storage: planned memory, a constant, a caller's pointer, or an external file.
    if (t.allocation_info() != nullptr) RL_RETURN_IF_ERROR(CheckPlanned(plan, t, v, bytes));
    if (t.data_buffer_idx() == 0 || IsExternal(t)) return kOk;
    if (t.allocation_info() == nullptr) {
      return CheckStored(program_.constant_segment(), t, v, bytes, true);
    }
    return CheckStored(SizeOf(program_.mutable_data_segments()) == 0
                           ? nullptr
                           : program_.mutable_data_segments()->Get(0),
                       t, v, bytes, false);
  }

  static Error CheckExtra(const fb::ExtraTensorInfo* extra, uoffset_t v) {
    if (extra == nullptr) return kOk;
    RL_CHECK(extra->device_type() == fb::DeviceType_CPU, Reason::kTensorDevice, v,
             extra->device_type());
    RL_CHECK(extra->location() == fb::TensorDataLocation_SEGMENT ||
                 extra->location() == fb::TensorDataLocation_EXTERNAL,
             Reason::kTensorLayout, v, extra->location());
    const flatbuffers::String* name = extra->fully_qualified_name();
    RL_CHECK(extra->location() == fb::TensorDataLocation_SEGMENT || name != nullptr,
             Reason::kTensorName, v);
    RL_CHECK(name == nullptr || name->size() <= kMaxNameLength, Reason::kNameTooLong, v,
             Signed(name->size()), kMaxNameLength);
    return kOk;
  }

  // Elements of 1, 2, 4, 8 bytes lie at multiples of their size; larger ones at those of 8.
  static bool IsAligned(const fb::Tensor& t, uint64_t offset) {
    const size_t size = ElementSize(static_cast<DType>(t.scalar_type()));
    return (offset & ((size < 8 ? size : 8) - 1)) == 0;
  }

  static Error CheckPlanned(const fb::ExecutionPlan& plan, const fb::Tensor& t, uoffset_t v,
                            uint64_t bytes) {
    const fb::AllocationDetails& a = *t.allocation_info();
    const auto& sizes = *plan.non_const_buffer_sizes();
    RL_CHECK(a.memory_id() > 0 && a.memory_id() < sizes.size(), Reason::kMemoryId, v, a.memory_id(),
             sizes.size());
    const auto limit = static_cast<uint64_t>(sizes.Get(a.memory_id()));
    const uint64_t offset = MemoryOffset(a);
    RL_CHECK(offset <= limit && bytes <= limit - offset, Reason::kMemoryRange, v,
             Signed(offset + bytes), Signed(limit));
    RL_CHECK(IsAligned(t, offset), Reason::kMemoryAlignment, v, Signed(offset));
    return kOk;
  }

  Error CheckStored(const fb::SubsegmentOffsets* s, const fb::Tensor& t, uoffset_t v,
                    uint64_t bytes, bool used_in_place) const {
    const uoffset_t entries = s == nullptr ? 0 : static_cast<uoffset_t>(SizeOf(s->offsets()));
    RL_CHECK(t.data_buffer_idx() < entries, Reason::kTensorData, v, t.data_buffer_idx(), entries);
    const fb::DataSegment& segment = *program_.segments()->Get(s->segment_index());
    const uint64_t offset = s->offsets()->Get(t.data_buffer_idx());
    RL_CHECK(bytes <= segment.size() - offset, Reason::kTensorDataRange, v, Signed(offset + bytes),
             Signed(segment.size()));
    if (used_in_place) {
      RL_CHECK(IsAligned(t, layout_.segment_base + segment.offset() + offset),
               Reason::kTensorDataAlignment, v, Signed(offset));
    }
    return kOk;
  }

  Error CheckIntList(const fb::ExecutionPlan& plan, const flatbuffers::Vector<int64_t>* items,
                     uoffset_t v) {
    RL_RETURN_IF_ERROR(CheckPresent(items, v));
    RL_RETURN_IF_ERROR(Charge(items));
    const auto count = static_cast<int64_t>(plan.values()->size());
    for (uoffset_t i = 0; i < items->size(); ++i) {
      const int64_t item = items->Get(i);
      RL_CHECK(item >= 0 && item < count, Reason::kListItem, v, item, count, i);
      const auto kind = plan.values()->Get(static_cast<uoffset_t>(item))->val_type();
      RL_CHECK(kind == fb::KernelTypes_Int, Reason::kListItemKind, v, kind, 0, i);
    }
    return kOk;
  }

  Error CheckTensorList(const fb::ExecutionPlan& plan, const flatbuffers::Vector<int32_t>* items,
                        uoffset_t v, bool optional) {
    RL_RETURN_IF_ERROR(CheckPresent(items, v));
    RL_RETURN_IF_ERROR(Charge(items));
    const auto count = static_cast<int64_t>(plan.values()->size());
    for (uoffset_t i = 0; i < items->size(); ++i) {
      const int32_t item = items->Get(i);
      if (optional && item == -1) continue;
      RL_CHECK(item >= 0 && item < count, Reason::kListItem, v, item, count, i);
      const auto kind = plan.values()->Get(static_cast<uoffset_t>(item))->val_type();
      RL_CHECK(kind == fb::KernelTypes_Tensor || (optional && kind == fb::KernelTypes_Null),
               Reason::kListItemKind, v, kind, 0, i);
    }
    return kOk;
  }

  Error CheckEnds(const fb::ExecutionPlan& plan, const flatbuffers::Vector<int32_t>& ends,
                  Reason range, Reason kind) {
    RL_RETURN_IF_ERROR(Charge(&ends));
    const uoffset_t count = plan.values()->size();
    for (uoffset_t i = 0; i < ends.size(); ++i) {
      const int32_t v = ends.Get(i);
      RL_CHECK(v >= 0 && static_cast<uoffset_t>(v) < count, range, i, v, count);
      const auto type = plan.values()->Get(static_cast<uoffset_t>(v))->val_type();
      RL_CHECK(type <= fb::KernelTypes_String, kind, i, type);  // no lists
    }
    return kOk;
  }

  Error CheckOperators(const fb::ExecutionPlan& plan) {
    for (uoffset_t i = 0; i < SizeOf(plan.operators()); ++i) {
      const fb::Operator& op = *plan.operators()->Get(i);
      RL_CHECK(op.name() != nullptr, Reason::kOperatorName, i);
      const size_t length =
          op.name()->size() + (op.overload() != nullptr ? op.overload()->size() + 1 : 0);
      RL_CHECK(length <= kMaxOperatorNameLength, Reason::kNameTooLong, i, Signed(length),
               kMaxOperatorNameLength);
    }
    return kOk;
  }

  Error CheckDelegates(const fb::ExecutionPlan& plan) {
    for (uoffset_t i = 0; i < SizeOf(plan.delegates()); ++i) {
      const fb::BackendDelegate& d = *plan.delegates()->Get(i);
      RL_CHECK(d.id() != nullptr && d.id()->size() <= kMaxNameLength, Reason::kDelegateId, i);
      const fb::BackendDelegateDataReference* data = d.processed();
      RL_CHECK(data != nullptr, Reason::kDelegateData, i);
      if (data->location() == fb::DataLocation_INLINE) {
        const size_t count = SizeOf(program_.backend_delegate_data());
        RL_CHECK(data->index() < count, Reason::kDelegateData, i, data->index(), Signed(count));
      } else {
        RL_CHECK(data->location() == fb::DataLocation_SEGMENT &&
                     data->index() < SizeOf(program_.segments()),
                 Reason::kDelegateData, i, data->index(), Signed(SizeOf(program_.segments())));
      }
      if (d.compile_specs() != nullptr) RL_RETURN_IF_ERROR(Charge(d.compile_specs()));
      for (uoffset_t k = 0; k < SizeOf(d.compile_specs()); ++k) {
        const fb::CompileSpec& spec = *d.compile_specs()->Get(k);
        RL_CHECK(spec.key() != nullptr && spec.value() != nullptr, Reason::kCompileSpec, i, 0, 0,
                 k);
      }
    }
    return kOk;
  }

  Error CheckChains(const fb::ExecutionPlan& plan) {
    RL_CHECK(plan.chains()->size() > 0, Reason::kMissingField, 3);
    uint32_t position = 0;  // instructions of all chains are numbered through
    for (uoffset_t c = 0; c < plan.chains()->size(); ++c) {
      const auto* instructions = plan.chains()->Get(c)->instructions();
      RL_CHECK(instructions != nullptr, Reason::kMissingField, 0, 0, 0, kChain);
      RL_RETURN_IF_ERROR(Charge(instructions));
      for (uoffset_t i = 0; i < instructions->size(); ++i, ++position) {
        const Error error = CheckInstruction(plan, *instructions->Get(i), instructions->size());
        if (!error.ok()) return error.AtInstruction(position);
      }
    }
    return kOk;
  }

  Error CheckInstruction(const fb::ExecutionPlan& plan, const fb::Instruction& instruction,
                         uoffset_t chain_length) {
    const auto kind = instruction.instr_args_type();
    RL_CHECK(kind >= fb::InstructionArguments_KernelCall && kind <= fb::InstructionArguments_MAX &&
                 instruction.instr_args() != nullptr,
             Reason::kInstructionKind, Error::kNone, kind);
    switch (kind) {
      case fb::InstructionArguments_KernelCall: {
        const auto& call = *instruction.instr_args_as_KernelCall();
        const auto count = static_cast<int64_t>(SizeOf(plan.operators()));
        RL_CHECK(call.op_index() >= 0 && call.op_index() < count, Reason::kOperatorIndex,
                 Error::kNone, call.op_index(), count);
        return CheckArguments(plan, call.args());
      }
      case fb::InstructionArguments_DelegateCall: {
        const auto& call = *instruction.instr_args_as_DelegateCall();
        const auto count = static_cast<int64_t>(SizeOf(plan.delegates()));
        RL_CHECK(call.delegate_index() >= 0 && call.delegate_index() < count,
                 Reason::kDelegateIndex, Error::kNone, call.delegate_index(), count);
        return CheckArguments(plan, call.args());
      }
      case fb::InstructionArguments_MoveCall: {
        const auto& call = *instruction.instr_args_as_MoveCall();
        RL_RETURN_IF_ERROR(CheckPosition(plan, call.move_from(), 0));
        RL_RETURN_IF_ERROR(CheckPosition(plan, call.move_to(), 1));
        return CheckMove(*plan.values()->Get(static_cast<uoffset_t>(call.move_from())),
                         *plan.values()->Get(static_cast<uoffset_t>(call.move_to())));
      }
      case fb::InstructionArguments_JumpFalseCall: {
        const auto& call = *instruction.instr_args_as_JumpFalseCall();
        RL_RETURN_IF_ERROR(CheckPosition(plan, call.cond_value_index(), 0));
        RL_CHECK(call.destination_instruction() >= 0 &&
                     static_cast<uoffset_t>(call.destination_instruction()) <= chain_length,
                 Reason::kJumpTarget, Error::kNone, call.destination_instruction(), chain_length);
        return CheckCondition(*plan.values()->Get(static_cast<uoffset_t>(call.cond_value_index())));
      }
      default: {
        const auto& call = *instruction.instr_args_as_FreeCall();
        RL_RETURN_IF_ERROR(CheckPosition(plan, call.value_index(), 0));
        const auto type =
            plan.values()->Get(static_cast<uoffset_t>(call.value_index()))->val_type();
        RL_CHECK(type == fb::KernelTypes_Tensor, Reason::kFreeKind, Error::kNone, type);
        return kOk;
      }
    }
  }

  static Error CheckPosition(const fb::ExecutionPlan& plan, int32_t v, size_t argument) {
    const uoffset_t count = plan.values()->size();
    RL_CHECK(v >= 0 && static_cast<uoffset_t>(v) < count, Reason::kInstructionArgument,
             Error::kNone, v, count, argument);
    return kOk;
  }

  Error CheckArguments(const fb::ExecutionPlan& plan, const flatbuffers::Vector<int32_t>* args) {
    RL_CHECK(args != nullptr, Reason::kMissingField, 0, 0, 0, kInstruction);
    RL_RETURN_IF_ERROR(Charge(args));
    for (uoffset_t i = 0; i < args->size(); ++i) {
      RL_RETURN_IF_ERROR(CheckPosition(plan, args->Get(i), i));
    }
    return kOk;
  }

  // Operators were prepared for the dtype, rank and order of a tensor slot; a move must not change
  // them.  Scalars may replace each other: their kind is looked at whenever they are used.
  static Error CheckMove(const fb::EValue& from, const fb::EValue& to) {
    const auto group = [](fb::KernelTypes t) {
      return t <= fb::KernelTypes_Double ? fb::KernelTypes_Null : t;
    };
    RL_CHECK(group(from.val_type()) == group(to.val_type()), Reason::kMoveKinds, Error::kNone,
             from.val_type(), to.val_type());
    if (from.val_type() != fb::KernelTypes_Tensor) return kOk;
    const fb::Tensor& a = *from.val_as_Tensor();
    const fb::Tensor& b = *to.val_as_Tensor();
    RL_CHECK(a.scalar_type() == b.scalar_type(), Reason::kMoveKinds, Error::kNone, a.scalar_type(),
             b.scalar_type());
    RL_CHECK(a.sizes()->size() == b.sizes()->size(), Reason::kMoveKinds, Error::kNone,
             a.sizes()->size(), b.sizes()->size());
    for (uoffset_t d = 0; d < a.dim_order()->size(); ++d) {
      RL_CHECK(a.dim_order()->Get(d) == b.dim_order()->Get(d), Reason::kMoveKinds, Error::kNone,
               a.dim_order()->Get(d), b.dim_order()->Get(d));
    }
    return kOk;
  }

  static Error CheckCondition(const fb::EValue& value) {
    const bool fits = value.val_type() == fb::KernelTypes_Bool ||
                      (value.val_type() == fb::KernelTypes_Tensor &&
                       value.val_as_Tensor()->scalar_type() == fb::ScalarType_BOOL) ||
                      value.val_type() == fb::KernelTypes_Int;  // a result slot not written yet
    RL_CHECK(fits, Reason::kJumpCondition, Error::kNone, value.val_type());
    return kOk;
  }

  const fb::Program& program_;
  const FileLayout& layout_;
  uint64_t vector_budget_;
};

}  // namespace

Error ValidateProgram(const fb::Program* root, const FileLayout& layout) {
  return ProgramChecker(*root, layout).Run();
}

}  // namespace rushlight
