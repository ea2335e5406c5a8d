// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Method: one entry point of a program, loaded and ready to run.
//
//   Arena arena(memory, meta.arena_bytes());
//   RL_ASSIGN_OR_RETURN(Method method, Method::Load(program, "forward", options, arena));
//   RL_RETURN_IF_ERROR(method.Bind({planned, scratch}));
//   RL_RETURN_IF_ERROR(method.SetInput(0, &tensor));
//   RL_RETURN_IF_ERROR(method.Execute());
//   const Tensor& y = method.output(0).as_tensor();
//
// Allocates nothing but from the arenas.  A Method is used by one thread at a time; Methods of one
// Program may run at once.  It must not outlive the program, the arenas, the tables.  Module
// (module.h) does all of this for you where there is a heap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "rushlight/context.h"
#include "rushlight/delegate.h"
#include "rushlight/event.h"
#include "rushlight/method_meta.h"
#include "rushlight/op.h"

namespace rushlight {

namespace fb {
struct AllocationDetails;
struct Tensor;
}  // namespace fb

struct MethodOptions {
  Span<const Span<const Op>> ops;  // searched in order: the first match wins
  Span<const Delegate> delegates;  // the first match wins
  DataMap external;                // .ptd files
  size_t threads = 1;              // most tasks at once: scratch is sized for it
  // Told of every obstacle before Load gives up with the first; may be null.
  void (*on_obstacle)(void* self, const Error& error) = nullptr;
  void* on_obstacle_self = nullptr;
  // A plan that exists already (shared between methods), or null to load one into the arena.
  const void* (*find_plan)(void* self, const Delegate& delegate,
                           Span<const uint8_t> payload) = nullptr;
  void* find_plan_self = nullptr;
};

// Memory that a method runs in.  All of it is the caller's.
struct MethodMemory {
  Span<const Span<uint8_t>> planned;  // [num_planned], for memory ids 1, 2, ...; 16-byte aligned
  Span<uint8_t> scratch;              // scratch_bytes()
  Span<void* const> state;            // one buffer for each of states()
  // Memory ids whose contents are kept: another method has put the initial state there already.
  Span<const uint32_t> initialized;
};

struct ExecuteOptions {
  Context::Parallel parallel = nullptr;  // null: serial; Module puts its team here
  void* team = nullptr;
  size_t threads = 0;  // at most as many as the method was loaded for; 0: that many
  Budget budget;
  EventSink events;
};

class Method {
 public:
  // Builds the value table and the instructions in `arena`, looks up and prepares every operator,
  // loads delegates.  Planned memory may follow later: a compiler never binds it.
  static Result<Method> Load(const Program& program, std::string_view name,
                             const MethodOptions& options, Arena& arena);
  Method(Method&&) = default;

  // Gives planned tensors their memory and copies initial state into it.
  Error Bind(const MethodMemory& memory);
  size_t scratch_bytes() const { return scratch_bytes_; }
  // Buffers of delegates, all together, in the order that Bind takes them.
  size_t num_states() const { return num_states_; }
  const StateSpec& state(size_t i) const;
  // What a delegate asked for when it was loaded.  Requires: i < num_delegates().
  size_t num_delegates() const { return num_delegates_; }
  PlanInfo delegate_info(size_t i) const;

  const MethodMeta& meta() const { return meta_; }

  // A planned tensor input is copied; another is used where it lies, until the next SetInput.  The
  // program may write into it, unless it is read_only().
  Error SetInput(size_t i, Value value);
  // Memory for an output that is not planned, 16-byte aligned.
  Error SetOutput(size_t i, void* data, size_t bytes);
  // Requires: i < meta().num_outputs().  Valid until the next execution.
  Value output(size_t i) const;
  // The tensor of that name (a buffer the compiler named), between executions.
  Result<Tensor*> NamedBuffer(std::string_view name);

  Error Execute(const ExecuteOptions& options = {});

  // Runs several Methods of the same method of one program, each with its own inputs and state, as
  // one: delegates take all of them in one call.  Each computes what it would alone.  After an
  // error all of them have stopped.
  static Error ExecuteTogether(Span<Method* const> methods, const ExecuteOptions& options = {});

  // One instruction at a time.  False from Step: the method is done.
  Error Begin(const ExecuteOptions& options);
  Result<bool> Step();

  // The operator of an instruction, with the loops it picked; null where it is not a kernel call.
  const Op* instruction_op(size_t i) const;
  const Prepared* instruction_prepared(size_t i) const;

 private:
  struct Instruction;
  struct LoadedDelegate;
  struct Output;

  explicit Method(MethodMeta meta) : meta_(meta) {}

  Error LoadTables(const MethodOptions& options, Arena& arena);
  Error CountDelegateArguments();
  Error LoadDelegates(const MethodOptions& options, Arena& arena);
  Error LoadInstructions(const MethodOptions& options);
  Error BindConstant(const fb::Tensor& t, uint32_t value, Tensor* tensor) const;
  void BindPlanned(const fb::AllocationDetails& a, size_t numel, Tensor* tensor) const;
  Error ReturnBorrowed(uint32_t value, Tensor* tensor) const;
  Error ReturnAllBorrowed();
  Error CheckOutputs() const;
  Error PrepareKernel(const MethodOptions& options, uint32_t op, Instruction* instruction);
  Error Obstacle(const MethodOptions& options, const Error& error);
  DataMap MergedData() const;
  static Error CheckScalarInput(uint32_t index, const Value& expected, const Value& given);
  Error StartInstruction();
  Error FinishInstruction(const Error& error, size_t next);
  Error Stopped(const Error& error);
  Error RunInstruction(const Instruction& instruction, size_t* next);
  DelegateRow RowOf(const Instruction& instruction) const;
  Error CallDelegate(const Instruction& instruction, Span<const DelegateRow> rows);
  static Error StepTogether(Span<Method* const> methods, bool* done);
  static Error DelegateTogether(Span<Method* const> methods, size_t instruction);
  void Notify(EventKind kind, size_t instruction, uint32_t index = 0) const;

  MethodMeta meta_;
  const Program* program_ = nullptr;
  Value* values_ = nullptr;
  Tensor* tensors_ = nullptr;  // of the values that are one, in their order
  size_t num_tensors_ = 0;
  Tensor** input_tensors_ = nullptr;  // [num_inputs], null for scalars
  Instruction* instructions_ = nullptr;
  size_t num_instructions_ = 0;
  LoadedDelegate* delegates_ = nullptr;
  size_t num_delegates_ = 0;
  size_t num_states_ = 0;
  size_t scratch_bytes_ = 0;
  bool* input_set_ = nullptr;    // [num_inputs]
  Output* outputs_ = nullptr;    // [num_outputs]
  uint8_t** planned_ = nullptr;  // [num_planned]
  Span<uint8_t> scratch_;
  Span<void* const> state_;
  DataMap external_;
  size_t threads_ = 1;
  Error first_obstacle_;
  bool bound_ = false;

  // The execution under way.
  Context context_;
  ExecuteOptions options_;
  size_t next_ = 0;
  uint64_t executed_ = 0;
  bool in_progress_ = false;
};

}  // namespace rushlight
