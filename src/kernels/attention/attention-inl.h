// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Attention, written once.  Included for each instruction set (RUSHLIGHT_ISA), in its target
// region.
//
// For up to kAttentionRows rows (query row and head of a group) and each block of positions:
//   1. scores = rows x keys, sums in registers, one chain over key_size
//   2. scores become weights e^(score - maximum so far); earlier sums are scaled where it grew
//   3. sums += weights x values, one chain over positions
// Integers are multiplied as they are: a position's scales, where it has them, are factors of its
// score and of its weight.
// A row takes only positions that it sees, whatever its neighbours do.  Keys and values are fetched
// a block ahead: decode waits for memory.

#include "src/kernels/vector/line-inl.h"
#include "src/kernels/vector/math-inl.h"

namespace rushlight::kernels::RUSHLIGHT_ISA {
namespace {

constexpr int kBlockVectors = kAttentionBlock / 16;
// Vectors of a tile of so many rows: a product's tile, or a wider one where rows are few, so that
// there are sums enough to wait for.
template <int kRows>
constexpr int kWide = kRows > kTileRows / 2 ? kTileVectors : 2 * kTileVectors;
static_assert(kBlockVectors % (2 * kTileVectors) == 0);

struct Range {  // of positions
  size_t begin, end;
};

// What the rows of an item have, beside the arguments.
struct Rows {
  float* q;        // [kAttentionRows, key_size]
  float* weights;  // [kAttentionRows, kAttentionBlock]: scores, then weights
  float* sums;     // [kAttentionRows, padded value_size]
  size_t count;
  float maximum[kAttentionRows];
  float total[kAttentionRows];  // of the weights
  Range sees[kAttentionRows];
};

// scores[row][i] = sum of q[row][dim] * keys[dim][i]; `ahead` elements on are fetched.
template <int kRows, class T>
void ScoreTile(const float* q, size_t size, const T* keys, size_t ahead, float* scores) {
  constexpr int kVectors = kWide<kRows>;
  constexpr size_t kTogether = sizeof(T) == 2 ? 2 : 1;
  for (int first = 0; first < kBlockVectors; first += kVectors) {
    F32x16 sum[kRows][kVectors];
    RUSHLIGHT_UNROLL
    for (int r = 0; r < kRows; ++r) {
      RUSHLIGHT_UNROLL
      for (int v = 0; v < kVectors; ++v) sum[r][v] = Set(0.0f);
    }
    const T* key = keys + 16 * kTogether * first;
    for (size_t dim = 0; dim < size; dim += kTogether, key += kTogether * kAttentionBlock) {
      RUSHLIGHT_UNROLL
      for (int v = 0; v < kVectors; ++v) __builtin_prefetch(key + ahead + 16 * kTogether * v);
      AddLine(q + dim, size, key, 16 * kTogether, size - dim, sum);
    }
    RUSHLIGHT_UNROLL
    for (int r = 0; r < kRows; ++r) {
      RUSHLIGHT_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        Store(scores + r * kAttentionBlock + 16 * (first + v), sum[r][v]);
      }
    }
  }
}

// Of a block's positions, or null.
struct Scales {
  const float* keys;
  const float* values;
};

// Scores of a row become weights; its maximum and total take them in.  `sees` counts from the
// block's first position; mask is the block's, or null.
void Weigh(const AttentionArgs& args, Range sees, const float* mask, Scales scales, float* scores,
           float* maximum, float* total, float* sums) {
  const F32x16 nothing = Set(-__builtin_inff());
  const auto begin = static_cast<float>(sees.begin), end = static_cast<float>(sees.end);
  const bool whole = sees.begin == 0 && sees.end == kAttentionBlock;
  F32x16 place = Load(kPlaces);
  F32x16 x[kBlockVectors];
  for (size_t v = 0; v < kBlockVectors; ++v) {
    x[v] = Load(scores + 16 * v) * Set(args.scale);
    if (scales.keys != nullptr) x[v] = x[v] * Load(scales.keys + 16 * v);
    if (args.soft_cap != 0) x[v] = Set(args.soft_cap) * Tanh(x[v] / Set(args.soft_cap));
    if (mask != nullptr && 16 * v < sees.end) {
      const size_t left = sees.end - 16 * v;
      x[v] = x[v] + LoadFirst(mask + 16 * v, left < 16 ? left : 16);
    }
    if (whole) continue;
    x[v] = SelectLess(place, Set(begin), nothing, SelectLess(place, Set(end), x[v], nothing));
    place = place + Set(16.0f);
  }
  const float highest = MaxLane(Max(Max(x[0], x[1]), Max(x[2], x[3])));
  const float before = *maximum;
  *maximum = before > highest ? before : highest;
  const float base = *maximum == -__builtin_inff() ? 0.0f : *maximum;  // no infinity less itself
  for (int v = 0; v < kBlockVectors; ++v) {
    x[v] = Exp(x[v] - Set(base));
    const F32x16 weight = scales.values == nullptr ? x[v] : x[v] * Load(scales.values + 16 * v);
    Store(scores + 16 * v, weight);
  }
  const float added = Sum((x[0] + x[1]) + (x[2] + x[3]));
  if (before == *maximum) {
    *total += added;
    return;
  }
  float shrink[16];
  const F32x16 factor = Exp(Set(before - base));
  Store(shrink, factor);
  *total = *total * shrink[0] + added;
  const size_t padded = PaddedValueSize(args.cache);
  for (size_t d = 0; d < padded; d += 16) Store(sums + d, Load(sums + d) * factor);
}

template <class T>
RUSHLIGHT_INLINE F32x16 LoadSome(const T* p, size_t n) {
  T some[16] = {};
  std::memcpy(some, p, n * sizeof(T));
  return Load(some);
}

// sums[row][16 * vector] += weights[row][i] * values[i] for positions of the block; of the values
// the first `last` of a vector if it is not whole.
template <int kRows, int kVectors, bool kWhole, class T>
void ValueTile(const float* weights, Range positions, const T* values, size_t size, size_t ahead,
               size_t padded, size_t last, float* sums) {
  F32x16 sum[kRows][kVectors];
  RUSHLIGHT_UNROLL
  for (int r = 0; r < kRows; ++r) {
    RUSHLIGHT_UNROLL
    for (int v = 0; v < kVectors; ++v) sum[r][v] = Load(sums + r * padded + 16 * v);
  }
  const T* value = values + positions.begin * size;
  for (size_t i = positions.begin; i < positions.end; ++i, value += size) {
    F32x16 x[kVectors];
    RUSHLIGHT_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      __builtin_prefetch(value + 16 * v + ahead);
      if constexpr (kWhole) {
        x[v] = Load(value + 16 * v);
      } else {
        x[v] = LoadSome(value + 16 * v, last);
      }
    }
    RUSHLIGHT_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const F32x16 w = Set(weights[r * kAttentionBlock + i]);
      RUSHLIGHT_UNROLL
      for (int v = 0; v < kVectors; ++v) sum[r][v] = MulAdd(w, x[v], sum[r][v]);
    }
  }
  RUSHLIGHT_UNROLL
  for (int r = 0; r < kRows; ++r) {
    RUSHLIGHT_UNROLL
    for (int v = 0; v < kVectors; ++v) Store(sums + r * padded + 16 * v, sum[r][v]);
  }
}

