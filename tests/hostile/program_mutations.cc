// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Edits of a program in its meaning.

#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rushlight/ops.h"
#include "tests/hostile/mutator.h"

namespace rushlight::hostile {
namespace {

class Editor {
 public:
  Editor(fb::ProgramT& program, Random& random) : program_(program), random_(random) {}

  void EditOnce() {
    if (program_.execution_plan.empty()) return EditRoot();
    fb::ExecutionPlanT& plan = *Pick(program_.execution_plan);
    switch (random_.Below(10)) {
      case 0:
        return EditRoot();
      case 1:
        return EditPlan(plan);
      case 2:
      case 3:
      case 4:
      case 5:
        return EditValue(plan);
      case 6:
        return EditDelegate(plan);
      default:
        return EditInstruction(plan);
    }
  }

 private:
  template <class T>
  T& Pick(std::vector<T>& items) {
    return items[random_.Below(items.size())];
  }

  // A number at the edge of something, or one that may well be a legal position.
  template <class T>
  T Number() {
    return static_cast<T>(BoundaryNumber(random_));
  }
  int32_t Position(size_t count) {
    if (count == 0 || random_.Chance(0.3)) return Number<int32_t>();
    return static_cast<int32_t>(random_.Below(count));
  }

  // Changes a list: one item becomes another, or items come, go and change places.
  template <class T, class F>
  void EditList(std::vector<T>& items, F make) {
    switch (items.empty() ? 4 : random_.Below(6)) {
      case 0:
      case 1:
        Pick(items) = make();
        break;
      case 2:
        std::swap(Pick(items), Pick(items));
        break;
      case 3:
        items.erase(items.begin() + static_cast<ptrdiff_t>(random_.Below(items.size())));
        break;
      case 4:
        items.push_back(make());
        break;
      default:
        items.resize(random_.Below(2 * items.size()), make());
        break;
    }
  }
  // The same for tables: swapped, repeated, left out.  `Copy` makes one like another.
  template <class T>
  void EditTables(std::vector<std::unique_ptr<T>>& items) {
    if (items.empty()) {
      items.push_back(std::make_unique<T>());
      return;
    }
    switch (random_.Below(4)) {
      case 0:
        std::swap(Pick(items), Pick(items));
        break;
      case 1:
        items.erase(items.begin() + static_cast<ptrdiff_t>(random_.Below(items.size())));
        break;
      case 2: {
        auto copy = std::make_unique<T>(*Pick(items));
        items.insert(items.begin() + static_cast<ptrdiff_t>(random_.Below(items.size() + 1)),
                     std::move(copy));
        break;
      }
      default:
        items.push_back(std::make_unique<T>());
        break;
    }
  }

  std::string Text() {
    switch (random_.Below(4)) {
      case 0:
        return "";
      case 1:
        return std::string(random_.Below(2000), 'x');
      case 2:
        return std::string("\0\xff%n\n", 5);
      default:
        return "forward";
    }
  }

  void EditRoot() {
    switch (random_.Below(8)) {
      case 0:
        program_.version = Number<uint32_t>();
        break;
      case 1:
        if (!program_.segments.empty()) Pick(program_.segments)->offset = Number<uint64_t>();
        break;
      case 2:
        if (!program_.segments.empty()) Pick(program_.segments)->size = Number<uint64_t>();
        break;
      case 3:
        EditSubsegments(program_.constant_segment.get());
        break;
      case 4:
        if (!program_.mutable_data_segments.empty()) {
          EditSubsegments(program_.mutable_data_segments[0].get());
        }
        break;
      case 5:
        if (!program_.named_data.empty()) {
          fb::NamedDataT& d = *Pick(program_.named_data);
          if (random_.Chance(0.5)) {
            d.key = Text();
          } else {
            d.segment_index = static_cast<uint32_t>(Position(program_.segments.size()));
          }
        }
        break;
      case 6:
        EditTables(program_.segments);
        break;
      default:
        switch (random_.Below(3)) {
          case 0:
            EditTables(program_.execution_plan);
            break;
          case 1:
            EditTables(program_.named_data);
            break;
          default:
            EditTables(program_.backend_delegate_data);
            break;
        }
        break;
    }
  }

  void EditSubsegments(fb::SubsegmentOffsetsT* s) {
    if (s == nullptr) return;
    if (random_.Chance(0.3)) {
      s->segment_index = static_cast<uint32_t>(Position(program_.segments.size()));
    } else {
      EditList(s->offsets, [&] { return Number<uint64_t>(); });
    }
  }

