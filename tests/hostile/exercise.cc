// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "tests/hostile/exercise.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "rushlight/data_file.h"
#include "rushlight/debug_info.h"
#include "rushlight/describe.h"
#include "rushlight/memory_estimate.h"
#include "rushlight/method.h"
#include "rushlight/module.h"
#include "rushlight/ops.h"
#include "tests/hostile/test_delegate.h"

namespace rushlight::hostile {
namespace {

// Everything that is read ends up here, so that reading cannot be left out.
volatile uint64_t g_sum = 0;

void Touch(Bytes bytes) {
  uint64_t sum = 0;
  for (const uint8_t b : bytes) sum += b;
  g_sum = g_sum + sum;
}
void Touch(std::string_view text) {
  Touch({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}
template <class T>
void TouchItems(Span<const T> items) {
  Touch({reinterpret_cast<const uint8_t*>(items.data()), items.size() * sizeof(T)});
}
// The ends of what may be long.
void TouchEnds(Bytes bytes) {
  if (bytes.empty()) return;
  Touch(bytes.subspan(0, 1));
  Touch(bytes.subspan(bytes.size() - 1, 1));
}

// Memory of just this size, 16-byte aligned, so that a sanitizer sees one byte too many.
class Exact {
 public:
  explicit Exact(size_t size) : data_(static_cast<uint8_t*>(std::calloc(size, 1))), size_(size) {}
  explicit Exact(Bytes bytes) : Exact(bytes.size()) {
    if (size_ > 0) std::memcpy(data_.get(), bytes.data(), size_);
  }
  uint8_t* data() const { return data_.get(); }
  size_t size() const { return size_; }
  Span<uint8_t> span() const { return {data_.get(), size_}; }

 private:
  struct Free {
    void operator()(uint8_t* p) const { std::free(p); }
  };
  std::unique_ptr<uint8_t, Free> data_;
  size_t size_;
};

Error Told(const Error& error, const Program* program) {
  if (!error.ok()) Touch(Describe(error, program));
  return error;
}

void TouchInfo(const Result<TensorInfo>& info) {
  if (!info.ok()) return;
  TouchItems(info->sizes);
  TouchItems(info->dim_order);
  Touch(info->name);
}

void TouchProgram(const Program& program) {
  for (size_t i = 0; i < program.num_segments(); ++i) TouchEnds(program.segment(i));
  NamedBytes found;
  for (size_t i = 0; i < program.num_named_data(); ++i) {
    TouchEnds(program.named_data(i));
    if (program.named_data_map().Find(program.named_data_key(i), &found).ok()) {
      TouchEnds(found.bytes);
    }
  }
  g_sum = g_sum + (program.FindMethod("no such method").ok() ? 1 : 0);
}

void TouchDataFile(const DataFile& file) {
  NamedBytes found;
  for (size_t i = 0; i < file.size(); ++i) {
    const NamedBytes entry = file.entry(i);
    TouchEnds(entry.bytes);
    TouchItems(entry.sizes);
    TouchItems(entry.dim_order);
    g_sum = g_sum + (file.map().Find(file.key(i), &found).ok() ? 1 : 0);
  }
}

void TouchMeta(const MethodMeta& meta) {
  Touch(meta.name());
  Touch(meta.input_tree());
  Touch(meta.output_tree());
  for (size_t i = 0; i < meta.num_inputs(); ++i) {
    TouchInfo(meta.input_tensor(i));
    Touch(TagName(meta.input_tag(i)));
  }
  for (size_t i = 0; i < meta.num_outputs(); ++i) {
    TouchInfo(meta.output_tensor(i));
    Touch(TagName(meta.output_tag(i)));
  }
  for (size_t v = 0; v < meta.num_values(); ++v) {
    TouchInfo(meta.value_tensor(v));
    PlannedTensor planned;
    if (meta.planned_value(v, &planned)) g_sum = g_sum + planned.offset;
    Bytes constant;
    if (meta.constant_value(v, &constant)) TouchEnds(constant);
  }
  char buffer[MethodMeta::kMaxOperatorName + 1];
  for (size_t i = 0; i < meta.num_operators(); ++i) Touch(meta.operator_name(i, buffer));
  for (size_t i = 0; i < meta.num_delegates(); ++i) Touch(meta.delegate_id(i));
  const size_t instructions = meta.num_instructions();
  for (size_t i = 0; i < instructions; ++i) {
    Touch(meta.instruction_name(i, buffer));
    TouchItems(meta.instruction_operands(i));
  }
  Touch(meta.instruction_name(instructions, buffer));
  g_sum = g_sum + meta.arena_bytes_32() + meta.arena_bytes_64();
}

void TouchValue(const Value& value) {
  switch (value.tag()) {
    case Tag::kTensor: {
      const Tensor& t = value.as_tensor();
      Touch({t.data<uint8_t>(), t.nbytes()});
      break;
    }
    case Tag::kString:
      Touch(value.as_string());
      break;
    default:
      break;
  }
}

// Ones of every dtype that has them.
void FillOnes(DType dtype, Span<uint8_t> bytes) {
  const size_t size = ElementSize(dtype);
  uint8_t one[16] = {1};
  const float f = 1.0f;
  const double d = 1.0;
  const uint16_t half = dtype == DType::kFloat16 ? 0x3c00 : 0x3f80;
  if (dtype == DType::kFloat32) std::memcpy(one, &f, sizeof f);
  if (dtype == DType::kFloat64) std::memcpy(one, &d, sizeof d);
  if (dtype == DType::kFloat16 || dtype == DType::kBFloat16) std::memcpy(one, &half, sizeof half);
  for (size_t i = 0; i + size <= bytes.size(); i += size) std::memcpy(bytes.data() + i, one, size);
}

// Inputs for a method, at its upper bounds or at half of the first of them.
class Inputs {
 public:
  // False where they would be too large.
  bool Make(const MethodMeta& meta, bool halved, const Limits& limits) {
    for (size_t i = 0; i < meta.num_inputs(); ++i) {
      const Result<TensorInfo> info = meta.input_tensor(i);
      if (!info.ok()) {
        values_.emplace_back();
        continue;
      }
      if (info->nbytes > limits.max_bytes) return false;
      auto& sizes = sizes_.emplace_back(info->sizes.begin(), info->sizes.end());
      if (halved && info->dynamic && !sizes.empty()) sizes[0] = (sizes[0] + 1) / 2;
      auto& order = orders_.emplace_back(info->dim_order.begin(), info->dim_order.end());
      Tensor shape(info->dtype, nullptr, sizes, order.data());
      const Exact& memory = memory_.emplace_back(shape.nbytes());
      FillOnes(info->dtype, memory.span());
      shape.Rebind(memory.data(), shape.numel());
      values_.emplace_back(&tensors_.emplace_back(shape));
    }
    return true;
  }
  const std::vector<Value>& values() const { return values_; }

 private:
  std::deque<std::vector<int32_t>> sizes_;
  std::deque<std::vector<uint8_t>> orders_;
  std::deque<Exact> memory_;
  std::deque<Tensor> tensors_;
  std::vector<Value> values_;
};

ExecuteOptions OptionsOf(const Limits& limits) {
  ExecuteOptions options;
  options.budget.max_instructions = limits.max_instructions;
  options.budget.max_nanoseconds = limits.max_nanoseconds;
  options.events.notify = [](void*, const Event& event) {
    TouchItems(event.operands);
    for (const int32_t v : event.operands) g_sum = g_sum + static_cast<int>(event.values[v].tag());
  };
  return options;
}

// Memory that a method runs in, of just the sizes that it asks for.
class Memory {
 public:
  Error Bind(Method& method, const Limits& limits) {
    const MethodMeta& meta = method.meta();
    uint64_t total = method.scratch_bytes();
    for (size_t id = 1; id <= meta.num_planned(); ++id) total += meta.planned_bytes(id);
    for (size_t i = 0; i < meta.num_outputs(); ++i) {
      const Result<TensorInfo> info = meta.output_tensor(i);
      if (info.ok()) total += info->nbytes;
      RL_CHECK(total <= limits.max_bytes, Reason::kMemoryBudget, Error::kNone,
               static_cast<int64_t>(total), static_cast<int64_t>(limits.max_bytes));
    }
    RL_CHECK(total <= limits.max_bytes, Reason::kMemoryBudget, Error::kNone,
             static_cast<int64_t>(total), static_cast<int64_t>(limits.max_bytes));
    spans_.clear();
    states_.clear();
    for (size_t id = 1; id <= meta.num_planned(); ++id) {
      spans_.push_back(blocks_.emplace_back(meta.planned_bytes(id)).span());
    }
    for (size_t i = 0; i < method.num_states(); ++i) {
      const StateSpec& s = method.state(i);
      states_.push_back(
          blocks_.emplace_back(s.bytes_per_position * s.max_positions + s.fixed_bytes).data());
    }
    MethodMemory memory;
    memory.planned = spans_;
    memory.scratch = blocks_.emplace_back(method.scratch_bytes()).span();
    memory.state = {states_.data(), states_.size()};
    RL_RETURN_IF_ERROR(method.Bind(memory));
    for (size_t i = 0; i < meta.num_outputs(); ++i) {
      const Result<TensorInfo> info = meta.output_tensor(i);
      if (!info.ok() || info->planned) continue;
      const Exact& block = blocks_.emplace_back(info->nbytes);
      const Error error = method.SetOutput(i, block.data(), block.size());
      // A constant output is not the caller's to place.
      if (!error.ok() && error.reason != Reason::kOutputPlanned) return error;
    }
    return kOk;
  }

 private:
  std::deque<Exact> blocks_;
  std::vector<Span<uint8_t>> spans_;
  std::vector<void*> states_;
};

Error RunMethod(const Program& program, const MethodMeta& meta, const DataMap& external,
                const Limits& limits) {
  MethodOptions options;
  options.ops = ops::AllOps();
  options.delegates = TestDelegates();
  options.external = external;
  size_t bytes = meta.arena_bytes();
  if (bytes > limits.max_bytes) return Error(Reason::kMemoryBudget);
  std::optional<Exact> memory;
  std::optional<Method> method;
  while (!method) {
    memory.emplace(bytes);
    Arena arena(memory->data(), memory->size());
    Result<Method> loaded = Method::Load(program, meta.name(), options, arena);
    if (loaded.ok()) {
      method.emplace(*std::move(loaded));
    } else if (loaded.error().reason == Reason::kMethodArena && meta.num_delegates() > 0 &&
               bytes < limits.max_bytes) {
      bytes = bytes * 2 + 64;
    } else {
      return loaded.error();
    }
  }
  Memory planned;
  RL_RETURN_IF_ERROR(planned.Bind(*method, limits));
  Error first = kOk;
  for (const int round : {0, 1, 2, 3}) {
    Inputs inputs;
    if (!inputs.Make(meta, round == 1, limits)) return Error(Reason::kMemoryBudget);
    Error error = kOk;
    for (size_t i = 0; i < meta.num_inputs() && error.ok(); ++i) {
      if (inputs.values()[i].is_tensor()) error = method->SetInput(i, inputs.values()[i]);
    }
    if (error.ok()) error = method->Execute(OptionsOf(limits));
    for (size_t i = 0; i < meta.num_outputs() && error.ok(); ++i) TouchValue(method->output(i));
    if (first.ok()) first = Told(error, &program);
    // The inputs of this round are gone when the next one begins.
    const Result<Tensor*> named = method->NamedBuffer("keys");
    if (named.ok()) TouchValue(Value(*named));
    if (round == 2) RL_RETURN_IF_ERROR(planned.Bind(*method, limits));
  }
  return first;
}

Error RunModule(Module& module, const Limits& limits) {
  Error first = kOk;
  const auto keep = [&](const Error& error) {
    if (first.ok()) first = Told(error, &module.program());
  };
  Module other = module.Share();
  for (const std::string& name : module.method_names()) {
    const Result<MethodMeta> meta = module.method_meta(name);
    if (!meta.ok()) continue;  // names that a NUL cuts short do not get here
    TouchMeta(*meta);
    keep(EstimateMemory(module, name).error());
    const size_t instructions = meta->num_instructions();
    for (size_t i = 0; i < instructions; ++i) {
      const Result<SourceLocation> source = FindSource(module.program(), name, i);
      if (source.ok()) Touch(source->file);
    }
    Inputs inputs;
    if (!inputs.Make(*meta, false, limits)) continue;
    // Scalars keep the values they were compiled for; Execute would want them given.
    bool only_tensors = true;
    for (const Value& v : inputs.values()) only_tensors &= v.is_tensor();
    for (Module* m : {&module, &other, &module}) {
      const Result<Method*> method = m->method(name);
      keep(method.error());
      if (!method.ok()) break;
      Error error = kOk;
      for (size_t i = 0; i < meta->num_inputs() && error.ok(); ++i) {
        if (inputs.values()[i].is_tensor()) error = (*method)->SetInput(i, inputs.values()[i]);
      }
      if (error.ok()) error = (*method)->Execute(OptionsOf(limits));
      for (size_t i = 0; i < meta->num_outputs() && error.ok(); ++i) {
        TouchValue((*method)->output(i));
      }
      keep(error);
      if (only_tensors) keep(m->Execute(name, inputs.values(), OptionsOf(limits)).error());
      keep(m->ResetState());
    }
    other.UnloadMethod(name);
  }
  return first;
}

ModuleOptions OptionsOf(const Limits& limits, platform::FileAccess access) {
  ModuleOptions options;
  options.access = access;
  options.delegates = TestDelegates();
  options.memory_limit = limits.max_bytes;
  return options;
}

// A data file with its memory.
class LoadedData {
 public:
  Error Load(Bytes bytes) {
    file_.emplace(bytes);
    const Result<size_t> size = DataFile::MetadataBytes(file_->span(), file_->size());
    if (!size.ok()) return Told(size.error(), nullptr);
    memory_.emplace(*size);
    Arena arena(memory_->data(), memory_->size());
    const Result<DataFile> loaded = DataFile::Load(file_->span(), arena);
    const Result<DataFile> in_place = DataFile::LoadInPlace(file_->span());
    if (loaded.error().reason != in_place.error().reason) std::abort();
    if (!loaded.ok()) return Told(loaded.error(), nullptr);
    data_.emplace(*loaded);
    TouchDataFile(*data_);
    return kOk;
  }
  DataMap map() const { return data_ ? data_->map() : DataMap(); }

 private:
  std::optional<Exact> file_;
  std::optional<Exact> memory_;
  std::optional<DataFile> data_;
};

}  // namespace

Error ExerciseDataFile(Bytes data) { return LoadedData().Load(data); }

Error ExerciseCore(Bytes program_bytes, Bytes data_bytes, const Limits& limits) {
  const Exact file(program_bytes);
  const Result<size_t> size = Program::MetadataBytes(file.span(), file.size());
  if (!size.ok()) return Told(size.error(), nullptr);
  const Exact memory(*size);
  Arena arena(memory.data(), memory.size());
  const Result<Program> program = Program::Load(file.span(), arena);
  const Result<Program> in_place = Program::LoadInPlace(file.span());
  // Both read the same rules.
  if (program.error().reason != in_place.error().reason) std::abort();
  if (!program.ok()) return Told(program.error(), nullptr);
  TouchProgram(*program);

  LoadedData data;
  if (data_bytes.size() > 0) RL_RETURN_IF_ERROR(data.Load(data_bytes));
  Error first = kOk;
  for (size_t m = 0; m < program->num_methods(); ++m) {
    const MethodMeta meta(*program, m);
    TouchMeta(meta);
    const Error error = RunMethod(*program, meta, data.map(), limits);
    if (first.ok()) first = Told(error, &*program);
  }
  return first;
}

Error ExerciseModule(const std::string& program_path, const std::string& data_path,
                     platform::FileAccess access, const Limits& limits) {
  ModuleOptions options = OptionsOf(limits, access);
  if (!data_path.empty()) options.data_files.push_back(data_path);
  Result<Module> module = Module::Load(program_path, options);
  if (!module.ok()) return Told(module.error(), nullptr);
  return RunModule(*module, limits);
}

Error ExerciseBytes(Bytes program, const Limits& limits) {
  const Exact file(program);
  Result<Module> module =
      Module::FromBytes(file.span(), OptionsOf(limits, platform::FileAccess::kMap));
  if (!module.ok()) return Told(module.error(), nullptr);
  return RunModule(*module, limits);
}

TemporaryFile::TemporaryFile(const std::string& name) {
  const char* folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  path_ = std::string(folder) + "/rushlight_" + std::to_string(getpid()) + "_" + name;
}

TemporaryFile::~TemporaryFile() { std::remove(path_.c_str()); }

void TemporaryFile::Write(Bytes bytes) const {
  std::FILE* file = std::fopen(path_.c_str(), "wb");
  if (file == nullptr) std::abort();
  if (!bytes.empty() && std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size()) {
    std::abort();
  }
  if (std::fclose(file) != 0) std::abort();
}

}  // namespace rushlight::hostile