template <int kRows, class T>
void AddValues(const float* weights, Range positions, const T* values, size_t size, size_t ahead,
               size_t padded, float* sums) {
  if (positions.begin >= positions.end) return;
  constexpr int kVectors = kWide<kRows>;
  size_t d = 0;
  for (; d + 16 * kVectors <= size; d += 16 * kVectors) {
    ValueTile<kRows, kVectors, true>(weights, positions, values + d, size, ahead, padded, 16,
                                     sums + d);
  }
  for (; d + 16 <= size; d += 16) {
    ValueTile<kRows, 1, true>(weights, positions, values + d, size, ahead, padded, 16, sums + d);
  }
  if (d < size) {
    ValueTile<kRows, 1, false>(weights, positions, values + d, size, ahead, padded, size - d,
                               sums + d);
  }
}

// Steps 1 and 3 for all rows: tiles of kRows, then of fewer; the first fetches ahead for all.
template <int kRows>
constexpr int kFewer = kRows > 8   ? kRows / 2
                       : kRows > 4 ? 4
                                   : kRows - 1;

template <int kRows, class T>
void ScoreRows(const Rows& rows, const T* keys, size_t size, size_t ahead, size_t row) {
  for (; rows.count - row >= kRows; row += kRows) {
    ScoreTile<kRows>(rows.q + row * size, size, keys, row == 0 ? ahead : 0,
                     rows.weights + row * kAttentionBlock);
  }
  if constexpr (kRows > 1) ScoreRows<kFewer<kRows>>(rows, keys, size, ahead, row);
}

template <int kRows, class T>
void AddRows(const Rows& rows, const Range* sees, const T* values, size_t size, size_t ahead,
             size_t padded, size_t row) {
  for (; rows.count - row >= kRows; row += kRows) {
    const float* weights = rows.weights + row * kAttentionBlock;
    float* sums = rows.sums + row * padded;
    Range all = sees[row];  // what all of these rows see
    for (size_t r = 1; r < kRows; ++r) {
      all.begin = sees[row + r].begin > all.begin ? sees[row + r].begin : all.begin;
      all.end = sees[row + r].end < all.end ? sees[row + r].end : all.end;
    }
    if (all.begin >= all.end) all.begin = all.end = kAttentionBlock;
    for (size_t r = 0; r < kRows; ++r) {
      const Range own = {sees[row + r].begin,
                         sees[row + r].end < all.begin ? sees[row + r].end : all.begin};
      AddValues<1>(weights + r * kAttentionBlock, own, values, size, 0, padded, sums + r * padded);
    }
    AddValues<kRows>(weights, all, values, size, row == 0 ? ahead : 0, padded, sums);
    for (size_t r = 0; r < kRows; ++r) {
      AddValues<1>(weights + r * kAttentionBlock, {all.end, sees[row + r].end}, values, size, 0,
                   padded, sums + r * padded);
    }
  }
  if constexpr (kRows > 1) AddRows<kFewer<kRows>>(rows, sees, values, size, ahead, padded, row);
}

