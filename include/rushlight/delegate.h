// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Delegate: a part of a method that runs as one piece, by its own rules.
//
// Three things are kept apart:
//   Plan     built once from the payload; immutable; shared by methods, conversations and threads;
//   State    named buffers in the caller's memory (a KV cache, a ring, a recurrent state), one set
//            for each conversation: they may grow, be copied, saved and restored by the caller;
//   Scratch  memory that is free between calls.
//
// There is one entry, for a batch of rows, each with its own state and position.  A delegate call
// of a method is the case of one row.  A delegate is a row of a constexpr table, as operators are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "rushlight/context.h"
#include "rushlight/data_map.h"
#include "rushlight/op.h"
#include "rushlight/value.h"

namespace rushlight {

struct CompileSpec {
  std::string_view key;
  Span<const uint8_t> value;
};

// What a Plan is made of.  Bytes stay mapped for the program's life.
struct PlanSource {
  Span<const uint8_t> payload;
  Span<const CompileSpec> specs;
  DataMap data;      // weights, by key
  size_t arguments;  // of each call: inputs, then outputs
  size_t threads;    // most tasks that will run at once
};

// One named buffer of State.  Buffers of equal names are one buffer for all methods of a program.
struct StateSpec {
  std::string_view name;
  size_t bytes_per_position;  // 0: the size does not depend on the position
  size_t fixed_bytes;         // in addition
  size_t max_positions;
  size_t block = 1;  // positions that memory is in whole numbers of

  // Bytes for that many positions; false if they are too many to count.
  constexpr bool BytesFor(uint64_t positions, uint64_t* bytes) const {
    return !__builtin_add_overflow(positions, uint64_t{block} - 1, &positions) &&
           !__builtin_mul_overflow(uint64_t{bytes_per_position}, positions / block * block,
                                   bytes) &&
           !__builtin_add_overflow(*bytes, uint64_t{fixed_bytes}, bytes);
  }
};

// Weights that a plan reads where they are mapped.
struct PlanWeights {
  Span<const uint8_t> bytes;
  size_t lookups = 0;  // places of it that one call reads at most; 0: it reads all
};

struct PlanInfo {
  size_t scratch_bytes = 0;
  Span<const StateSpec> states;
  Span<const PlanWeights> weights;
};

inline constexpr size_t kPositionFromArguments = SIZE_MAX;

// One row of a batch.
struct DelegateRow {
  Span<void* const> state;  // one buffer for each StateSpec
  size_t capacity = 0;      // positions that the buffers hold now
  size_t position = kPositionFromArguments;
  Args args;
};

struct Delegate {
  const char* id;  // "XnnpackBackend", ...
  // Checks the payload, whole, and builds the Plan in `arena`.
  Result<const void*> (*load)(const PlanSource& source, Arena& arena);
  PlanInfo (*info)(const void* plan);
  Error (*run)(Context& context, const void* plan, Span<const DelegateRow> rows);
};

}  // namespace rushlight
