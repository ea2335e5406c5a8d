// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/method.h"

#include <cstring>

#include "rushlight/platform.h"
#include "src/program/schema.h"
#include "src/runtime/footprint.h"

namespace rushlight {

using flatbuffers::uoffset_t;

struct Method::Instruction {
  const Op* op;         // of a kernel call
  const int32_t* args;  // [num_args] positions in the value table
  uint32_t num_args;
  fb::InstructionArguments kind;
  uint32_t a;         // delegate; value moved, tested or freed
  uint32_t b;         // value moved to; instruction jumped to
  Prepared prepared;  // of a kernel call
};

struct Method::LoadedDelegate {
  const Delegate* row;
  const void* plan;
  uint32_t first_state;
  uint32_t num_states;
  size_t capacity;     // positions that the state buffers hold
  uint32_t arguments;  // of each call
  bool called;
};

struct Method::Output {
  Tensor* tensor;  // the declared one; null for scalars
  void* data;      // from SetOutput
  size_t bytes;
};

namespace {

constexpr size_t kPlannedAlignment = 16;

const fb::ExecutionPlan& PlanOf(const MethodMeta& meta) {
  return *static_cast<const fb::ExecutionPlan*>(meta.plan());
}

// The arrays of a method arena, before anything is in them.
struct Arrays {
  int64_t* ints;
  IntListValue* int_lists;
  TensorListValue* tensor_lists;
  std::string_view* strings;
  Span<const double>* double_lists;
  Span<const Bool8>* bool_lists;
  Tensor** list_tensors;
  int32_t* dynamic_dims;
};

size_t BoundNumel(const fb::Tensor& t) {
  size_t n = 1;
  for (const int32_t size : *t.sizes()) n *= static_cast<size_t>(size);
  return n;
}

bool IsDynamic(const fb::Tensor& t) { return t.shape_dynamism() != fb::TensorShapeDynamism_STATIC; }

// `dims` holds the sizes of a dynamic tensor.
Tensor MakeTensor(const fb::Tensor& t, int32_t* dims) {
  const uoffset_t rank = t.sizes()->size();
  auto* sizes = const_cast<int32_t*>(reinterpret_cast<const int32_t*>(t.sizes()->Data()));
  const bool dynamic = IsDynamic(t);
  if (dynamic) {  // a static tensor never writes its sizes: they stay in the metadata
    if (rank > 0) std::memcpy(dims, sizes, rank * sizeof(int32_t));
    sizes = dims;
  }
  const uint8_t* order = t.dim_order()->Data();
  bool in_order = true;
  for (uoffset_t d = 0; d < rank; ++d) in_order &= order[d] == d;
  Tensor tensor(static_cast<DType>(t.scalar_type()), nullptr, {sizes, rank},
                in_order ? nullptr : order);
  tensor.set_dynamic(dynamic);
  tensor.set_planned(t.allocation_info() != nullptr);
  return tensor;
}

// Whether a tensor's contents come from a file, for good.
bool IsConstant(const fb::Tensor& t) {
  return t.allocation_info() == nullptr && (IsExternal(t) || t.data_buffer_idx() != 0);
}

// Bytes of a tensor in the constant segment or in the segment of initial state.
Span<const uint8_t> StoredBytes(const Program& program, const fb::SubsegmentOffsets& where,
                                const fb::Tensor& t, size_t nbytes) {
  const uint64_t offset = where.offsets()->Get(t.data_buffer_idx());
  return program.segment(where.segment_index()).subspan(static_cast<size_t>(offset), nbytes);
}

// Finds the bytes of an external tensor and checks that they are that tensor.
Error FindExternal(const DataMap& map, const fb::Tensor& t, const Tensor& tensor, uint32_t value,
                   Span<const uint8_t>* bytes) {
  NamedBytes data;
  const Error error = map.Find(View(t.extra_tensor_info()->fully_qualified_name()), &data);
  RL_CHECK(error.ok(), Reason::kNoExternalData, value);
  RL_CHECK(data.has_layout && data.dtype == tensor.dtype() &&
               data.sizes.size() == t.sizes()->size() &&
               data.dim_order.size() == t.dim_order()->size(),
           Reason::kExternalLayout, value);
  for (uoffset_t d = 0; d < t.sizes()->size(); ++d) {
    RL_CHECK(data.sizes[d] == t.sizes()->Get(d) && data.dim_order[d] == t.dim_order()->Get(d),
             Reason::kExternalLayout, value);
  }
  RL_CHECK(data.bytes.size() >= tensor.nbytes() &&
               reinterpret_cast<uintptr_t>(data.bytes.data()) % ElementSize(tensor.dtype()) == 0,
           Reason::kExternalBytes, value, static_cast<int64_t>(data.bytes.size()),
           static_cast<int64_t>(tensor.nbytes()));
  *bytes = data.bytes.subspan(0, tensor.nbytes());
  return kOk;
}

template <class T>
T* Take(T** next, size_t count = 1) {
  T* p = *next;
  *next += count;
  return p;
}

}  // namespace

Result<Method> Method::Load(const Program& program, std::string_view name,
                            const MethodOptions& options, Arena& arena) {
  static_assert(sizeof(void*) != 8 || sizeof(Instruction) == kAbi64.instruction);
  static_assert(sizeof(void*) != 4 || sizeof(Instruction) == kAbi32.instruction);
  static_assert(sizeof(void*) != 8 || sizeof(LoadedDelegate) == kAbi64.delegate);
  static_assert(sizeof(void*) != 4 || sizeof(LoadedDelegate) == kAbi32.delegate);
  static_assert(sizeof(void*) != 8 || sizeof(Output) == kAbi64.output);
  static_assert(sizeof(void*) != 4 || sizeof(Output) == kAbi32.output);
  RL_ASSIGN_OR_RETURN(const MethodMeta meta, MethodMeta::Get(program, name));
  Method method(meta);
  method.program_ = &program;
  method.external_ = options.external;
  method.threads_ = options.threads == 0 ? 1 : options.threads;

  const size_t needed = meta.arena_bytes();
  void* memory = arena.Allocate(needed, 16);
  Error error;
  if (memory == nullptr) {
    error = Error(Reason::kMethodArena, Error::kNone, static_cast<int64_t>(needed),
                  static_cast<int64_t>(arena.capacity() - arena.used()));
  } else {
    Arena own(memory, needed);
    error = method.LoadTables(options, own);
    if (error.ok()) error = method.LoadDelegates(options, arena);
    if (error.ok()) error = method.LoadInstructions(options);
    if (error.ok() && own.used() != needed) {
      error = Error(Reason::kFootprintDrift, Error::kNone, static_cast<int64_t>(own.used()),
                    static_cast<int64_t>(needed));
    }
  }
  if (!error.ok()) return error.InMethod(meta.index());
  return method;
}

Error Method::LoadTables(const MethodOptions& options, Arena& arena) {
  static_assert(sizeof(void*) != 8 ||
                (sizeof(Tensor) == kAbi64.tensor && sizeof(IntListValue) == kAbi64.int_list &&
                 sizeof(TensorListValue) == kAbi64.tensor_list &&
                 sizeof(std::string_view) == kAbi64.view));
  static_assert(sizeof(void*) != 4 ||
                (sizeof(Tensor) == kAbi32.tensor && sizeof(IntListValue) == kAbi32.int_list &&
                 sizeof(TensorListValue) == kAbi32.tensor_list &&
                 sizeof(std::string_view) == kAbi32.view));
  // In the order of MethodArenaBytes.  The arena holds exactly this; none can fail.
  const MethodCounts n = CountMethod(PlanOf(meta_));
  Arrays arrays;
  values_ = arena.AllocateArray<Value>(n.values);
  arrays.ints = arena.AllocateArray<int64_t>(n.ints);
  tensors_ = arena.AllocateArray<Tensor>(n.tensors);
  num_tensors_ = n.tensors;
  arrays.int_lists = arena.AllocateArray<IntListValue>(n.int_lists);
  arrays.tensor_lists = arena.AllocateArray<TensorListValue>(n.tensor_lists);
  arrays.strings = arena.AllocateArray<std::string_view>(n.strings);
  arrays.double_lists = arena.AllocateArray<Span<const double>>(n.double_lists);
  arrays.bool_lists = arena.AllocateArray<Span<const Bool8>>(n.bool_lists);
  arrays.list_tensors = arena.AllocateArray<Tensor*>(n.list_tensors);
  instructions_ = arena.AllocateArray<Instruction>(n.instructions);
  num_instructions_ = n.instructions;
  delegates_ = arena.AllocateArray<LoadedDelegate>(n.delegates);
  num_delegates_ = n.delegates;
  input_tensors_ = arena.AllocateArray<Tensor*>(n.inputs);
  outputs_ = arena.AllocateArray<Output>(n.outputs);
  planned_ = arena.AllocateArray<uint8_t*>(n.planned);
  arrays.dynamic_dims = arena.AllocateArray<int32_t>(n.dynamic_dims);
  input_set_ = arena.AllocateArray<bool>(n.inputs);
  RL_CHECK(input_set_ != nullptr, Reason::kFootprintDrift);

  const fb::ExecutionPlan& plan = PlanOf(meta_);
  Tensor* next_tensor = tensors_;
  for (uoffset_t v = 0; v < plan.values()->size(); ++v) {
    const fb::EValue& value = *plan.values()->Get(v);
    switch (value.val_type()) {
      case fb::KernelTypes_Int:
        values_[v] = Value(value.val_as_Int()->int_val());
        break;
      case fb::KernelTypes_Bool:
        values_[v] = Value(value.val_as_Bool()->bool_val());
        break;
      case fb::KernelTypes_Double:
        values_[v] = Value(value.val_as_Double()->double_val());
        break;
      case fb::KernelTypes_Tensor: {
        const fb::Tensor& t = *value.val_as_Tensor();
        Tensor* tensor = Take(&next_tensor);
        *tensor = MakeTensor(t, arrays.dynamic_dims);
        if (IsDynamic(t)) arrays.dynamic_dims += tensor->rank();
        values_[v] = Value(tensor);
        const Error error = BindConstant(t, v, tensor);
        if (!error.ok()) RL_RETURN_IF_ERROR(Obstacle(options, error));
        break;
      }
      case fb::KernelTypes_String: {
        std::string_view* s = Take(&arrays.strings);
        *s = View(value.val_as_String()->string_val());
        values_[v] = Value(s);
        break;
      }
      case fb::KernelTypes_IntList: {
        const auto* items = value.val_as_IntList()->items();
        IntListValue* list = Take(&arrays.int_lists);
        *list = {reinterpret_cast<const int64_t*>(items->Data()), Take(&arrays.ints, items->size()),
                 items->size()};
        values_[v] = Value(list);
        break;
      }
      case fb::KernelTypes_DoubleList: {
        const auto* items = value.val_as_DoubleList()->items();
        Span<const double>* list = Take(&arrays.double_lists);
        *list = {reinterpret_cast<const double*>(items->Data()), items->size()};
        values_[v] = Value(list);
        break;
      }
      case fb::KernelTypes_BoolList: {
        const auto* items = value.val_as_BoolList()->items();
        Span<const Bool8>* list = Take(&arrays.bool_lists);
        *list = {reinterpret_cast<const Bool8*>(items->Data()), items->size()};
        values_[v] = Value(list);
        break;
      }
      case fb::KernelTypes_TensorList:
      case fb::KernelTypes_OptionalTensorList: {
        const bool optional = value.val_type() == fb::KernelTypes_OptionalTensorList;
        const auto* items = optional ? value.val_as_OptionalTensorList()->items()
                                     : value.val_as_TensorList()->items();
        TensorListValue* list = Take(&arrays.tensor_lists);
        *list = {reinterpret_cast<const int32_t*>(items->Data()),
                 Take(&arrays.list_tensors, items->size()), items->size()};
        values_[v] = Value(list, optional ? Tag::kOptionalTensorList : Tag::kTensorList);
        break;
      }
      default:
        break;
    }
  }
  for (uoffset_t i = 0; i < plan.inputs()->size(); ++i) {
    const Value& value = values_[plan.inputs()->Get(i)];
    input_tensors_[i] = value.is_tensor() ? &value.as_tensor() : nullptr;
    input_set_[i] = !value.is_tensor();  // a scalar has the value it was compiled for
  }
  for (uoffset_t i = 0; i < plan.outputs()->size(); ++i) {
    const Value& value = values_[plan.outputs()->Get(i)];
    outputs_[i] = {value.is_tensor() ? &value.as_tensor() : nullptr, nullptr, 0};
  }
  return kOk;
}

// Constants lie in the file.
Error Method::BindConstant(const fb::Tensor& t, uint32_t v, Tensor* tensor) const {
  if (!IsConstant(t)) return kOk;
  Span<const uint8_t> bytes;
  if (IsExternal(t)) {
    RL_RETURN_IF_ERROR(FindExternal(external_, t, *tensor, v, &bytes));
  } else {
    bytes = StoredBytes(*program_, *Root(*program_).constant_segment(), t, tensor->nbytes());
  }
  tensor->set_read_only(true);
  tensor->set_dynamic(false);
  tensor->Rebind(const_cast<uint8_t*>(bytes.data()), tensor->numel());
  return kOk;
}

void Method::BindPlanned(const fb::AllocationDetails& a, size_t numel, Tensor* tensor) const {
  uint8_t* const base = planned_[a.memory_id() - 1];
  tensor->Rebind(base == nullptr ? nullptr : base + MemoryOffset(a), numel);
}

// A tensor as Load and Bind left it; what it borrowed may be gone, and so may its sizes not fit.
Error Method::ReturnBorrowed(uint32_t v, Tensor* tensor) const {
  const fb::Tensor& t = *PlanOf(meta_).values()->Get(v)->val_as_Tensor();
  *tensor = MakeTensor(t, const_cast<int32_t*>(tensor->sizes().data()));
  if (t.allocation_info() != nullptr) BindPlanned(*t.allocation_info(), BoundNumel(t), tensor);
  return BindConstant(t, v, tensor);
}

Error Method::Obstacle(const MethodOptions& options, const Error& error) {
  if (options.on_obstacle == nullptr) return error;
  options.on_obstacle(options.on_obstacle_self, error.InMethod(meta_.index()));
  if (first_obstacle_.ok()) first_obstacle_ = error;
  return kOk;
}

// A plan is made for one number of arguments: that of its calls.
Error Method::CountDelegateArguments() {
  uint32_t position = 0;
  for (const fb::Chain* chain : *PlanOf(meta_).chains()) {
    for (const fb::Instruction* instruction : *chain->instructions()) {
      if (const auto* call = instruction->instr_args_as_DelegateCall()) {
        LoadedDelegate& d = delegates_[call->delegate_index()];
        if (d.called && d.arguments != call->args()->size()) {
          return Error(Reason::kDelegateArguments, static_cast<uint32_t>(call->delegate_index()),
                       call->args()->size(), d.arguments)
              .AtInstruction(position);
        }
        d.arguments = call->args()->size();
        d.called = true;
      }
      ++position;
    }
  }
  return kOk;
}

Error Method::LoadDelegates(const MethodOptions& options, Arena& arena) {
  const fb::ExecutionPlan& plan = PlanOf(meta_);
  RL_RETURN_IF_ERROR(CountDelegateArguments());
  for (uoffset_t i = 0; i < num_delegates_; ++i) {
    const fb::BackendDelegate& d = *plan.delegates()->Get(i);
    LoadedDelegate& loaded = delegates_[i];
    for (const Delegate& row : options.delegates) {
      if (loaded.row == nullptr && View(d.id()) == row.id) loaded.row = &row;
    }
    if (loaded.row == nullptr) {
      RL_RETURN_IF_ERROR(Obstacle(options, Error(Reason::kNoDelegate, i)));
      continue;
    }
    const fb::BackendDelegateDataReference& data = *d.processed();
    PlanSource source;
    if (data.location() == fb::DataLocation_SEGMENT) {
      source.payload = program_->segment(data.index());
    } else {
      const auto* blob = Root(*program_).backend_delegate_data()->Get(data.index())->data();
      if (blob != nullptr) source.payload = {blob->Data(), blob->size()};
    }
    if (options.find_plan != nullptr) {
      loaded.plan = options.find_plan(options.find_plan_self, *loaded.row, source.payload);
    }
    if (loaded.plan == nullptr) {
      const size_t num_specs = SizeOf(d.compile_specs());
      auto* specs = arena.AllocateArray<CompileSpec>(num_specs);
      RL_CHECK(specs != nullptr, Reason::kMethodArena, i,
               static_cast<int64_t>(num_specs * sizeof(CompileSpec)),
               static_cast<int64_t>(arena.capacity() - arena.used()));
      for (uoffset_t k = 0; k < num_specs; ++k) {
        const fb::CompileSpec& spec = *d.compile_specs()->Get(k);
        specs[k] = {View(spec.key()), {spec.value()->Data(), spec.value()->size()}};
      }
      source.specs = {specs, num_specs};
      source.data = MergedData();
      source.arguments = loaded.arguments;
      source.threads = threads_;
      Result<const void*> built = loaded.row->load(source, arena);
      if (!built.ok()) {
        Error error = built.error();
        error.index = i;
        RL_RETURN_IF_ERROR(Obstacle(options, error));
        loaded.row = nullptr;
        continue;
      }
      loaded.plan = *built;
    }
    const PlanInfo info = loaded.row->info(loaded.plan);
    if (info.scratch_bytes > scratch_bytes_) scratch_bytes_ = info.scratch_bytes;
    loaded.first_state = static_cast<uint32_t>(num_states_);
    loaded.num_states = static_cast<uint32_t>(info.states.size());
    num_states_ += info.states.size();
    for (const StateSpec& s : info.states) loaded.capacity = s.max_positions;
  }
  return kOk;
}

DataMap Method::MergedData() const {
  return DataMap(this, [](const void* self, std::string_view key, NamedBytes* out) {
    const Method& method = *static_cast<const Method*>(self);
    if (method.external_.Find(key, out).ok()) return kOk;
    return method.program_->named_data_map().Find(key, out);
  });
}

const StateSpec& Method::state(size_t i) const {
  size_t d = 0;
  while (i >= delegates_[d].first_state + delegates_[d].num_states) ++d;
  return delegates_[d].row->info(delegates_[d].plan).states[i - delegates_[d].first_state];
}

Error Method::LoadInstructions(const MethodOptions& options) {
  const fb::ExecutionPlan& plan = PlanOf(meta_);
  uint32_t position = 0;
  for (const fb::Chain* chain : *plan.chains()) {
    const uint32_t first = position;
    for (const fb::Instruction* source : *chain->instructions()) {
      Instruction& i = instructions_[position];
      i.kind = source->instr_args_type();
      switch (i.kind) {
        case fb::InstructionArguments_KernelCall: {
          const auto& call = *source->instr_args_as_KernelCall();
          i.args = reinterpret_cast<const int32_t*>(call.args()->Data());
          i.num_args = call.args()->size();
          const Error error = PrepareKernel(options, static_cast<uint32_t>(call.op_index()), &i);
          if (!error.ok()) {
            RL_RETURN_IF_ERROR(Obstacle(options, error.AtInstruction(position)));
          }
          break;
        }
        case fb::InstructionArguments_DelegateCall: {
          const auto& call = *source->instr_args_as_DelegateCall();
          i.args = reinterpret_cast<const int32_t*>(call.args()->Data());
          i.num_args = call.args()->size();
          i.a = static_cast<uint32_t>(call.delegate_index());
          break;
        }
        case fb::InstructionArguments_MoveCall:
          i.a = static_cast<uint32_t>(source->instr_args_as_MoveCall()->move_from());
          i.b = static_cast<uint32_t>(source->instr_args_as_MoveCall()->move_to());
          break;
        case fb::InstructionArguments_JumpFalseCall: {
          const auto& call = *source->instr_args_as_JumpFalseCall();
          i.a = static_cast<uint32_t>(call.cond_value_index());
          i.b = first + static_cast<uint32_t>(call.destination_instruction());
          break;
        }
        default:
          i.a = static_cast<uint32_t>(source->instr_args_as_FreeCall()->value_index());
          break;
      }
      ++position;
    }
  }
  return first_obstacle_;
}

Error Method::PrepareKernel(const MethodOptions& options, uint32_t op, Instruction* instruction) {
  char buffer[MethodMeta::kMaxOperatorName + 1];
  instruction->op = FindOp(options.ops, meta_.operator_name(op, buffer));
  RL_CHECK(instruction->op != nullptr, Reason::kNoKernel, op);
  PrepareContext context(*instruction->op, threads_, &instruction->prepared);
  Error error = instruction->op->prepare(
      context, {values_, instruction->args, instruction->num_args}, &instruction->prepared);
  if (!error.ok() && error.index == Error::kNone) error.index = op;
  if (instruction->prepared.scratch_bytes > scratch_bytes_) {
    scratch_bytes_ = instruction->prepared.scratch_bytes;
  }
  return error;
}

PlanInfo Method::delegate_info(size_t i) const {
  return delegates_[i].row->info(delegates_[i].plan);
}

Error Method::Bind(const MethodMemory& memory) {
  bound_ = false;
  RL_CHECK(memory.planned.size() == meta_.num_planned(), Reason::kPlannedArena, Error::kNone,
           static_cast<int64_t>(memory.planned.size()), static_cast<int64_t>(meta_.num_planned()));
  for (size_t id = 1; id <= meta_.num_planned(); ++id) {
    const Span<uint8_t>& arena = memory.planned[id - 1];
    RL_CHECK(arena.size() >= meta_.planned_bytes(id), Reason::kPlannedArena,
             static_cast<uint32_t>(id), static_cast<int64_t>(arena.size()),
             static_cast<int64_t>(meta_.planned_bytes(id)));
    RL_CHECK(reinterpret_cast<uintptr_t>(arena.data()) % kPlannedAlignment == 0,
             Reason::kInputMisaligned, static_cast<uint32_t>(id));
  }
  RL_CHECK(memory.scratch.size() >= scratch_bytes_, Reason::kScratchArena, Error::kNone,
           static_cast<int64_t>(memory.scratch.size()), static_cast<int64_t>(scratch_bytes_));
  RL_CHECK(memory.state.size() == num_states_, Reason::kStateArena, Error::kNone,
           static_cast<int64_t>(memory.state.size()), static_cast<int64_t>(num_states_));
  for (size_t i = 0; i < memory.planned.size(); ++i) planned_[i] = memory.planned[i].data();
  const fb::ExecutionPlan& plan = PlanOf(meta_);
  Tensor* next_tensor = tensors_;
  for (uoffset_t v = 0; v < plan.values()->size(); ++v) {
    if (plan.values()->Get(v)->val_type() != fb::KernelTypes_Tensor) continue;
    const fb::Tensor& t = *plan.values()->Get(v)->val_as_Tensor();
    Tensor& tensor = *Take(&next_tensor);
    values_[v] = Value(&tensor);  // a move may have put another one here
    if (tensor.borrowed()) RL_RETURN_IF_ERROR(ReturnBorrowed(v, &tensor));
    if (t.allocation_info() == nullptr) continue;
    const uint32_t id = t.allocation_info()->memory_id();
    BindPlanned(*t.allocation_info(), BoundNumel(t), &tensor);
    bool initialized = false;
    for (const uint32_t kept : memory.initialized) initialized |= kept == id;
    if (initialized) continue;
    Span<const uint8_t> initial;
    if (IsExternal(t)) {
      RL_RETURN_IF_ERROR(FindExternal(external_, t, tensor, v, &initial));
    } else if (t.data_buffer_idx() != 0) {
      initial = StoredBytes(*program_, *Root(*program_).mutable_data_segments()->Get(0), t,
                            tensor.nbytes());
    }
    if (!initial.empty()) std::memcpy(tensor.raw(), initial.data(), initial.size());
  }
  scratch_ = memory.scratch;
  state_ = memory.state;
  bound_ = true;
  return kOk;
}

Error Method::SetInput(size_t i, Value value) {
  const auto index = static_cast<uint32_t>(i);
  RL_CHECK(i < meta_.num_inputs(), Reason::kInputIndex, index, static_cast<int64_t>(i),
           static_cast<int64_t>(meta_.num_inputs()));
  RL_CHECK(bound_, Reason::kNotLoaded);
  RL_CHECK(!in_progress_, Reason::kInUse);
  const auto v = static_cast<uoffset_t>(PlanOf(meta_).inputs()->Get(static_cast<uoffset_t>(i)));
  if (input_tensors_[i] == nullptr) return CheckScalarInput(index, values_[v], value);
  RL_CHECK(value.is_tensor(), Reason::kInputKind, index, static_cast<int64_t>(value.tag()),
           static_cast<int64_t>(Tag::kTensor));
  const Tensor& given = value.as_tensor();
  Tensor& tensor = *input_tensors_[i];
  const fb::Tensor& declared = *PlanOf(meta_).values()->Get(v)->val_as_Tensor();
  RL_CHECK(!IsConstant(declared), Reason::kInputValue, index);
  input_set_[i] = false;
  RL_CHECK(given.dtype() == tensor.dtype(), Reason::kInputDType, index,
           static_cast<int64_t>(given.dtype()), static_cast<int64_t>(tensor.dtype()));
  RL_CHECK(given.rank() == tensor.rank(), Reason::kInputRank, index,
           static_cast<int64_t>(given.rank()), static_cast<int64_t>(tensor.rank()));
  for (uint8_t d = 0; d < given.rank(); ++d) {
    const int32_t size = given.size(d), bound = declared.sizes()->Get(d);
    RL_CHECK(size == bound || (tensor.dynamic() && size < bound), Reason::kInputSize, index, size,
             bound, d);
  }
  const size_t numel = given.numel();
  RL_CHECK(given.raw() != nullptr || numel == 0, Reason::kInputNull, index);
  RL_CHECK(reinterpret_cast<uintptr_t>(given.raw()) % ElementSize(given.dtype()) == 0,
           Reason::kInputMisaligned, index);
  if (tensor.borrowed()) RL_RETURN_IF_ERROR(ReturnBorrowed(v, &tensor));
  // The bound is the file's: an earlier input of the caller's may have narrowed the capacity.
  if (!tensor.planned()) tensor.Rebind(given.raw(), BoundNumel(declared));
  const Error resized = tensor.Resize(given.sizes());
  if (!resized.ok()) {
    if (!tensor.planned()) tensor.Rebind(nullptr, 0);
    return resized;
  }
  RL_CHECK(SameDimOrder(given, tensor), Reason::kInputDimOrder, index);
  if (tensor.planned()) {
    if (numel != 0 && given.raw() != tensor.raw()) {
      std::memmove(tensor.raw(), given.raw(), given.nbytes());
    }
  } else {
    tensor.Rebind(given.raw(), numel);
    tensor.set_read_only(given.read_only());
  }
  input_set_[i] = true;
  return kOk;
}

Error Method::CheckScalarInput(uint32_t index, const Value& expected, const Value& given) {
  RL_CHECK(given.tag() == expected.tag(), Reason::kInputKind, index,
           static_cast<int64_t>(given.tag()), static_cast<int64_t>(expected.tag()));
  bool same = true;
  switch (expected.tag()) {
    case Tag::kInt:
      same = given.as_int() == expected.as_int();
      break;
    case Tag::kBool:
      same = given.as_bool() == expected.as_bool();
      break;
    case Tag::kDouble: {  // in float: small targets have no unit for double
      const auto a = static_cast<float>(given.as_double());
      const auto b = static_cast<float>(expected.as_double());
      const float difference = a > b ? a - b : b - a;
      same = given.as_double() == expected.as_double() ||
             difference <= 1e-4f + 1e-5f * (b < 0 ? -b : b);
      break;
    }
    case Tag::kString:
      same = given.as_string() == expected.as_string();
      break;
    default:
      break;
  }
  RL_CHECK(same, Reason::kInputValue, index);
  return kOk;
}

Error Method::SetOutput(size_t i, void* data, size_t bytes) {
  const auto index = static_cast<uint32_t>(i);
  RL_CHECK(i < meta_.num_outputs(), Reason::kOutputIndex, index, static_cast<int64_t>(i),
           static_cast<int64_t>(meta_.num_outputs()));
  RL_CHECK(!in_progress_, Reason::kInUse);
  Output& output = outputs_[i];
  RL_CHECK(output.tensor != nullptr, Reason::kOutputKind, index);
  Tensor& tensor = *output.tensor;
  const auto v = static_cast<uoffset_t>(PlanOf(meta_).outputs()->Get(static_cast<uoffset_t>(i)));
  const fb::Tensor& declared = *PlanOf(meta_).values()->Get(v)->val_as_Tensor();
  RL_CHECK(!tensor.planned() && !IsConstant(declared), Reason::kOutputPlanned, index);
  RL_CHECK(reinterpret_cast<uintptr_t>(data) % ElementSize(tensor.dtype()) == 0,
           Reason::kInputMisaligned, index);
  if (tensor.borrowed()) RL_RETURN_IF_ERROR(ReturnBorrowed(v, &tensor));
  output.data = data;
  output.bytes = bytes;
  const size_t bound = BoundNumel(declared);
  const size_t given = bytes / ElementSize(tensor.dtype());
  RL_CHECK(tensor.dynamic() || given >= bound, Reason::kOutputBytes, index,
           static_cast<int64_t>(bytes), static_cast<int64_t>(bound * ElementSize(tensor.dtype())));
  if (given < bound) {  // no more may be read than there is, before the output is written either
    const int32_t empty[kMaxRank] = {};
    RL_CHECK(tensor.rank() > 0, Reason::kOutputBytes, index, static_cast<int64_t>(bytes),
             static_cast<int64_t>(ElementSize(tensor.dtype())));
    tensor.Rebind(data, given);
    return tensor.Resize({empty, tensor.rank()});
  }
  tensor.Rebind(data, bound);
  return kOk;
}

Value Method::output(size_t i) const {
  return values_[PlanOf(meta_).outputs()->Get(static_cast<uoffset_t>(i))];
}

Result<Tensor*> Method::NamedBuffer(std::string_view name) {
  RL_CHECK(bound_, Reason::kNotLoaded);
  RL_CHECK(!in_progress_, Reason::kInUse);
  Tensor* next_tensor = tensors_;
  for (uoffset_t v = 0; v < meta_.num_values(); ++v) {
    const fb::Tensor* const t = PlanOf(meta_).values()->Get(v)->val_as_Tensor();
    if (t == nullptr) continue;
    Tensor* const tensor = Take(&next_tensor);
    const auto* extra = t->extra_tensor_info();
    if (t->allocation_info() == nullptr || extra == nullptr ||
        extra->fully_qualified_name() == nullptr || name.empty() ||
        View(extra->fully_qualified_name()) != name) {
      continue;
    }
    if (tensor->borrowed()) RL_RETURN_IF_ERROR(ReturnBorrowed(v, tensor));
    return tensor;
  }
  return Error(Reason::kBufferNotFound);
}

// Takes back what earlier executions did to tensors' memory, where they did.
Error Method::ReturnAllBorrowed() {
  bool any = false;
  for (size_t k = 0; k < num_tensors_; ++k) any |= tensors_[k].borrowed();
  if (!any) return kOk;
  Tensor* next_tensor = tensors_;
  for (uoffset_t v = 0; v < meta_.num_values(); ++v) {
    if (PlanOf(meta_).values()->Get(v)->val_type() != fb::KernelTypes_Tensor) continue;
    Tensor* const tensor = Take(&next_tensor);
    if (tensor->borrowed()) RL_RETURN_IF_ERROR(ReturnBorrowed(v, tensor));
  }
  for (uoffset_t i = 0; i < meta_.num_outputs(); ++i) {
    const Output& output = outputs_[i];
    if (output.data != nullptr && output.tensor->raw() == nullptr) {
      RL_RETURN_IF_ERROR(SetOutput(i, output.data, output.bytes));
    }
  }
  return kOk;
}

Error Method::Begin(const ExecuteOptions& options) {
  RL_CHECK(bound_, Reason::kNotLoaded);
  RL_CHECK(!in_progress_, Reason::kInUse);
  RL_RETURN_IF_ERROR(ReturnAllBorrowed());
  const auto& inputs = *PlanOf(meta_).inputs();
  for (uoffset_t i = 0; i < inputs.size(); ++i) {
    RL_CHECK(input_set_[i], Reason::kInputNotSet, i);
    Tensor* const tensor = input_tensors_[i];
    if (tensor == nullptr) continue;
    // An instruction may have taken its memory away in an earlier execution.
    RL_CHECK(tensor->raw() != nullptr || tensor->numel() == 0, Reason::kInputNotSet, i);
    values_[inputs.Get(i)] = Value(tensor);  // a move may have put another one here
  }
  options_ = options;
  context_.parallel = options.parallel;
  context_.team = options.team;
  context_.threads =
      options.threads == 0 || options.threads > threads_ ? threads_ : options.threads;
  if (options.parallel == nullptr) context_.threads = 1;
  context_.scratch = Arena(scratch_.data(), scratch_.size());
  context_.cancel = options.budget.cancel;
  context_.listener = this;
  context_.on_step = nullptr;
  if (options.events.notify != nullptr) {
    context_.on_step = [](void* self, uint32_t step) {
      const Method& method = *static_cast<const Method*>(self);
      method.Notify(EventKind::kDelegateStep, method.next_, step);
    };
  }
  context_.deadline = options.budget.max_nanoseconds == 0
                          ? 0
                          : platform::MonotonicNanos() + options.budget.max_nanoseconds;
  next_ = 0;
  executed_ = 0;
  in_progress_ = true;
  if (options_.events.notify != nullptr) Notify(EventKind::kExecuteBegin, 0);
  return kOk;
}

// That each tensor the caller is going to read has memory.
Error Method::CheckOutputs() const {
  for (size_t i = 0; i < meta_.num_outputs(); ++i) {
    const Value value = output(i);
    if (!value.is_tensor()) continue;
    const Tensor& t = value.as_tensor();
    RL_CHECK(t.raw() != nullptr || t.numel() == 0, Reason::kOutputNotSet, static_cast<uint32_t>(i));
  }
  return kOk;
}

Result<bool> Method::Step() {
  RL_CHECK(in_progress_, Reason::kNotInProgress);
  if (next_ >= num_instructions_) {
    in_progress_ = false;
    if (options_.events.notify != nullptr) Notify(EventKind::kExecuteEnd, 0);
    const Error error = CheckOutputs();
    if (!error.ok()) return error.InMethod(meta_.index());
    return false;
  }
  RL_RETURN_IF_ERROR(StartInstruction());
  size_t next = next_ + 1;
  const Error error = RunInstruction(instructions_[next_], &next);
  RL_RETURN_IF_ERROR(FinishInstruction(error, next));
  return true;
}

Error Method::StartInstruction() {
  Error error = context_.CheckBudget();
  if (error.ok() && executed_ >= options_.budget.max_instructions) {
    error = Error(Reason::kInstructionBudget, Error::kNone, 0,
                  static_cast<int64_t>(options_.budget.max_instructions));
  }
  if (!error.ok()) return Stopped(error);
  ++executed_;
  if (options_.events.notify != nullptr) Notify(EventKind::kInstructionBegin, next_);
  return kOk;
}

Error Method::FinishInstruction(const Error& error, size_t next) {
  if (options_.events.notify != nullptr) Notify(EventKind::kInstructionEnd, next_);
  if (!error.ok()) return Stopped(error);
  next_ = next;
  return kOk;
}

Error Method::Stopped(const Error& error) {
  in_progress_ = false;
  return error.AtInstruction(next_).InMethod(meta_.index());
}

Error Method::Execute(const ExecuteOptions& options) {
  RL_RETURN_IF_ERROR(Begin(options));
  for (;;) {
    const Result<bool> more = Step();
    if (!more.ok()) return more.error();
    if (!*more) return kOk;
  }
}

Error Method::ExecuteTogether(Span<Method* const> methods, const ExecuteOptions& options) {
  Error error = kOk;
  for (size_t i = 0; i < methods.size() && error.ok(); ++i) {
    const Method& m = *methods[i];
    RL_CHECK(m.program_ == methods[0]->program_ && m.meta_.index() == methods[0]->meta_.index(),
             Reason::kOptionInvalid, static_cast<uint32_t>(i));
    for (size_t k = 0; k < i; ++k) RL_CHECK(methods[k] != &m, Reason::kInUse);
  }
  size_t begun = 0;
  for (; begun < methods.size() && error.ok(); ++begun) error = methods[begun]->Begin(options);
  bool done = methods.empty();
  while (error.ok() && !done) error = StepTogether(methods, &done);
  if (!error.ok()) {
    for (size_t i = 0; i < begun; ++i) methods[i]->in_progress_ = false;
  }
  return error;
}

// Those furthest behind take a step: where the program's jumps parted them, they meet again.
Error Method::StepTogether(Span<Method* const> methods, bool* done) {
  size_t at = SIZE_MAX;
  for (const Method* m : methods) {
    if (m->in_progress_ && m->next_ < at) at = m->next_;
  }
  *done = at == SIZE_MAX;
  if (*done) return kOk;
  const Method& any = *methods[0];
  if (at < any.num_instructions_ &&
      any.instructions_[at].kind == fb::InstructionArguments_DelegateCall) {
    return DelegateTogether(methods, at);
  }
  for (Method* m : methods) {
    if (m->in_progress_ && m->next_ == at) RL_RETURN_IF_ERROR(m->Step().error());
  }
  return kOk;
}

// One call for as many as fit the table at a time, with the plan and the scratch of the first: the
// plans of all were made of the same payload.
Error Method::DelegateTogether(Span<Method* const> methods, size_t at) {
  constexpr size_t kMost = 64;
  DelegateRow rows[kMost];
  Method* members[kMost];
  size_t count = 0;
  for (size_t i = 0; i < methods.size(); ++i) {
    Method* const m = methods[i];
    if (m->in_progress_ && m->next_ == at) {
      RL_RETURN_IF_ERROR(m->StartInstruction());
      rows[count] = m->RowOf(m->instructions_[at]);
      members[count++] = m;
    }
    if (count == 0 || (count < kMost && i + 1 < methods.size())) continue;
    const Error error = members[0]->CallDelegate(members[0]->instructions_[at], {rows, count});
    for (size_t k = 0; k < count; ++k) {
      RL_RETURN_IF_ERROR(members[k]->FinishInstruction(error, at + 1));
    }
    count = 0;
  }
  return kOk;
}

Error Method::RunInstruction(const Instruction& i, size_t* next) {
  switch (i.kind) {
    case fb::InstructionArguments_KernelCall: {
      RunContext run(context_, i.prepared);
      const Error error = i.prepared.run(run, {values_, i.args, i.num_args});
      context_.scratch.Release(0);
      return error;
    }
    case fb::InstructionArguments_DelegateCall: {
      const DelegateRow row = RowOf(i);
      return CallDelegate(i, {&row, 1});
    }
    case fb::InstructionArguments_MoveCall:
      values_[i.b] = values_[i.a];
      return kOk;
    case fb::InstructionArguments_JumpFalseCall: {
      const Value& condition = values_[i.a];
      bool taken = true;
      if (condition.tag() == Tag::kBool) {
        taken = condition.as_bool();
      } else {
        RL_CHECK(condition.is_tensor(), Reason::kCondition, i.a,
                 static_cast<int64_t>(condition.tag()));
        const Tensor& t = condition.as_tensor();
        RL_CHECK(t.dtype() == DType::kBool, Reason::kCondition, i.a,
                 static_cast<int64_t>(t.dtype()));
        RL_CHECK(t.raw() != nullptr || t.numel() == 0, Reason::kArgumentNull, i.a);
        const auto* bytes = t.data<uint8_t>();
        for (size_t k = 0; k < t.numel(); ++k) taken &= bytes[k] != 0;
      }
      if (!taken) *next = i.b;
      return kOk;
    }
    default:
      if (values_[i.a].is_tensor()) values_[i.a].as_tensor().Borrow(Tensor());
      return kOk;
  }
}

DelegateRow Method::RowOf(const Instruction& i) const {
  const LoadedDelegate& d = delegates_[i.a];
  DelegateRow row;
  if (d.num_states > 0) row.state = state_.subspan(d.first_state, d.num_states);
  row.capacity = d.capacity;
  row.args = {values_, i.args, i.num_args};
  return row;
}

Error Method::CallDelegate(const Instruction& i, Span<const DelegateRow> rows) {
  Error error = delegates_[i.a].row->run(context_, delegates_[i.a].plan, rows);
  context_.scratch.Release(0);
  if (!error.ok() && error.index == Error::kNone) error.index = i.a;
  return error;
}

void Method::Notify(EventKind kind, size_t position, uint32_t index) const {
  Event event{kind, static_cast<uint32_t>(position), index, platform::MonotonicNanos(), values_,
              {}};
  if (kind == EventKind::kInstructionBegin || kind == EventKind::kInstructionEnd) {
    event.operands = {instructions_[position].args, instructions_[position].num_args};
  }
  options_.events.notify(options_.events.self, event);
}

const Op* Method::instruction_op(size_t i) const { return instructions_[i].op; }

const Prepared* Method::instruction_prepared(size_t i) const {
  return instructions_[i].op == nullptr ? nullptr : &instructions_[i].prepared;
}

}  // namespace rushlight