// An item: rows first ... first + rows.count of a key-value head.
template <class T>
void AttendRows(const AttentionArgs& args, size_t head, size_t first, Rows& rows) {
  const KvCache& cache = args.cache;
  const size_t group = args.heads / cache.kv_heads, padded = PaddedValueSize(cache);
  // Bytes of a block, of all heads.
  const size_t key_block = KeyBytes(cache) * kAttentionBlock;
  const size_t value_block = ValueBytes(cache) * kAttentionBlock;
  const uint8_t* const first_keys =
      static_cast<const uint8_t*>(cache.keys) + head * (key_block / cache.kv_heads);
  const uint8_t* const first_values =
      static_cast<const uint8_t*>(cache.values) + head * (value_block / cache.kv_heads);
  Range all = {args.length, 0};  // what any row sees
  for (size_t r = 0; r < rows.count; ++r) {
    const size_t row = (first + r) / group, query_head = head * group + (first + r) % group;
    std::memcpy(rows.q + r * cache.key_size,
                args.q + row * args.q_stride + query_head * cache.key_size,
                cache.key_size * sizeof(float));
    for (size_t d = 0; d < padded; d += 16) Store(rows.sums + r * padded + d, Set(0.0f));
    rows.maximum[r] = args.sinks != nullptr ? args.sinks[query_head] : -__builtin_inff();
    rows.total[r] = rows.maximum[r] == -__builtin_inff() ? 0.0f : 1.0f;
    Range& sees = rows.sees[r];
    sees = {0, args.length};
    const size_t position = args.first_position + row;
    if (args.causal && position < args.length) sees.end = position + 1;
    if (args.window != 0 && position >= args.window) sees.begin = position + 1 - args.window;
    if (sees.begin < all.begin) all.begin = sees.begin;
    if (sees.end > all.end) all.end = sees.end;
  }

  Range sees[kAttentionRows];
  for (size_t block = all.begin / kAttentionBlock * kAttentionBlock; block < all.end;
       block += kAttentionBlock) {
    const size_t count = all.end - block < kAttentionBlock ? all.end - block : kAttentionBlock;
    const uint8_t* keys = first_keys + block / kAttentionBlock * key_block;
    const uint8_t* values = first_values + block / kAttentionBlock * value_block;
    Scales scales = {};
    if constexpr (sizeof(T) == 1) {
      scales = {reinterpret_cast<const float*>(keys), reinterpret_cast<const float*>(values)};
      keys += kAttentionBlock * sizeof(float);
      values += kAttentionBlock * sizeof(float);
    }
    ScoreRows<kTileRows>(rows, reinterpret_cast<const T*>(keys), cache.key_size,
                         key_block / sizeof(T), 0);
    for (size_t r = 0; r < rows.count; ++r) {
      const Range& own = rows.sees[r];
      sees[r].begin = own.begin > block ? own.begin - block : 0;
      sees[r].end = own.end < block ? 0 : own.end - block < count ? own.end - block : count;
      if (sees[r].begin >= sees[r].end) {
        sees[r] = {0, 0};
        continue;
      }
      const float* mask = args.mask == nullptr
                              ? nullptr
                              : args.mask + (first + r) / group * args.mask_stride + block;
      Weigh(args, sees[r], mask, scales, rows.weights + r * kAttentionBlock, &rows.maximum[r],
            &rows.total[r], rows.sums + r * padded);
    }
    AddRows<kTileRows>(rows, sees, reinterpret_cast<const T*>(values), cache.value_size,
                       value_block / sizeof(T), padded, 0);
  }

  for (size_t r = 0; r < rows.count; ++r) {
    const size_t row = (first + r) / group, query_head = head * group + (first + r) % group;
    float* out = args.out + row * args.out_stride + query_head * cache.value_size;
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

void Attend(const AttentionArgs& args) {
  const KvCache& cache = args.cache;
  Rows rows;
  rows.q = args.scratch;
  rows.weights = rows.q + cache.key_size * kAttentionRows;
  rows.sums = rows.weights + kAttentionRows * kAttentionBlock;
  const size_t count = args.m * (args.heads / cache.kv_heads);
  const size_t tiles = (count + kAttentionRows - 1) / kAttentionRows;
  for (size_t item = args.begin; item < args.end; ++item) {
    const size_t head = item / tiles, first = item % tiles * kAttentionRows;
    rows.count = count - first < kAttentionRows ? count - first : kAttentionRows;
    switch (cache.type) {
      case DType::kBFloat16:
        AttendRows<BFloat16>(args, head, first, rows);
        break;
      case DType::kFloat16:
        AttendRows<Float16>(args, head, first, rows);
        break;
      case DType::kInt8:
        AttendRows<int8_t>(args, head, first, rows);
        break;
      default:
        AttendRows<float>(args, head, first, rows);
    }
  }
}

}  // namespace rushlight::kernels::RUSHLIGHT_ISA
