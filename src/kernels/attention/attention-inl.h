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
// A row takes only positions that it sees, whatever its neighbours do.  Decode waits for memory:
// with a block's keys its values are fetched, with these the next block's keys, or the next item's.

#include "src/kernels/attention/rows-inl.h"
#include "src/kernels/vector/line-inl.h"

namespace rushlight::kernels::RUSHLIGHT_ISA {
namespace {

// Rows of a tile: as many as registers hold, and dividing an item.
constexpr int kItemRows = kTileRows > 12 ? 12 : kTileRows;
static_assert(kAttentionRows % kItemRows == 0);
// Vectors of a tile of so many rows: a product's tile, or a wider one where rows are few, so that
// there are sums enough to wait for.
template <int kRows>
constexpr int kWide = kRows > kItemRows / 2 ? kTileVectors : 2 * kTileVectors;
static_assert(kBlockVectors % (2 * kTileVectors) == 0);

// scores[row][i] = sum of q[row][dim] * keys[dim][i]; `next` is fetched meanwhile, a line for a
// line.
template <int kRows, class T>
void ScoreTile(const float* q, size_t size, const T* keys, const T* next, float* scores) {
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
    const T* fetch = next + 16 * kTogether * first;
    for (size_t dim = 0; dim < size; dim += kTogether) {
      RUSHLIGHT_UNROLL
      for (int v = 0; v < kVectors; ++v) __builtin_prefetch(fetch + 16 * kTogether * v);
      AddLine(q + dim, size, key, 16 * kTogether, size - dim, sum);
      key += kTogether * kAttentionBlock;
      fetch += kTogether * kAttentionBlock;
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

struct Nothing {
  RUSHLIGHT_INLINE void Row(size_t) {}
};
struct StoredWeights {
  static RUSHLIGHT_INLINE void Store(float* row, const F32x16 (&x)[kBlockVectors]) {
    RUSHLIGHT_UNROLL
    for (int v = 0; v < kBlockVectors; ++v) RUSHLIGHT_ISA::Store(row + 16 * v, x[v]);
  }
};

template <class T>
RUSHLIGHT_INLINE F32x16 LoadSome(const T* p, size_t n) {
  T some[16] = {};
  std::memcpy(some, p, n * sizeof(T));
  return Load(some);
}

// sums[row][16 * vector] += weights[row][i] * values[i] for positions of the block; of the values
// the first `last` of a vector if it is not whole.
template <int kRows, int kVectors, bool kWhole, class T>
void ValueTile(const float* weights, Range positions, const T* values, size_t size, const T* next,
               size_t padded, size_t last, float* sums) {
  F32x16 sum[kRows][kVectors];
  RUSHLIGHT_UNROLL
  for (int r = 0; r < kRows; ++r) {
    RUSHLIGHT_UNROLL
    for (int v = 0; v < kVectors; ++v) sum[r][v] = Load(sums + r * padded + 16 * v);
  }
  const T* value = values + positions.begin * size;
  const T* fetch = next + positions.begin * size;
  for (size_t i = positions.begin; i < positions.end; ++i, value += size, fetch += size) {
    F32x16 x[kVectors];
    RUSHLIGHT_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      __builtin_prefetch(fetch + 16 * v);
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
void AddValues(const float* weights, Range positions, const T* values, size_t size, const T* next,
               size_t padded, float* sums) {
  if (positions.begin >= positions.end) return;
  constexpr int kVectors = kWide<kRows>;
  size_t d = 0;
  for (; d + 16 * kVectors <= size; d += 16 * kVectors) {
    ValueTile<kRows, kVectors, true>(weights, positions, values + d, size, next + d, padded, 16,
                                     sums + d);
  }
  for (; d + 16 <= size; d += 16) {
    ValueTile<kRows, 1, true>(weights, positions, values + d, size, next + d, padded, 16, sums + d);
  }
  if (d < size) {
    ValueTile<kRows, 1, false>(weights, positions, values + d, size, next + d, padded, size - d,
                               sums + d);
  }
}

// Steps 1 and 3 for all rows: tiles of kRows, then of fewer; the first fetches ahead for all.
template <int kRows>
constexpr int kFewer = kRows > 8   ? kRows / 2
                       : kRows > 4 ? 4
                                   : kRows - 1;

template <int kRows, class T>
void ScoreRows(const Rows& rows, const T* keys, size_t size, const T* next, size_t row) {
  for (; rows.count - row >= kRows; row += kRows) {
    ScoreTile<kRows>(rows.q + row * size, size, keys, row == 0 ? next : keys,
                     rows.weights + row * kAttentionBlock);
  }
  if constexpr (kRows > 1) ScoreRows<kFewer<kRows>>(rows, keys, size, next, row);
}

template <int kRows, class T>
void AddRows(const Rows& rows, const Range* sees, const T* values, size_t size, const T* next,
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
      AddValues<1>(weights + r * kAttentionBlock, own, values, size, values, padded,
                   sums + r * padded);
    }
    AddValues<kRows>(weights, all, values, size, row == 0 ? next : values, padded, sums);
    for (size_t r = 0; r < kRows; ++r) {
      AddValues<1>(weights + r * kAttentionBlock, {all.end, sees[row + r].end}, values, size,
                   values, padded, sums + r * padded);
    }
  }
  if constexpr (kRows > 1) AddRows<kFewer<kRows>>(rows, sees, values, size, next, padded, row);
}

// A head's block of positions.
template <class T>
struct Block {
  const T* keys;
  const T* values;
  Scales scales;
};

template <class T>
RUSHLIGHT_INLINE Block<T> BlockAt(const KvCache& cache, size_t block, size_t head) {
  const size_t first = (block * cache.kv_heads + head) * kAttentionBlock;  // position of all heads'
  const uint8_t* keys =
      static_cast<const uint8_t*>(cache.keys) + first * (KeyBytes(cache) / cache.kv_heads);
  const uint8_t* values =
      static_cast<const uint8_t*>(cache.values) + first * (ValueBytes(cache) / cache.kv_heads);
  Scales scales = {};
  if constexpr (sizeof(T) == 1) {
    scales = {reinterpret_cast<const float*>(keys), reinterpret_cast<const float*>(values)};
    keys += kAttentionBlock * sizeof(float);
    values += kAttentionBlock * sizeof(float);
  }
  return {reinterpret_cast<const T*>(keys), reinterpret_cast<const T*>(values), scales};
}

// `next_head`: of the next item.
template <class T>
void AttendRows(const AttentionArgs& args, Rows& rows, size_t next_head) {
  const KvCache& cache = args.cache;
  const size_t padded = PaddedValueSize(cache);
  for (size_t r = 0; r < rows.count; ++r) {
    std::memcpy(rows.q + r * cache.key_size, Query(args, rows, r), cache.key_size * sizeof(float));
  }
  Range sees[kAttentionRows];
  const size_t first = rows.all.begin / kAttentionBlock;
  const size_t end = (rows.all.end + kAttentionBlock - 1) / kAttentionBlock;
  for (size_t i = first; i < end; ++i) {
    const Block<T> block = BlockAt<T>(cache, i, rows.head);
    const Block<T> next =
        i + 1 < end ? BlockAt<T>(cache, i + 1, rows.head) : BlockAt<T>(cache, first, next_head);
    for (size_t r = 0; r < rows.count; ++r) {
      sees[r] = InBlock(rows.sees[r], i * kAttentionBlock);
    }
    ScoreRows<kItemRows>(rows, block.keys, cache.key_size, block.values, 0);
    Nothing nothing;
    for (size_t r = 0; r < rows.count; r += kWeighed) {
      Weigh<StoredWeights>(args, i * kAttentionBlock, block.scales, rows, r,
                           rows.weights + r * kAttentionBlock, nothing);
    }
    AddRows<kItemRows>(rows, sees, block.values, cache.value_size, next.keys, padded, 0);
  }
  End(args, rows);
}

}  // namespace

void Attend(const AttentionArgs& args) {
  const KvCache& cache = args.cache;
  Rows rows;
  rows.q = args.scratch;
  rows.weights = rows.q + cache.key_size * kAttentionRows;
  rows.sums = rows.weights + kAttentionRows * kAttentionBlock;
  const size_t tiles = AttentionItems(args) / cache.kv_heads;
  for (size_t item = args.begin; item < args.end; ++item) {
    Begin(args, item, rows);
    const size_t next_head = item + 1 < args.end ? (item + 1) / tiles : rows.head;
    switch (cache.type) {
      case DType::kBFloat16:
        AttendRows<BFloat16>(args, rows, next_head);
        break;
      case DType::kFloat16:
        AttendRows<Float16>(args, rows, next_head);
        break;
      case DType::kInt8:
        AttendRows<int8_t>(args, rows, next_head);
        break;
      default:
        AttendRows<float>(args, rows, next_head);
    }
  }
}

}  // namespace rushlight::kernels::RUSHLIGHT_ISA
