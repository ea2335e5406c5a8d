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

template <class T>
void AttendRows(const AttentionArgs& args, Rows& rows) {
  const KvCache& cache = args.cache;
  const size_t padded = PaddedValueSize(cache);
  // Bytes of a block, of all heads.
  const size_t key_block = KeyBytes(cache) * kAttentionBlock;
  const size_t value_block = ValueBytes(cache) * kAttentionBlock;
  const uint8_t* const first_keys =
      static_cast<const uint8_t*>(cache.keys) + rows.head * (key_block / cache.kv_heads);
  const uint8_t* const first_values =
      static_cast<const uint8_t*>(cache.values) + rows.head * (value_block / cache.kv_heads);
  for (size_t r = 0; r < rows.count; ++r) {
    std::memcpy(rows.q + r * cache.key_size, Query(args, rows, r), cache.key_size * sizeof(float));
  }
  Range sees[kAttentionRows];
  for (size_t block = rows.all.begin / kAttentionBlock * kAttentionBlock; block < rows.all.end;
       block += kAttentionBlock) {
    const uint8_t* keys = first_keys + block / kAttentionBlock * key_block;
    const uint8_t* values = first_values + block / kAttentionBlock * value_block;
    Scales scales = {};
    if constexpr (sizeof(T) == 1) {
      scales = {reinterpret_cast<const float*>(keys), reinterpret_cast<const float*>(values)};
      keys += kAttentionBlock * sizeof(float);
      values += kAttentionBlock * sizeof(float);
    }
    for (size_t r = 0; r < rows.count; ++r) sees[r] = InBlock(rows.sees[r], block);
    ScoreRows<kItemRows>(rows, reinterpret_cast<const T*>(keys), cache.key_size,
                         key_block / sizeof(T), 0);
    Nothing nothing;
    for (size_t r = 0; r < rows.count; r += kWeighed) {
      Weigh<StoredWeights>(args, block, scales, rows, r, rows.weights + r * kAttentionBlock,
                           nothing);
    }
    AddRows<kItemRows>(rows, sees, reinterpret_cast<const T*>(values), cache.value_size,
                       value_block / sizeof(T), padded, 0);
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
  for (size_t item = args.begin; item < args.end; ++item) {
    Begin(args, item, rows);
    switch (cache.type) {
      case DType::kBFloat16:
        AttendRows<BFloat16>(args, rows);
        break;
      case DType::kFloat16:
        AttendRows<Float16>(args, rows);
        break;
      case DType::kInt8:
        AttendRows<int8_t>(args, rows);
        break;
      default:
        AttendRows<float>(args, rows);
    }
  }
}

}  // namespace rushlight::kernels::RUSHLIGHT_ISA
