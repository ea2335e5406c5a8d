// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/module.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "rushlight/data_file.h"
#include "rushlight/delegates.h"
#include "rushlight/ops.h"
#include "src/core/file_bytes.h"
#include "src/core/hash.h"
#include "src/core/no_throw.h"
#include "src/core/pages.h"
#include "src/module/saved_state.h"

namespace rushlight {
namespace {

using SharedPages = std::shared_ptr<Pages>;

// A named buffer of state, where a method keeps it.
using NamedRange = std::tuple<std::string_view, uint64_t, uint64_t, DType>;  // name, begin, end

// The planned tensors of one memory id in one method.
struct MemoryUse {
  std::set<NamedRange> named;
  bool unnamed = false;  // there are also tensors without names
};

std::map<uint32_t, MemoryUse> MemoryUses(const MethodMeta& meta) {
  std::map<uint32_t, MemoryUse> uses;
  for (size_t v = 0; v < meta.num_values(); ++v) {
    PlannedTensor planned;
    if (!meta.planned_value(v, &planned)) continue;
    MemoryUse& use = uses[planned.memory_id];
    if (planned.info.name.empty()) {
      use.unnamed = true;
    } else {
      use.named.emplace(planned.info.name, planned.offset, planned.offset + planned.info.nbytes,
                        planned.info.dtype);
    }
  }
  return uses;
}

// Whether methods may use one memory for all of these: each name lies at one place, apart from the
// others.
bool Agree(const std::set<NamedRange>& ranges) {
  std::vector<std::pair<uint64_t, uint64_t>> places;
  std::string_view last;
  for (const auto& [name, begin, end, dtype] : ranges) {
    if (!places.empty() && name == last) return false;
    last = name;
    places.emplace_back(begin, end);
  }
  std::sort(places.begin(), places.end());
  for (size_t i = 1; i < places.size(); ++i) {
    if (places[i].first < places[i - 1].second) return false;
  }
  return true;
}

}  // namespace

// What modules of one file share.
struct Module::File {
  FileBytes bytes;  // empty where they are borrowed
  std::unique_ptr<Pages> metadata;
  Program program;
  std::vector<FileBytes> data_bytes;
  std::vector<std::unique_ptr<Pages>> data_metadata;
  std::vector<std::unique_ptr<DataFile>> data_files;
  ModuleOptions options;
  std::map<uint32_t, size_t> shared_memory;  // memory ids that methods share, with their sizes

  Error LoadProgram(Span<const uint8_t> bytes);
  uint64_t Identity() const;
  Error LoadDataFile(const std::string& path);
  void FindSharedMemory();
  DataMap external() const {
    return DataMap(this, [](const void* self, std::string_view key, NamedBytes* out) {
      for (const auto& f : static_cast<const File*>(self)->data_files) {
        if (f->map().Find(key, out).ok()) return kOk;
      }
      return Error(Reason::kKeyNotFound);
    });
  }
};

Error Module::File::LoadProgram(Span<const uint8_t> all) {
  RL_ASSIGN_OR_RETURN(const size_t size, Program::MetadataBytes(all, all.size()));
  metadata = std::make_unique<Pages>(size);
  RL_CHECK(metadata->ok(), Reason::kHeap, Error::kNone, static_cast<int64_t>(size));
  Arena arena(metadata->data(), size);
  RL_ASSIGN_OR_RETURN(program, Program::Load(all, arena));
  return kOk;
}

// Of the program's description: its graph, and the names of its weights.
uint64_t Module::File::Identity() const {
  const Span<const uint8_t> all = program.file();
  return Fnv1a({reinterpret_cast<const char*>(all.data()), std::min(all.size(), metadata->size())});
}

Error Module::File::LoadDataFile(const std::string& path) {
  RL_ASSIGN_OR_RETURN(FileBytes opened, FileBytes::Open(path.c_str(), options.access));
  const Span<const uint8_t> content = opened.bytes();
  data_bytes.push_back(std::move(opened));
  RL_ASSIGN_OR_RETURN(const size_t size, DataFile::MetadataBytes(content, content.size()));
  auto pages = std::make_unique<Pages>(size);
  RL_CHECK(pages->ok(), Reason::kHeap, Error::kNone, static_cast<int64_t>(size));
  Arena arena(pages->data(), size);
  RL_ASSIGN_OR_RETURN(const DataFile file, DataFile::Load(content, arena));
  data_metadata.push_back(std::move(pages));
  data_files.push_back(std::make_unique<DataFile>(file));
  return kOk;
}

void Module::File::FindSharedMemory() {
  struct Candidate {
    std::set<NamedRange> named;
    size_t methods = 0;
    size_t size = 0;
  };
  std::map<uint32_t, Candidate> candidates;
  const std::set<uint32_t> asked(options.shared_memory_ids.begin(),
                                 options.shared_memory_ids.end());
  for (size_t m = 0; m < program.num_methods(); ++m) {
    const MethodMeta meta(program, m);
    std::map<uint32_t, MemoryUse> uses = MemoryUses(meta);
    for (uint32_t id = 1; id <= meta.num_planned(); ++id) {
      MemoryUse& use = uses[id];
      if (asked.count(id) == 0 && (use.unnamed || use.named.empty())) continue;
      Candidate& c = candidates[id];
      c.named.merge(use.named);
      ++c.methods;
      c.size = std::max(c.size, static_cast<size_t>(meta.planned_bytes(id)));
    }
  }
  for (const auto& [id, c] : candidates) {
    if (c.methods > 1 && (asked.count(id) > 0 || Agree(c.named))) shared_memory[id] = c.size;
  }
}

namespace {

// A method with its memory.
struct LoadedMethod {
  std::unique_ptr<Pages> arena;
  std::vector<SharedPages> planned;
  std::vector<uint32_t> initialized;
  std::unique_ptr<Pages> scratch;
  std::vector<std::unique_ptr<Pages>> outputs;
  std::vector<SharedPages> states;
  std::vector<void*> state_pointers;
  std::unique_ptr<Method> method;

