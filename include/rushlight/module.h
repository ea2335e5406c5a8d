// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Module: a program file, loaded and ready to run.  Start here.
//
//   auto module = rushlight::Module::Load("m.pte");
//   if (!module.ok()) { std::puts(rushlight::Describe(module.error()).c_str()); return 1; }
//   auto outputs = module->Forward({input});
//
// A Module owns what it needs: the mapped file, arenas, methods.  Methods load when they are first
// used.  Used by one thread at a time; Share() gives another thread its own state over the same
// file.
//
// What returns a Result or an Error throws nothing, whatever the file holds and even where the heap
// is exhausted; the rest may throw std::bad_alloc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rushlight/host_tensor.h"
#include "rushlight/method.h"
#include "rushlight/platform.h"
#include "rushlight/thread_team.h"

namespace rushlight {

struct ModuleOptions {
  platform::FileAccess access = platform::FileAccess::kMap;
  std::vector<std::string> data_files;  // external weights (.ptd)
  Span<const Span<const Op>> ops;       // none: every operator of the library
  Span<const Delegate> delegates;       // none: every delegate of the library
  // Threads that an execution may use; scratch memory is planned for that many.  0: as many as the
  // system lets this one use CPUs.  Never more than the team has.
  size_t threads = 0;
  ThreadTeam* team = nullptr;  // none: the one that all modules of the process share
  // Most bytes of planned memory, scratch and outputs; 0: what the machine has.
  uint64_t memory_limit = 0;
  // Memory ids that methods share, besides those that hold named state only (which are shared
  // wherever their layouts agree).
  std::vector<uint32_t> shared_memory_ids;
};

class Module {
 public:
  static Result<Module> Load(const std::string& path, const ModuleOptions& options = {});
  // `file` is borrowed, 16-byte aligned (64-byte for the CPU delegate's weights), and must not
  // change while the module lives.
  static Result<Module> FromBytes(Span<const uint8_t> file, const ModuleOptions& options = {});
  Module(Module&&) noexcept;
  ~Module();

  // A module of its own state over the same file and weights.
  Module Share() const;

  const Program& program() const;
  // Those that were given to Load, with defaults filled in.
  const ModuleOptions& options() const;
  // The data files' entries.
  DataMap external_data() const;
  std::vector<std::string> method_names() const;
  Result<MethodMeta> method_meta(std::string_view name) const;

  // Loads a method without running it.
  Error LoadMethod(std::string_view name);
  // Frees a method with its memory and state.
  void UnloadMethod(std::string_view name);
  // The loaded method, for what Execute does not offer.
  Result<Method*> method(std::string_view name);

  // Runs a method.  The outputs are views of the module's memory, valid until its next call.
  Result<std::vector<Value>> Execute(std::string_view name, Span<const Value> inputs,
                                     const ExecuteOptions& options = {});
  Result<std::vector<Value>> Forward(std::initializer_list<Value> inputs,
                                     const ExecuteOptions& options = {}) {
    return Execute("forward", {inputs.begin(), inputs.size()}, options);
  }

  // What one of several modules computes in a call of all of them.
  struct Row {
    Module* module;
    Span<const Value> inputs;
  };
  // Runs a method of several modules over one file (Share()) as one: products take the rows of all
  // of them together, so that weights are read once.  Each computes what it would alone, to the
  // bit; the outputs are those of its method().
  static Error ExecuteTogether(std::string_view name, Span<const Row> rows,
                               const ExecuteOptions& options = {});

  // Zeroes all state, as after loading.
  Error ResetState();
  // Copies another module's state over the same file: what it holds of the first `positions`.
  Error CopyState(const Module& from, size_t positions);
  // The state of the methods that are loaded, of the first `positions`, as bytes.
  Result<std::vector<uint8_t>> SaveState(size_t positions) const;
  // Puts back what SaveState returned for this file, into the same methods; returns its positions.
  // Bytes that are not such a state change nothing.
  Result<size_t> RestoreState(Span<const uint8_t> saved);

 private:
  struct File;
  struct Impl;
  explicit Module(std::unique_ptr<Impl> impl);
  static Result<Module> FromFile(std::shared_ptr<File> file, Span<const uint8_t> bytes);
  Result<Method*> SetInputs(std::string_view name, Span<const Value> inputs);
  Result<std::vector<Value>> Run(std::string_view name, Span<const Value> inputs,
                                 const ExecuteOptions& options);

  std::unique_ptr<Impl> impl_;
};

}  // namespace rushlight
