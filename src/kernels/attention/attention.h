// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Attention of query rows over a cache of keys and values: decode is one row, prefill is many.
//
//   out = softmax(cap(scale * q k^T) + mask) v
//
// The query heads that share a key-value head are done together, so that keys and values are read
// once.  Positions are taken in blocks of 64 from position 0 on, with an online softmax, and each
// output is one chain of the same operations: rows, heads and threads do not show in a result, and
// all instruction sets agree bit for bit.
#pragma once

#include <cstddef>

#include "rushlight/dtype.h"
#include "src/kernels/isa.h"
#include "src/kernels/packed/quantize.h"

namespace rushlight::kernels {

inline constexpr size_t kAttentionBlock = 64;  // positions

// One layer's keys and values; owns nothing.
//
// Positions lie in blocks, so that a cache of more positions begins as one of fewer does.  Keys are
// kept as products with queries read them: the positions of a block side by side, in half precision
// with the dimensions in pairs.
//
// A head's keys at a position, and its values, are quantized to int8 with a scale of their own
// (quantize.h).  The scales of a block, floats, lie in front of it, so that nothing is named, saved
// or grown apart from what it belongs to.
struct KvCache {
  DType type;    // kFloat32, kBFloat16, kFloat16 or kInt8
  void* keys;    // [blocks, kv_heads, key_size, kAttentionBlock], or
                 // [blocks, kv_heads, key_size / 2, kAttentionBlock, 2]
  void* values;  // [blocks, kv_heads, kAttentionBlock, value_size]
  size_t kv_heads;
  size_t key_size;    // of a head
  size_t value_size;  // of a head; multiples of 16 are fast
};

// Elements of a position's keys and values, of all heads.
constexpr size_t KeyElements(const KvCache& c) {
  return c.kv_heads * (ElementSize(c.type) == 2 ? (c.key_size + 1) / 2 * 2 : c.key_size);
}
constexpr size_t ValueElements(const KvCache& c) { return c.kv_heads * c.value_size; }

// Bytes of a scale.
constexpr size_t ScaleBytes(const KvCache& c) { return c.type == DType::kInt8 ? sizeof(float) : 0; }
// Bytes of a position's keys and values, of all heads, with their scales.
constexpr size_t KeyBytes(const KvCache& c) {
  return KeyElements(c) * ElementSize(c.type) + c.kv_heads * ScaleBytes(c);
}
constexpr size_t ValueBytes(const KvCache& c) {
  return ValueElements(c) * ElementSize(c.type) + c.kv_heads * ScaleBytes(c);
}

// Positions in whole blocks: what memory there has to be for.
constexpr size_t BlockPositions(size_t positions) {
  return (positions + kAttentionBlock - 1) / kAttentionBlock * kAttentionBlock;
}

struct AppendArgs {
  KvCache cache;
  size_t position;      // of the first row
  size_t m;             // rows
  const float* keys;    // [m, kv_heads, key_size]
  size_t keys_stride;   // of rows, in elements
  const float* values;  // [m, kv_heads, value_size]
  size_t values_stride;
  size_t begin, end;  // key-value heads to write, end <= cache.kv_heads
  // Of kInt8 alone: how rows are quantized, and memory for one, QuantizedStride(the larger size).
  void (*quantize)(const QuantizeArgs&);
  int8_t* quantized;
};

// Writes rows into the cache in its type, rounded to nearest, ties to even.  To int8, keys or
// values with a NaN or an infinity become NaN, all of a head.
void AppendToCache(const AppendArgs& args);

struct AttentionArgs {
  KvCache cache;
  const float* q;     // [m, heads, key_size]
  size_t q_stride;    // of rows, in elements
  float* out;         // [m, heads, value_size]
  size_t out_stride;  // of rows, in elements
  size_t m;           // query rows
  size_t heads;       // of queries.  Requires: a multiple of cache.kv_heads
  // Row i is at position first_position + i and sees the positions before `length` that are
  // not behind its own (if causal) and of these the last `window` (unless 0).
  // Requires: window == 0 unless causal.
  size_t length;
  size_t first_position;
  bool causal;
  size_t window;
  float scale;
  float soft_cap;      // scores become cap * tanh(score / cap), unless 0
  const float* sinks;  // [heads]: scores of nothing, which take their share of the sum; or null
  const float* mask;   // [m, length], added to the scores; or null
  size_t mask_stride;  // of rows, in elements
  // Which of the AttentionItems to compute.
  size_t begin, end;
  float* scratch;  // AttentionScratch(cache) floats, for this call alone
};

inline constexpr size_t kAttentionRows = 48;  // query rows, of all heads that share keys, at once

// The pieces that threads can take: a key-value head for some of the rows.
constexpr size_t AttentionItems(const AttentionArgs& args) {
  const size_t rows = args.m * (args.heads / args.cache.kv_heads);
  return args.cache.kv_heads * ((rows + kAttentionRows - 1) / kAttentionRows);
}

// Values of a head as they are summed up: in whole vectors.
constexpr size_t PaddedValueSize(const KvCache& cache) { return (cache.value_size + 15) / 16 * 16; }

// Queries, scores and sums of an item's rows; a block's values; and what puts them on a line.
constexpr size_t AttentionScratch(const KvCache& cache) {
  return kAttentionRows *
             ((cache.key_size + 31) / 32 * 32 + kAttentionBlock + PaddedValueSize(cache)) +
         kAttentionBlock / 2 * PaddedValueSize(cache) + 16;
}

// A row that sees nothing, or scores of minus infinity alone, is 0.
using Attention = void (*)(const AttentionArgs& args);
extern const PerIsa<Attention> kAttention;
// The same where all rows come in one call; with AMX, caches in bf16 are multiplied in tiles, which
// sum in an order of their own.  (One row at a time is slower in tiles, and would have to take
// them.)
extern const PerIsa<Attention> kTiledAttention;

}  // namespace rushlight::kernels