  Error Bind() {
    std::vector<Span<uint8_t>> spans;
    for (const SharedPages& p : planned) spans.emplace_back(p->data(), p->size());
    MethodMemory memory;
    memory.planned = spans;
    memory.scratch = {scratch->data(), scratch->size()};
    memory.state = {state_pointers.data(), state_pointers.size()};
    memory.initialized = initialized;
    return method->Bind(memory);
  }
};

}  // namespace

struct Module::Impl {
  std::shared_ptr<const File> file;
  uint64_t allocated = 0;  // bytes of all Pages below
  std::map<std::string, LoadedMethod, std::less<>> methods;
  std::map<uint32_t, SharedPages> shared_memory;           // initialized: a method was bound to it
  std::map<std::string, SharedPages, std::less<>> states;  // of delegates, by name

  Result<std::unique_ptr<Pages>> Allocate(uint64_t size) {
    const uint64_t limit = file->options.memory_limit;
    RL_CHECK(size <= limit && allocated <= limit - size, Reason::kMemoryBudget, Error::kNone,
             static_cast<int64_t>(allocated + size), static_cast<int64_t>(limit));
    RL_CHECK(size <= PTRDIFF_MAX, Reason::kHeap, Error::kNone, static_cast<int64_t>(size));
    auto pages = std::make_unique<Pages>(static_cast<size_t>(size), &allocated);
    RL_CHECK(pages->ok(), Reason::kHeap, Error::kNone, static_cast<int64_t>(size));
    return pages;
  }
  Error LoadMethod(std::string_view name, LoadedMethod* loaded);
  Error AllocatePlanned(LoadedMethod* loaded);
  Error AllocateStates(LoadedMethod* loaded);
  Error AllocateOutputs(LoadedMethod* loaded);
  // run(options) with threads of the team, unless the options have their own.
  template <class Run>
  Error WithTeam(const ExecuteOptions& options, const Run& run) const {
    if (options.parallel != nullptr) return run(options);
    const size_t most = file->options.threads;
    ThreadTeam::Lease lease(*file->options.team,
                            options.threads == 0 ? most : std::min(options.threads, most));
    ExecuteOptions with_team = options;
    with_team.parallel = &ThreadTeam::Lease::ParallelFor;
    with_team.team = &lease;
    return run(with_team);
  }
  Error ResetState();
  // What is state, by name; of what grows with the positions, the part of that many.
  Result<StateBuffers> Buffers(uint64_t positions) const;
};

Error Module::Impl::LoadMethod(std::string_view name, LoadedMethod* loaded) {
  RL_ASSIGN_OR_RETURN(const MethodMeta meta, MethodMeta::Get(file->program, name));
  MethodOptions options;
  options.ops = file->options.ops;
  options.delegates = file->options.delegates;
  options.external = file->external();
  options.threads = file->options.threads;
  // Delegates may need more than the tables; how much, only they know.
  size_t arena_bytes = meta.arena_bytes() + 16;
  for (;;) {
    RL_ASSIGN_OR_RETURN(loaded->arena, Allocate(arena_bytes));
    Arena arena(loaded->arena->data(), arena_bytes);
    Result<Method> method = Method::Load(file->program, name, options, arena);
    if (method.ok()) {
      loaded->method = std::make_unique<Method>(*std::move(method));
      break;
    }
    const bool too_small = method.error().reason == Reason::kMethodArena;
    if (!too_small || meta.num_delegates() == 0) return method.error();
    loaded->arena.reset();
    arena_bytes = arena_bytes * 2 + 4096;
  }
  RL_RETURN_IF_ERROR(AllocatePlanned(loaded));
  RL_RETURN_IF_ERROR(AllocateStates(loaded));
  RL_ASSIGN_OR_RETURN(loaded->scratch, Allocate(loaded->method->scratch_bytes()));
  platform::WillFill(loaded->scratch->data(), loaded->scratch->size());
  RL_RETURN_IF_ERROR(loaded->Bind());
  RL_RETURN_IF_ERROR(AllocateOutputs(loaded));
  // Memory that others will share stays, now that it holds the initial state.
  for (const auto& [id, size] : file->shared_memory) {
    if (id <= loaded->planned.size()) shared_memory.emplace(id, loaded->planned[id - 1]);
  }
  return kOk;
}

Error Module::Impl::AllocatePlanned(LoadedMethod* loaded) {
  const MethodMeta& meta = loaded->method->meta();
  for (uint32_t id = 1; id <= meta.num_planned(); ++id) {
    const auto shared = file->shared_memory.find(id);
    if (shared == file->shared_memory.end()) {
      RL_ASSIGN_OR_RETURN(std::unique_ptr<Pages> pages, Allocate(meta.planned_bytes(id)));
      loaded->planned.push_back(std::move(pages));
      continue;
    }
    const auto kept = shared_memory.find(id);
    if (kept == shared_memory.end()) {
      RL_ASSIGN_OR_RETURN(std::unique_ptr<Pages> pages, Allocate(shared->second));
      loaded->planned.push_back(std::move(pages));
    } else {
      loaded->planned.push_back(kept->second);
      loaded->initialized.push_back(id);
    }
  }
  return kOk;
}

Error Module::Impl::AllocateStates(LoadedMethod* loaded) {
  for (size_t i = 0; i < loaded->method->num_states(); ++i) {
    const StateSpec& spec = loaded->method->state(i);
    uint64_t bytes = 0;
    RL_CHECK(spec.BytesFor(spec.max_positions, &bytes), Reason::kStateArena,
             static_cast<uint32_t>(i));
    auto kept = states.find(spec.name);
    if (kept == states.end()) {
      RL_ASSIGN_OR_RETURN(std::unique_ptr<Pages> pages, Allocate(bytes));
      kept = states.emplace(spec.name, std::move(pages)).first;
    }
    const SharedPages& pages = kept->second;
    RL_CHECK(pages->size() >= bytes, Reason::kStateArena, static_cast<uint32_t>(i),
             static_cast<int64_t>(pages->size()), static_cast<int64_t>(bytes));
    loaded->states.push_back(pages);
    loaded->state_pointers.push_back(pages->data());
  }
  return kOk;
}

Error Module::Impl::AllocateOutputs(LoadedMethod* loaded) {
  const MethodMeta& meta = loaded->method->meta();
  for (size_t i = 0; i < meta.num_outputs(); ++i) {
    if (meta.output_tag(i) != Tag::kTensor) continue;
    RL_ASSIGN_OR_RETURN(const TensorInfo info, meta.output_tensor(i));
    const Tensor& tensor = loaded->method->output(i).as_tensor();
    if (info.planned || tensor.read_only()) continue;
    RL_ASSIGN_OR_RETURN(std::unique_ptr<Pages> pages, Allocate(info.nbytes));
    RL_RETURN_IF_ERROR(loaded->method->SetOutput(i, pages->data(), pages->size()));
    loaded->outputs.push_back(std::move(pages));
  }
  return kOk;
}

Module::Module(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Module::Module(Module&&) noexcept = default;
Module::~Module() = default;

namespace {

ModuleOptions WithDefaults(ModuleOptions options) {
  if (options.ops.empty()) options.ops = ops::AllOps();
  if (options.delegates.empty()) options.delegates = delegates::AllDelegates();
  if (options.team == nullptr) options.team = &ThreadTeam::Default();
  if (options.threads == 0) options.threads = platform::UsableCpus();
  options.threads = std::min(options.threads, options.team->max_threads());
  if (options.memory_limit == 0) options.memory_limit = platform::TotalMemory();
  if (options.memory_limit == 0) options.memory_limit = UINT64_MAX;
  return options;
}

}  // namespace

Result<Module> Module::Load(const std::string& path, const ModuleOptions& options) {
  return NoThrow([&]() -> Result<Module> {
    auto file = std::make_shared<File>();
    file->options = WithDefaults(options);
    RL_ASSIGN_OR_RETURN(file->bytes, FileBytes::Open(path.c_str(), options.access));
    const Span<const uint8_t> bytes = file->bytes.bytes();
    return FromFile(std::move(file), bytes);
  });
}

Result<Module> Module::FromBytes(Span<const uint8_t> bytes, const ModuleOptions& options) {
  return NoThrow([&] {
    auto file = std::make_shared<File>();
    file->options = WithDefaults(options);
    return FromFile(std::move(file), bytes);
  });
}

Result<Module> Module::FromFile(std::shared_ptr<File> file, Span<const uint8_t> bytes) {
  RL_RETURN_IF_ERROR(file->LoadProgram(bytes));
  for (const std::string& data_file : file->options.data_files) {
    RL_RETURN_IF_ERROR(file->LoadDataFile(data_file));
  }
  file->FindSharedMemory();
  auto impl = std::make_unique<Impl>();
  impl->file = std::move(file);
  return Module(std::move(impl));
}

Module Module::Share() const {
  auto impl = std::make_unique<Impl>();
  impl->file = impl_->file;
  return Module(std::move(impl));
}

const Program& Module::program() const { return impl_->file->program; }
const ModuleOptions& Module::options() const { return impl_->file->options; }
DataMap Module::external_data() const { return impl_->file->external(); }

std::vector<std::string> Module::method_names() const {
  std::vector<std::string> names;
  for (size_t m = 0; m < program().num_methods(); ++m) {
    names.emplace_back(program().method_name(m));
  }
  return names;
}

Result<MethodMeta> Module::method_meta(std::string_view name) const {
  return MethodMeta::Get(program(), name);
}

Error Module::LoadMethod(std::string_view name) {
  if (impl_->methods.find(name) != impl_->methods.end()) return kOk;
  return NoThrow([&]() -> Error {
    LoadedMethod loaded;
    RL_RETURN_IF_ERROR(impl_->LoadMethod(name, &loaded));
    impl_->methods.emplace(std::string(name), std::move(loaded));
    return kOk;
  });
}

void Module::UnloadMethod(std::string_view name) {
  const auto it = impl_->methods.find(name);
  if (it != impl_->methods.end()) impl_->methods.erase(it);
}

Result<Method*> Module::method(std::string_view name) {
  RL_RETURN_IF_ERROR(LoadMethod(name));
  return impl_->methods.find(name)->second.method.get();
}

Result<std::vector<Value>> Module::Execute(std::string_view name, Span<const Value> inputs,
                                           const ExecuteOptions& options) {
  return NoThrow([&] { return Run(name, inputs, options); });
}

Result<std::vector<Value>> Module::Run(std::string_view name, Span<const Value> inputs,
                                       const ExecuteOptions& options) {
  RL_ASSIGN_OR_RETURN(Method* const m, SetInputs(name, inputs));
  RL_RETURN_IF_ERROR(impl_->WithTeam(
      options, [&](const ExecuteOptions& with_team) { return m->Execute(with_team); }));
  std::vector<Value> outputs;
  for (size_t i = 0; i < m->meta().num_outputs(); ++i) outputs.push_back(m->output(i));
  return outputs;
}

Result<Method*> Module::SetInputs(std::string_view name, Span<const Value> inputs) {
  RL_ASSIGN_OR_RETURN(Method* const m, method(name));
  RL_CHECK(inputs.size() == m->meta().num_inputs(), Reason::kInputCount, Error::kNone,
           static_cast<int64_t>(inputs.size()), static_cast<int64_t>(m->meta().num_inputs()));
  for (size_t i = 0; i < inputs.size(); ++i) RL_RETURN_IF_ERROR(m->SetInput(i, inputs[i]));
  return m;
}

Error Module::ExecuteTogether(std::string_view name, Span<const Row> rows,
                              const ExecuteOptions& options) {
  return NoThrow([&]() -> Error {
    std::vector<Method*> methods;
    for (const Row& row : rows) {
      RL_ASSIGN_OR_RETURN(Method* const m, row.module->SetInputs(name, row.inputs));
      methods.push_back(m);
    }
    if (methods.empty()) return kOk;
    return rows[0].module->impl_->WithTeam(options, [&](const ExecuteOptions& with_team) {
      return Method::ExecuteTogether({methods.data(), methods.size()}, with_team);
    });
  });
}

Error Module::ResetState() {
  return NoThrow([&] { return impl_->ResetState(); });
}

Error Module::Impl::ResetState() {
  for (auto& [id, pages] : shared_memory) pages->Zero();
  for (auto& [name, pages] : states) pages->Zero();
  for (auto& [name, loaded] : methods) {
    for (const SharedPages& p : loaded.planned) {
      if (p.use_count() == 1) p->Zero();
    }
    loaded.initialized.clear();  // initial state is put back
    RL_RETURN_IF_ERROR(loaded.Bind());
  }
  return kOk;
}

Result<StateBuffers> Module::Impl::Buffers(uint64_t positions) const {
  StateBuffers buffers;
  for (const auto& [name, loaded] : methods) {
    for (size_t i = 0; i < loaded.method->num_states(); ++i) {
      const StateSpec& spec = loaded.method->state(i);
      uint64_t bytes = 0;
      RL_CHECK(spec.bytes_per_position == 0 || positions <= spec.max_positions,
               Reason::kContextFull, Error::kNone, static_cast<int64_t>(positions),
               static_cast<int64_t>(spec.max_positions));
      RL_CHECK(spec.BytesFor(positions, &bytes), Reason::kStateArena, static_cast<uint32_t>(i));
      buffers[std::string(spec.name)] = {loaded.states[i]->data(), static_cast<size_t>(bytes)};
    }
    const MethodMeta& meta = loaded.method->meta();
    for (size_t v = 0; v < meta.num_values(); ++v) {
      PlannedTensor planned;
      if (!meta.planned_value(v, &planned) || planned.info.name.empty()) continue;
      buffers[name + "/" + std::string(planned.info.name)] = {
          loaded.planned[planned.memory_id - 1]->data() + planned.offset, planned.info.nbytes};
    }
  }
  return buffers;
}

Error Module::CopyState(const Module& from, size_t positions) {
  return NoThrow([&]() -> Error {
    RL_CHECK(impl_->file == from.impl_->file, Reason::kOptionInvalid);
    for (const auto& [name, loaded] : from.impl_->methods) RL_RETURN_IF_ERROR(LoadMethod(name));
    RL_ASSIGN_OR_RETURN(const StateBuffers source, from.impl_->Buffers(positions));
    RL_ASSIGN_OR_RETURN(const StateBuffers target, impl_->Buffers(positions));
    for (const auto& [name, bytes] : source) {
      if (!bytes.empty()) std::memmove(target.at(name).data(), bytes.data(), bytes.size());
    }
    return kOk;
  });
}

Result<std::vector<uint8_t>> Module::SaveState(size_t positions) const {
  return NoThrow([&]() -> Result<std::vector<uint8_t>> {
    RL_ASSIGN_OR_RETURN(const StateBuffers buffers, impl_->Buffers(positions));
    return rushlight::SaveState(impl_->file->Identity(), positions, buffers);
  });
}

Result<size_t> Module::RestoreState(Span<const uint8_t> saved) {
  return NoThrow([&]() -> Result<size_t> {
    RL_ASSIGN_OR_RETURN(const uint64_t positions, SavedPositions(saved, impl_->file->Identity()));
    RL_ASSIGN_OR_RETURN(const StateBuffers buffers, impl_->Buffers(positions));
    RL_RETURN_IF_ERROR(rushlight::RestoreState(saved, buffers));
    return static_cast<size_t>(positions);
  });
}

}  // namespace rushlight
