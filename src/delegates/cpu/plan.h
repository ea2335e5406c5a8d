// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Plan: a payload that was checked (format/cpu_plan.fbs), and what its steps point to.  Weights
// stay where they are mapped.
#pragma once

#include "rushlight/delegate.h"
#include "src/kernels/attention/attention.h"
#include "src/kernels/packed/matmul_bf16.h"
#include "src/kernels/packed/matmul_float.h"
#include "src/kernels/rows/rows.h"

namespace rushlight::fb::cpu {
struct Cache;
struct Plan;
struct SelfAttention;
}  // namespace rushlight::fb::cpu

namespace rushlight::delegates::cpu {

struct Plan {
  const fb::cpu::Plan* source;
  const kernels::PackedMatrix* matrices;  // [matrices]
  const float* const* vectors;            // [vectors]
  Span<const StateSpec> states;           // keys, then values, of each cache
  Span<const PlanWeights> weights;        // matrices, then the vectors
  size_t max_rows;
  size_t threads;

  // Scratch, in this order.  Of each row:
  size_t row_floats;        // all buffers
  size_t quantized_stride;  // bytes of the widest quantized row, or row in bf16
  size_t quantized_groups;  // most groups of one
  // Of each thread, for attention, or for outputs of sequences that lie apart:
  size_t thread_floats;

  const kernels::IntegerKernels* integers;
  kernels::FloatMatmul float_matmul;
  kernels::RoundRow round_row;
  kernels::BF16Matmul bf16_matmul;
  const kernels::RowKernels* rows;
  kernels::Attention attention;       // of a cache
  kernels::Attention self_attention;  // without one
};

// One row of a delegate's batch: tokens behind one another, with a position and state of their own.
struct Sequence {
  const DelegateRow* source;
  size_t first;  // of its rows among those of all
  size_t rows;
  size_t position;  // of the first row
};

// Checks the payload, whole, and what it refers to.
Result<const Plan*> LoadPlan(const PlanSource& source, Arena& arena);

// A cache without its memory.
kernels::KvCache CacheOf(const fb::cpu::Cache& cache);

// One head's keys and values while its group attends, without their memory.
kernels::KvCache HeadCacheOf(const fb::cpu::SelfAttention& step);

// What a thread needs for them, and to attend.
size_t SelfAttentionFloats(const fb::cpu::SelfAttention& step);

// Bytes of scratch for `rows` rows.
size_t ScratchBytes(const Plan& plan, size_t rows);

}  // namespace rushlight::delegates::cpu
