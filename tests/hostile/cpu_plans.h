// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Small decoders for the CPU delegate, as plans and as programs, made without the compiler.
//
// The key of named data is its size in bytes, in decimal, so that a plan whose sizes were changed
// finds weights that fit (CpuPlanData).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "src/delegates/cpu/schema.h"

namespace rushlight::hostile {

struct DecoderShape {
  uint32_t tokens = 48;  // of the vocabulary
  uint32_t width = 32;
  uint32_t heads = 2;
  uint32_t kv_heads = 1;
  uint32_t head = 16;
  uint32_t mlp = 32;
  uint32_t layers = 1;
  uint32_t max_rows = 8;
  uint32_t positions = 40;
  fb::cpu::MatrixFormat weights = fb::cpu::MatrixFormat_U4;
  uint32_t group = 32;
  fb::cpu::ScaleType scale = fb::cpu::ScaleType_BF16;
  bool minimums = false;
  bool float_activations = false;
  bool bf16_activations = false;
  fb::cpu::CacheType cache = fb::cpu::CacheType_BF16;
  fb::cpu::NormKind norm = fb::cpu::NormKind_RMS;
  fb::cpu::RopeKind rope = fb::cpu::RopeKind_HALVES;
  bool gated = true;        // one product for both halves of the MLP, else two and a Gate
  bool embeddings = false;  // come from the caller, and hidden rows go back to it
  uint32_t window = 0;
};

// (tokens [S] or embeddings [S, width], positions [S]) -> logits [1, tokens], and hidden rows
// [S, width] where embeddings come in.
fb::cpu::PlanT MakeDecoderPlan(const DecoderShape& shape);

// The same as a program: forward(tokens, positions) -> logits.  Requires: !shape.embeddings.
std::vector<uint8_t> MakeDecoderProgram(const DecoderShape& shape);

// (rows [S, 24], mask [S]) -> [S, 8]: rows scaled, shifted, turned, and attended to each other, in
// one group under the mask, or, alone, each in its own.
fb::cpu::PlanT MakeEncoderPlan(bool alone);

// A plan as bytes, its keys made to fit its sizes.
std::vector<uint8_t> PackPlan(fb::cpu::PlanT& plan);

// What a key stands for: numbers of any format that stay numbers.  Empty if it is not a size, or
// one above `limit`.
std::vector<uint8_t> CpuPlanData(std::string_view key, size_t limit);

}  // namespace rushlight::hostile