  void EditPlan(fb::ExecutionPlanT& plan) {
    const auto value = [&] { return Position(plan.values.size()); };
    switch (random_.Below(9)) {
      case 0:
        plan.name = Text();
        break;
      case 1:
        EditList(plan.inputs, value);
        break;
      case 2:
        EditList(plan.outputs, value);
        break;
      case 3:
        EditList(plan.non_const_buffer_sizes, [&] { return Number<int64_t>(); });
        break;
      case 4:
        EditTables(plan.values);
        break;
      case 5:
        EditTables(plan.chains);
        break;
      case 6:
        EditTables(plan.operators);
        break;
      case 7:
        EditTables(plan.non_const_buffer_device);
        break;
      default:
        if (!plan.operators.empty()) RenameOperator(*Pick(plan.operators));
        break;
    }
  }

  // To any operator that there is, so that all of them meet all kinds of arguments.
  void RenameOperator(fb::OperatorT& op) {
    const Span<const Span<const Op>> tables = ops::AllOps();
    const Span<const Op> table = tables[random_.Below(tables.size())];
    const std::string name = table[random_.Below(table.size())].name;
    const size_t dot = name.find('.');
    op.name = name.substr(0, dot);
    op.overload = dot == std::string::npos ? "" : name.substr(dot + 1);
    if (random_.Chance(0.1)) op.overload += Text();
  }

  void EditValue(fb::ExecutionPlanT& plan) {
    if (plan.values.empty()) return;
    fb::EValueT& value = *Pick(plan.values);
    if (random_.Chance(0.15)) return ReplaceValue(plan, value);
    switch (value.val.type) {
      case fb::KernelTypes_Int:
        value.val.AsInt()->int_val = Number<int64_t>();
        break;
      case fb::KernelTypes_Bool:
        value.val.AsBool()->bool_val = !value.val.AsBool()->bool_val;
        break;
      case fb::KernelTypes_Double:
        value.val.AsDouble()->double_val = Real();
        break;
      case fb::KernelTypes_String:
        value.val.AsString()->string_val = Text();
        break;
      case fb::KernelTypes_Tensor:
        EditTensor(plan, *value.val.AsTensor());
        break;
      case fb::KernelTypes_IntList:
        EditList(value.val.AsIntList()->items,
                 [&] { return int64_t{Position(plan.values.size())}; });
        break;
      case fb::KernelTypes_DoubleList:
        EditList(value.val.AsDoubleList()->items, [&] { return Real(); });
        break;
      case fb::KernelTypes_BoolList:
        value.val.AsBoolList()->items.push_back(true);
        break;
      case fb::KernelTypes_TensorList:
        EditList(value.val.AsTensorList()->items, [&] { return Position(plan.values.size()); });
        break;
      case fb::KernelTypes_OptionalTensorList:
        EditList(value.val.AsOptionalTensorList()->items,
                 [&] { return random_.Chance(0.3) ? -1 : Position(plan.values.size()); });
        break;
      default:
        break;
    }
  }

  double Real() {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
    constexpr double kNumbers[] = {0.0,     -0.0,      1.0,        -1.0, 0.5,
                                   1e-300,  1e300,     -1e300,     1e18, 2147483648.0,
                                   -9.3e18, kInfinity, -kInfinity, kNaN};
    return random_.Choice(kNumbers);
  }

  // Another value of the plan, or a new one of some kind, in the place of this one.
  void ReplaceValue(fb::ExecutionPlanT& plan, fb::EValueT& value) {
    switch (random_.Below(7)) {
      case 0:
        value.val.Set(fb::NullT());
        break;
      case 1:
        value.val.Set(fb::IntT());
        break;
      case 2:
        value.val.Set(fb::DoubleT());
        break;
      case 3:
        value.val.Set(fb::IntListT());
        break;
      case 4:
        value.val.Set(fb::OptionalTensorListT());
        break;
      default: {
        const fb::EValueT copy = *Pick(plan.values);
        value = copy;
        break;
      }
    }
  }

