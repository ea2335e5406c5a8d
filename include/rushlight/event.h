// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Event hooks: what a profiler or a debugger listens to.  Costs one branch where nobody does.
#pragma once

#include <cstdint>

#include "rushlight/value.h"

namespace rushlight {

enum class EventKind : uint8_t {
  kExecuteBegin,
  kExecuteEnd,
  kInstructionBegin,  // instruction: its position; a delegate call is an instruction too
  kInstructionEnd,
  kDelegateStep,  // a delegate begins a step of its own; index: the step
};

struct Event {
  EventKind kind;
  uint32_t instruction;
  uint32_t index;
  int64_t nanoseconds;           // platform::MonotonicNanos()
  const Value* values;           // the method's value table, to look at operands
  Span<const int32_t> operands;  // positions in it
};

struct EventSink {
  void (*notify)(void* self, const Event& event) = nullptr;
  void* self = nullptr;
};

}  // namespace rushlight
