// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The rows of an item of attention, beside their products with keys and values: what they see, the
// online softmax, what they come to.  Included once for each instruction set (RUSHLIGHT_ISA), in
// its target region.

#include "src/kernels/vector/math-inl.h"

namespace rushlight::kernels::RUSHLIGHT_ISA {
namespace {

constexpr int kBlockVectors = kAttentionBlock / 16;
static_assert(kBlockVectors == 4);
constexpr size_t kWeighed = 16;  // rows together
static_assert(kAttentionRows % kWeighed == 0);

// Of the first `count` of sixteen; for instruction sets that do not take all of them together.
template <class V>
RUSHLIGHT_INLINE V Sums(const V (&a)[kWeighed], size_t count) {
  float sum[kWeighed] = {};
  for (size_t i = 0; i < count; ++i) sum[i] = Sum(a[i]);
  return Load(sum);
}
template <class V>
RUSHLIGHT_INLINE V MaxLanes(const V (&a)[kWeighed], size_t count) {
  float lane[kWeighed] = {};
  for (size_t i = 0; i < count; ++i) lane[i] = MaxLane(a[i]);
  return Load(lane);
}

struct Range {  // of positions
  size_t begin, end;
};

// What the rows of an item have, beside the arguments.
struct Rows {
  float* q;        // [kAttentionRows, key_size]
  float* weights;  // [kAttentionRows, kAttentionBlock]: scores, then weights
  float* sums;     // [kAttentionRows, padded value_size]
  size_t head;     // of keys and values
  size_t first;    // of all rows of the head
  size_t count;
  Range all;  // what any of them sees
  Range sees[kAttentionRows];
  float maximum[kAttentionRows];
  float total[kAttentionRows];  // of the weights
};

// Rows of an item that are about to see the first position; their queries are left to the caller.
void Begin(const AttentionArgs& args, size_t item, Rows& rows) {
  const KvCache& cache = args.cache;
  const size_t group = args.heads / cache.kv_heads, padded = PaddedValueSize(cache);
  const size_t count = args.m * group, tiles = (count + kAttentionRows - 1) / kAttentionRows;
  rows.head = item / tiles;
  rows.first = item % tiles * kAttentionRows;
  rows.count = count - rows.first < kAttentionRows ? count - rows.first : kAttentionRows;
  rows.all = {args.length, 0};
  for (size_t d = 0; d < rows.count * padded; d += 16) Store(rows.sums + d, Set(0.0f));
  for (size_t r = 0; r < kAttentionRows; ++r) {
    rows.maximum[r] = -__builtin_inff();
    rows.total[r] = 0;
  }
  for (size_t r = 0; r < rows.count; ++r) {
    const size_t row = (rows.first + r) / group;
    if (args.sinks != nullptr) {
      const float sink = args.sinks[rows.head * group + (rows.first + r) % group];
      rows.maximum[r] = sink;
      rows.total[r] = sink == -__builtin_inff() ? 0.0f : sink == sink ? 1.0f : sink;
    }
    Range& sees = rows.sees[r];
    sees = {0, args.length};
    const size_t position = args.first_position + row;
    if (args.causal && position < args.length) sees.end = position + 1;
    if (args.window != 0 && position >= args.window) sees.begin = position + 1 - args.window;
    if (sees.begin < rows.all.begin) rows.all.begin = sees.begin;
    if (sees.end > rows.all.end) rows.all.end = sees.end;
  }
}

const float* Query(const AttentionArgs& args, const Rows& rows, size_t r) {
  const size_t group = args.heads / args.cache.kv_heads;
  const size_t row = (rows.first + r) / group, head = rows.head * group + (rows.first + r) % group;
  return args.q + row * args.q_stride + head * args.cache.key_size;
}

// What a row that sees `sees` sees of the block at position `block`, counted from there.
Range InBlock(Range sees, size_t block) {
  const size_t begin = sees.begin > block ? sees.begin - block : 0;
  size_t end = sees.end > block ? sees.end - block : 0;
  if (end > kAttentionBlock) end = kAttentionBlock;
  return begin < end ? Range{begin, end} : Range{0, 0};
}

// Of a block's positions, or null.
struct Scales {
  const float* keys;
  const float* values;
};

// Scores of a row as the softmax takes them, and the highest of each lane.  `sees` counts from the
// block's first position; mask is the block's, or null.
RUSHLIGHT_INLINE F32x16 FinishScores(const AttentionArgs& args, Range sees, const float* mask,
                                     const float* key_scales, float* scores) {
  F32x16 x[kBlockVectors];
  RUSHLIGHT_UNROLL
  for (int v = 0; v < kBlockVectors; ++v) x[v] = Load(scores + 16 * v) * Set(args.scale);
  const bool whole = sees.end - sees.begin == kAttentionBlock;
  if (!whole || key_scales != nullptr || args.soft_cap != 0 || mask != nullptr) {
    const F32x16 nothing = Set(-__builtin_inff());
    const F32x16 begin = Set(static_cast<float>(sees.begin)),
                 end = Set(static_cast<float>(sees.end));
    F32x16 place = Load(kPlaces);
    for (size_t v = 0; v < kBlockVectors; ++v) {
      if (key_scales != nullptr) x[v] = x[v] * Load(key_scales + 16 * v);
      if (args.soft_cap != 0) x[v] = Set(args.soft_cap) * Tanh(x[v] / Set(args.soft_cap));
      if (mask != nullptr && 16 * v < sees.end) {
        const size_t left = sees.end - 16 * v;
        x[v] = x[v] + LoadFirst(mask + 16 * v, left < 16 ? left : 16);
      }
      x[v] = SelectLess(place, begin, nothing, SelectLess(place, end, x[v], nothing));
      place = place + Set(16.0f);
    }
  }
  RUSHLIGHT_UNROLL
  for (int v = 0; v < kBlockVectors; ++v) Store(scores + 16 * v, x[v]);
  return Max(Max(x[0], x[1]), Max(x[2], x[3]));
}

// Scores of a block become weights, which Weights::Store stores; maxima, totals and sums so far
// take them in.  Of sixteen rows from `first` on, or of those there are: a row's steps are the same
// whatever its neighbours are, but they take each step together, so that none waits for its own
// results.
// `meanwhile` does something else, row by row.
template <class Weights, class Meanwhile>
RUSHLIGHT_ONCE void Weigh(const AttentionArgs& args, size_t block, Scales scales, Rows& rows,
                          size_t first, float* scores /*[kWeighed, kAttentionBlock]*/,
                          Meanwhile& meanwhile) {
  const size_t padded = PaddedValueSize(args.cache);
  const size_t count = rows.count - first < kWeighed ? rows.count - first : kWeighed;
  const F32x16 nothing = Set(-__builtin_inff());
  F32x16 part[kWeighed];
  for (size_t r = count; r < kWeighed; ++r) part[r] = nothing;  // some take all
  for (size_t r = 0; r < count; ++r) {
    const float* mask = nullptr;
    if (args.mask != nullptr) {
      const size_t row = (rows.first + first + r) / (args.heads / args.cache.kv_heads);
      mask = args.mask + row * args.mask_stride + block;
    }
    part[r] = FinishScores(args, InBlock(rows.sees[first + r], block), mask, scales.keys,
                           scores + r * kAttentionBlock);
  }
  const F32x16 before = Load(rows.maximum + first);
  const F32x16 maximum = Max(before, MaxLanes(part, count));
  Store(rows.maximum + first, maximum);
  // No infinity less itself.
  const F32x16 base = SelectLess(nothing, maximum, maximum, Set(0.0f));
  const F32x16 shrink = SelectLess(before, maximum, Exp(before - base), Set(1.0f));
  float bases[kWeighed], factors[kWeighed];
  Store(bases, base);
  Store(factors, shrink);
  for (size_t r = 0; r < count; ++r) {
    float* const row = scores + r * kAttentionBlock;
    F32x16 x[kBlockVectors];
    RUSHLIGHT_UNROLL
    for (int v = 0; v < kBlockVectors; ++v) x[v] = Load(row + 16 * v) - Set(bases[r]);
    if constexpr (kTileVectors > 1) {
      ExpAll(x);
    } else {  // registers are few
      RUSHLIGHT_UNROLL
      for (int v = 0; v < kBlockVectors; ++v) x[v] = Exp(x[v]);
    }
    part[r] = (x[0] + x[1]) + (x[2] + x[3]);
    if (scales.values != nullptr) {
      for (int v = 0; v < kBlockVectors; ++v) x[v] = x[v] * Load(scales.values + 16 * v);
    }
    Weights::Store(row, x);
    meanwhile.Row(r);
  }
  Store(rows.total + first, Load(rows.total + first) * shrink + Sums(part, count));
  size_t shrunk[kWeighed], shrunk_count = 0;
  for (size_t r = 0; r < count; ++r) {
    shrunk[shrunk_count] = r;
    shrunk_count += factors[r] != 1.0f;
  }
  for (size_t i = 0; i < shrunk_count; ++i) {
    float* const sums = rows.sums + (first + shrunk[i]) * padded;
    const F32x16 factor = Set(factors[shrunk[i]]);
    for (size_t d = 0; d < padded; d += 16) Store(sums + d, Load(sums + d) * factor);
  }
}

// Rows that have seen all there is.
void End(const AttentionArgs& args, const Rows& rows) {
  const KvCache& cache = args.cache;
  const size_t group = args.heads / cache.kv_heads, padded = PaddedValueSize(cache);
  for (size_t r = 0; r < rows.count; ++r) {
    const size_t row = (rows.first + r) / group,
                 head = rows.head * group + (rows.first + r) % group;
    float* out = args.out + row * args.out_stride + head * cache.value_size;
    const F32x16 part = Set(rows.total[r] == 0 ? 0.0f : 1.0f / rows.total[r]);
    for (size_t d = 0; d < cache.value_size; d += 16) {
      const size_t left = cache.value_size - d;
      const F32x16 x = Load(rows.sums + r * padded + d) * part;
      if (left >= 16) {
        Store(out + d, x);
      } else {
        StoreFirst(out + d, x, left);
      }
    }
  }
}

}  // namespace
}  // namespace rushlight::kernels::RUSHLIGHT_ISA