  void EditTensor(fb::ExecutionPlanT& plan, fb::TensorT& t) {
    switch (random_.Below(14)) {
      case 0:
        t.scalar_type = random_.Chance(0.2) ? Number<fb::ScalarType>()
                                            : static_cast<fb::ScalarType>(random_.Below(30));
        break;
      case 1:
      case 2:
        if (!t.sizes.empty()) Pick(t.sizes) = Number<int32_t>();
        break;
      case 3:
        EditList(t.sizes, [&] { return Number<int32_t>(); });
        t.dim_order.resize(t.sizes.size());
        for (size_t d = 0; d < t.sizes.size(); ++d) t.dim_order[d] = static_cast<uint8_t>(d);
        break;
      case 4:
        if (!t.dim_order.empty()) std::swap(Pick(t.dim_order), Pick(t.dim_order));
        break;
      case 5:
        EditList(t.dim_order, [&] { return Number<uint8_t>(); });
        break;
      case 6:
        t.data_buffer_idx = Number<uint32_t>();
        break;
      case 7:
        if (t.allocation_info != nullptr) {
          t.allocation_info.reset();
        } else {
          t.allocation_info = std::make_unique<fb::AllocationDetailsT>();
          t.allocation_info->memory_id = 1;
        }
        break;
      case 8:
        if (t.allocation_info != nullptr) t.allocation_info->memory_id = Number<uint32_t>();
        break;
      case 9:
        if (t.allocation_info != nullptr) {
          t.allocation_info->memory_offset_low = random_.Chance(0.5)
                                                     ? static_cast<uint32_t>(random_.Below(32)) * 8
                                                     : Number<uint32_t>();
        }
        break;
      case 10:
        if (t.allocation_info != nullptr) {
          t.allocation_info->memory_offset_high = Number<uint32_t>();
        }
        break;
      case 11:
        t.shape_dynamism = static_cast<fb::TensorShapeDynamism>(random_.Below(4));
        break;
      case 12:
        t.extra_tensor_info = std::make_unique<fb::ExtraTensorInfoT>();
        t.extra_tensor_info->location = static_cast<fb::TensorDataLocation>(random_.Below(3));
        t.extra_tensor_info->device_type = static_cast<fb::DeviceType>(random_.Below(10) / 9);
        t.extra_tensor_info->fully_qualified_name = random_.Chance(0.5) ? "scale" : Text();
        break;
      default:
        (random_.Chance(0.5) ? t.storage_offset : *reinterpret_cast<int32_t*>(&t.data_buffer_idx)) =
            Number<int32_t>();
        break;
    }
    static_cast<void>(plan);
  }

  void EditInstruction(fb::ExecutionPlanT& plan) {
    if (plan.chains.empty()) return;
    auto& instructions = Pick(plan.chains)->instructions;
    if (instructions.empty() || random_.Chance(0.2)) return EditTables(instructions);
    fb::InstructionT& instruction = *Pick(instructions);
    const auto value = [&] { return Position(plan.values.size()); };
    if (random_.Chance(0.1)) {
      switch (random_.Below(3)) {
        case 0: {
          fb::MoveCallT move;
          move.move_from = value();
          move.move_to = value();
          instruction.instr_args.Set(move);
          return;
        }
        case 1: {
          fb::JumpFalseCallT jump;
          jump.cond_value_index = value();
          jump.destination_instruction = Position(instructions.size() + 1);
          instruction.instr_args.Set(jump);
          return;
        }
        default: {
          fb::FreeCallT call;
          call.value_index = value();
          instruction.instr_args.Set(call);
          return;
        }
      }
    }
    switch (instruction.instr_args.type) {
      case fb::InstructionArguments_KernelCall: {
        fb::KernelCallT& call = *instruction.instr_args.AsKernelCall();
        if (random_.Chance(0.2)) {
          call.op_index = Position(plan.operators.size());
        } else {
          EditList(call.args, value);
        }
        break;
      }
      case fb::InstructionArguments_DelegateCall: {
        fb::DelegateCallT& call = *instruction.instr_args.AsDelegateCall();
        if (random_.Chance(0.2)) {
          call.delegate_index = Position(plan.delegates.size());
        } else {
          EditList(call.args, value);
        }
        break;
      }
      case fb::InstructionArguments_MoveCall:
        (random_.Chance(0.5) ? instruction.instr_args.AsMoveCall()->move_from
                             : instruction.instr_args.AsMoveCall()->move_to) = value();
        break;
      case fb::InstructionArguments_JumpFalseCall:
        if (random_.Chance(0.5)) {
          instruction.instr_args.AsJumpFalseCall()->cond_value_index = value();
        } else {
          instruction.instr_args.AsJumpFalseCall()->destination_instruction =
              Position(instructions.size() + 1);
        }
        break;
      case fb::InstructionArguments_FreeCall:
        instruction.instr_args.AsFreeCall()->value_index = value();
        break;
      default:
        break;
    }
  }

  void EditDelegate(fb::ExecutionPlanT& plan) {
    if (plan.delegates.empty()) return EditInstruction(plan);
    fb::BackendDelegateT& d = *Pick(plan.delegates);
    switch (random_.Below(6)) {
      case 0:
        d.id = Text();
        break;
      case 1:
        if (d.processed != nullptr) d.processed->index = Number<uint32_t>();
        break;
      case 2:
        if (d.processed != nullptr) {
          d.processed->location = static_cast<fb::DataLocation>(random_.Below(3));
        }
        break;
      case 3:
        d.processed.reset();
        break;
      case 4:
        EditTables(d.compile_specs);
        break;
      default:
        if (!program_.backend_delegate_data.empty()) {
          auto& data = Pick(program_.backend_delegate_data);
          EditList(data->data, [&] { return Number<uint8_t>(); });
        }
        break;
    }
  }

  fb::ProgramT& program_;
  Random& random_;
};

}  // namespace

void MutateFields(fb::ProgramT& program, Random& random) { Editor(program, random).EditOnce(); }

}  // namespace rushlight::hostile
