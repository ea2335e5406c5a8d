// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The memory planner: where each buffer of a method lies in planned memory.
//
// Buffers that do not live at the same time share bytes, and an elementwise operator may write its
// result over its input.  A planner is a function from a request to a plan, so that callers can
// bring their own; VerifyPlan checks what any of them answers.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "rushlight/error.h"

namespace rushlight::compiler {

// Positions in time: those of instructions, from 0.
inline constexpr int32_t kMethodBegin = INT32_MIN;
inline constexpr int32_t kMethodEnd = INT32_MAX;
inline constexpr uint32_t kMaxMemoryId = 255;

struct BufferSpec {
  uint64_t bytes = 0;
  uint64_t alignment = 16;  // a power of two
  // Lifetime, both ends included; the default is the whole method, for what persists.  Scratch
  // lives for one instruction.
  int32_t first_use = kMethodBegin;
  int32_t last_use = kMethodEnd;
  uint32_t memory_id = 1;  // from 1, as in the program file; each is planned on its own
  // Where it must lie; such buffers may overlap each other.
  std::optional<uint64_t> offset = std::nullopt;
};

// The instruction that reads `input` last and writes `output` first may work in place.  Taken up
// where sizes and memories agree and neither has a fixed offset.
struct InPlaceHint {
  uint32_t input = 0;  // positions in PlanRequest::buffers
  uint32_t output = 0;
};

struct PlanRequest {
  std::vector<BufferSpec> buffers;
  std::vector<InPlaceHint> in_place;
};

struct MemoryPlan {
  std::vector<uint64_t> offsets;  // [buffers]
  std::vector<uint64_t> sizes;    // of memory ids 1, 2, ...; multiples of 16
};

using Planner = std::function<Result<MemoryPlan>(const PlanRequest&)>;

// The planner of this library.  The same request always gives the same plan.
Result<MemoryPlan> PlanMemory(const PlanRequest& request);

// For memory ids 1, 2, ...: no plan can be smaller.
Result<std::vector<uint64_t>> MemoryLowerBounds(const PlanRequest& request);

// That every buffer is aligned and inside its memory, and that no two which live at the same time
// overlap, unless both are fixed or one is computed in place of the other.
Error VerifyPlan(const PlanRequest& request, const MemoryPlan& plan);

}  // namespace rushlight::compiler
