// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// AMX, for caches in bf16; others are AVX-512's.
//
// A float meets bf16 as the sum of two: what its upper 16 bits say, and the rest, rounded.  2^-16
// of it is lost at most, where the cache has lost 2^-9.  For rows in tiles of sixteen, or of all
// there are if they are fewer, and each block of positions:
//   1. scores += queries x keys, which are kept as tiles read them
//   2. scores become weights, in two parts (rows-inl.h)
//   3. sums += weights x values, which are put side by side in pairs first, once for all rows
//
// A row's sums have their own order, whatever else is in a tile, so that one row comes to what many
// do: but not to what other instruction sets make of it.  Tiles take subnormal numbers as zero.
//
// A weight of 0 takes a number out of a sum, but neither an infinity nor NaN.  Values that no row
// of an item sees are taken for 0; where only some rows see one that is not finite, each row has
// tiles to itself.  Infinities in what a row does see make it NaN.
#if defined(__x86_64__)

#include <cstring>

#include "src/kernels/attention/attention.h"
#include "src/kernels/packed/tiles_amx.h"
#include "src/kernels/vector/avx512.h"

namespace rushlight::kernels::avx512 {
void Attend(const AttentionArgs& args);
}

#define RUSHLIGHT_ISA amx
RUSHLIGHT_TARGET("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,amx-tile,amx-bf16")
namespace rushlight::kernels::amx {
using namespace avx512;
}
#include "src/kernels/attention/rows-inl.h"

namespace rushlight::kernels::amx {
namespace {

constexpr size_t kStep = 2 * kRows;  // dimensions or positions of a tile
constexpr size_t kGroup = 16;        // positions or dimensions of a tile of sums
constexpr size_t kTile = kTileBytes / sizeof(BFloat16);  // elements
constexpr size_t kGroups = 4;                            // tiles of sums
static_assert(kAttentionRows % kRows == 0 && kAttentionBlock == kGroups * kGroup);

constexpr long kWeightStride = kAttentionBlock * sizeof(float);
constexpr long kKeyStride = kAttentionBlock * 2 * sizeof(BFloat16);

// x as two numbers in the upper halves of lanes.
struct Parts {
  __m512i high, low;
};
RUSHLIGHT_INLINE Parts Split(F32x16 x) {
  const __m512i upper = _mm512_set1_epi32(-65536);
  const __m512i high = _mm512_and_si512(_mm512_castps_si512(x.v), upper);
  const F32x16 rest = x - F32x16{_mm512_castsi512_ps(high)};
  const __m512i rounded = _mm512_add_epi32(_mm512_castps_si512(rest.v), _mm512_set1_epi32(0x8000));
  return {high, _mm512_and_si512(rounded, upper)};
}

// Pairs of a lane each, from upper halves.
RUSHLIGHT_INLINE __m512i Pairs(__m512i even, __m512i odd) {
  return _mm512_or_si512(_mm512_srli_epi32(even, 16), odd);
}

// A row's weights: of each step the high parts, then of each the low ones.  Position i is paired
// with i + 16.
struct SplitWeights {
  static RUSHLIGHT_INLINE void Store(float* row, const F32x16 (&x)[kBlockVectors]) {
    RUSHLIGHT_UNROLL
    for (int v = 0; v < kBlockVectors; v += 2) {
      const Parts even = Split(x[v]), odd = Split(x[v + 1]);
      _mm512_storeu_si512(row + 8 * v, Pairs(even.high, odd.high));
      _mm512_storeu_si512(row + 8 * v + 32, Pairs(even.low, odd.low));
    }
  }
};

// A query's dimensions, then zeros, of `steps` steps: the high parts, then the low ones.
void SplitQuery(const float* q, size_t size, size_t steps, BFloat16* parts) {
  const size_t low = steps * kStep;
  for (size_t d = 0; d < low; d += 16, parts += 16) {
    const size_t left = size > d ? size - d : 0;
    const Parts x = Split(LoadFirst(q + (left == 0 ? 0 : d), left < 16 ? left : 16));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(parts),
                        _mm512_cvtepi32_epi16(_mm512_srli_epi32(x.high, 16)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(parts + low),
                        _mm512_cvtepi32_epi16(_mm512_srli_epi32(x.low, 16)));
  }
}

// sums (tiles 0 to 3, of which there are `groups`) += (tile 4 + tile 5) x b, whose tiles are
// `apart` elements from each other.  Few rows multiply faster where a tile of b is used twice in a
// row.
RUSHLIGHT_INLINE void AddProducts(const BFloat16* b, long stride, size_t apart, size_t groups) {
  _tile_loadd(6, b, stride);
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(0, 5, 6);
  if (groups > 1) {
    _tile_loadd(7, b + apart, stride);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(1, 5, 7);
  }
  if (groups > 2) {
    _tile_loadd(6, b + 2 * apart, stride);
    _tile_dpbf16ps(2, 4, 6);
    _tile_dpbf16ps(2, 5, 6);
  }
  if (groups > 3) {
    _tile_loadd(7, b + 3 * apart, stride);
    _tile_dpbf16ps(3, 4, 7);
    _tile_dpbf16ps(3, 5, 7);
  }
}

RUSHLIGHT_INLINE void StoreSums(float* sums, long stride, size_t groups) {
  _tile_stored(0, sums, stride);
  if (groups > 1) _tile_stored(1, sums + kGroup, stride);
  if (groups > 2) _tile_stored(2, sums + 2 * kGroup, stride);
  if (groups > 3) _tile_stored(3, sums + 3 * kGroup, stride);
}

RUSHLIGHT_INLINE void LoadSums(const float* sums, long stride, size_t groups) {
  _tile_loadd(0, sums, stride);
  if (groups > 1) _tile_loadd(1, sums + kGroup, stride);
  if (groups > 2) _tile_loadd(2, sums + 2 * kGroup, stride);
  if (groups > 3) _tile_loadd(3, sums + 3 * kGroup, stride);
}

// Keys of a block: whole steps as they lie in the cache, and of the last one if it is not whole
// a copy with zeros behind it.
struct Keys {
  const BFloat16* block;
  const BFloat16* last;  // [16, kAttentionBlock, 2]
  size_t whole, steps;
};

// What a tile of rows sees of a block.
struct Sight {
  size_t first;  // row
  Range positions;
};

void Fetch(const BFloat16* p, size_t n) {
  for (size_t i = 0; i < n; i += kLineBytes / sizeof(BFloat16)) __builtin_prefetch(p + i);
}

// A tile of rows' scores, of the groups of positions that any of them sees; a step at a time.
struct ScoreTile {
  const BFloat16* q;
  const Keys* keys;
  size_t groups;
  float* scores;
  size_t ahead;  // elements from these keys to those that are fetched, or 0

  size_t steps() const { return keys->steps; }
  RUSHLIGHT_INLINE void Step(size_t step) const {
    const auto stride = static_cast<long>(2 * keys->steps * kStep * sizeof(BFloat16));
    if (step == 0) {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    }
    _tile_loadd(4, q + step * kStep, stride);
    _tile_loadd(5, q + (keys->steps + step) * kStep, stride);
    const BFloat16* const b =
        step < keys->whole ? keys->block + step * kStep * kAttentionBlock : keys->last;
    if (ahead != 0) Fetch(b + ahead, kStep * kAttentionBlock);
    AddProducts(b, kKeyStride, 2 * kGroup, groups);
    if (step + 1 == keys->steps) StoreSums(scores, kWeightStride, groups);
  }
};

// sums += weights x values, of the steps of positions that any row sees; a step at a time, for four
// groups of dimensions after another.  With strides of 0, a tile of nothing but one row.
struct ValueTile {
  const float* weights;
  const BFloat16* values;
  size_t all_groups;
  Range positions;
  float* sums;
  long weights_stride, stride;

  size_t first_step() const { return positions.begin / kStep; }
  size_t steps_each() const { return DivideUp(positions.end, kStep) - first_step(); }
  size_t steps() const { return steps_each() * DivideUp(all_groups, kGroups); }
  RUSHLIGHT_INLINE void Step(size_t i) const {
    const size_t each = steps_each(), group = i / each * kGroups, step = first_step() + i % each;
    const size_t groups = all_groups - group < kGroups ? all_groups - group : kGroups;
    float* const to = sums + group * kGroup;
    if (i % each == 0) LoadSums(to, stride, groups);
    _tile_loadd(4, weights + step * kStep / 2, weights_stride);
    _tile_loadd(5, weights + (kAttentionBlock + step * kStep) / 2, weights_stride);
    AddProducts(values + (step * all_groups + group) * kTile, kLineBytes, kTile, groups);
    if (i % each == each - 1) StoreSums(to, stride, groups);
  }
};

// Products while rows are weighed, so that they take no time of their own: a tile's values, then
// another tile's scores, or one of them or neither.
struct Products {
  ValueTile value = {};
  ScoreTile score = {};
  size_t value_steps = 0, steps = 0, next = 0;

  void Add(const ValueTile& tile) {
    value = tile;
    steps = value_steps = tile.steps();
  }
  void Add(const ScoreTile& tile) {
    score = tile;
    steps += tile.steps();
  }

  RUSHLIGHT_INLINE void Row(size_t r) { Until((r + 1) * steps / kWeighed); }
  RUSHLIGHT_INLINE void Until(size_t end) {
    if (next < end) FinishStores();
    for (; next < end; ++next) {
      if (next < value_steps) {
        value.Step(next);
      } else {
        score.Step(next - value_steps);
      }
    }
  }
};

// Values of a block, as the lanes that hold bf16 of them: of a position's dimensions from `d` on.
RUSHLIGHT_INLINE __m512i LoadValues(const BFloat16* value, size_t d, size_t size) {
  if (size - d >= kGroup) {
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(value + d)));
  }
  BFloat16 some[kGroup] = {};
  std::memcpy(some, value + d, (size - d) * sizeof(BFloat16));
  return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(some)));
}

// Values of a block as tiles, [steps, groups, 16 pairs of positions, 16, 2]; those of positions
// outside of `sees` are 0.  What lies `ahead` elements on is fetched.
void PairValues(const BFloat16* values, size_t size, Range sees, size_t ahead, BFloat16* tiles) {
  const size_t groups = DivideUp(size, kGroup);
  for (size_t i = 0; i < kAttentionBlock / 2; ++i) {
    const size_t even = i / kRows * kStep + i % kRows, odd = even + kRows;
    const bool has_even = even >= sees.begin && even < sees.end;
    const bool has_odd = odd >= sees.begin && odd < sees.end;
    BFloat16* to = tiles + i / kRows * groups * kTile + i % kRows * 2 * kGroup;
    for (size_t d = 0; d < size; d += kGroup, to += kTile) {
      __m512i x = _mm512_set1_epi32(0);
      if (has_even) x = LoadValues(values + even * size, d, size);
      if (has_odd) {
        x = _mm512_or_si512(x, _mm512_slli_epi32(LoadValues(values + odd * size, d, size), 16));
      }
      _mm512_storeu_si512(to, x);
    }
    for (size_t d = 0; ahead != 0 && d < size; d += kStep) {
      __builtin_prefetch(values + even * size + ahead + d);
      __builtin_prefetch(values + odd * size + ahead + d);
    }
  }
}

// Whether any value of positions that are seen is infinite or NaN: has no bit of the exponent that
// is 0.
bool AnyNotFinite(const BFloat16* values, size_t size, Range sees) {
  const __m512i exponent = _mm512_set1_epi32(0x7f807f80), one = _mm512_set1_epi32(0x00800080);
  const BFloat16 *p = values + sees.begin * size, *const end = values + sees.end * size;
  __m512i any = _mm512_set1_epi32(0);
  for (; p < end; p += kStep) {
    __m512i bits;
    if (end - p >= static_cast<ptrdiff_t>(kStep)) {
      bits = _mm512_loadu_si512(p);
    } else {
      BFloat16 some[kStep] = {};
      std::memcpy(some, p, static_cast<size_t>(end - p) * sizeof(BFloat16));
      bits = _mm512_loadu_si512(some);
    }
    any = _mm512_or_si512(any, _mm512_add_epi32(_mm512_and_si512(bits, exponent), one));
  }
  return _mm512_test_epi32_mask(any, _mm512_set1_epi32(static_cast<int>(0x80008000))) != 0;
}

Range Union(Range a, Range b) {
  if (a.begin == a.end) return b;
  if (b.begin == b.end) return a;
  return {a.begin < b.begin ? a.begin : b.begin, a.end > b.end ? a.end : b.end};
}

// An item's tiles of rows and a block of positions.
struct Block {
  const Rows& rows;
  const BFloat16* queries;  // [rows, 2, steps]
  Keys keys;
  const BFloat16* values;  // as tiles
  size_t padded;           // values of a row
  size_t key_block;        // elements of a block of all heads, or 0: not to fetch the next
  size_t count = 0;        // tiles of rows that see something
  Sight sights[kAttentionRows / kRows] = {};

  float* Weights(size_t i) const { return rows.weights + i % 2 * kRows * kAttentionBlock; }
  ScoreTile Scores(size_t i) const {
    return {queries + sights[i].first * 2 * keys.steps * kStep, &keys,
            DivideUp(sights[i].positions.end, kGroup), Weights(i), i == 0 ? key_block : 0};
  }
  ValueTile Values(size_t i) const {
    return {Weights(i),
            values,
            padded / kGroup,
            sights[i].positions,
            rows.sums + sights[i].first * padded,
            kWeightStride,
            static_cast<long>(padded * sizeof(float))};
  }
};

// An item: tiles of `tile` rows.
void AttendRows(const AttentionArgs& args, size_t tile, Rows& rows, BFloat16* paired) {
  const KvCache& cache = args.cache;
  const size_t padded = PaddedValueSize(cache), pairs = DivideUp(cache.key_size, 2);
  const size_t value_block = ValueElements(cache) * kAttentionBlock;
  alignas(64) BFloat16 last[kRows * 2 * kAttentionBlock];
  auto* const queries = reinterpret_cast<BFloat16*>(rows.q);
  Block b = {rows,   queries, {nullptr, last, pairs / kRows, DivideUp(pairs, kRows)},
             paired, padded,  rows.count <= tile ? KeyElements(cache) * kAttentionBlock : 0};
  for (size_t r = 0; r < rows.count; ++r) {
    SplitQuery(Query(args, rows, r), cache.key_size, b.keys.steps,
               queries + r * 2 * b.keys.steps * kStep);
  }
  for (size_t block = rows.all.begin / kAttentionBlock * kAttentionBlock; block < rows.all.end;
       block += kAttentionBlock) {
    const size_t head = block / kAttentionBlock * cache.kv_heads + rows.head;
    b.keys.block = static_cast<const BFloat16*>(cache.keys) + head * pairs * 2 * kAttentionBlock;
    const BFloat16* const values =
        static_cast<const BFloat16*>(cache.values) + head * cache.value_size * kAttentionBlock;
    if (b.keys.whole < b.keys.steps) {
      const size_t lines = pairs - b.keys.whole * kRows;
      std::memset(static_cast<void*>(last), 0, sizeof last);
      std::memcpy(last, b.keys.block + b.keys.whole * kStep * kAttentionBlock, lines * kKeyStride);
    }
    const Range all = InBlock(rows.all, block);
    bool same = true;  // is what all rows see
    b.count = 0;
    for (size_t first = 0; first < rows.count; first += tile) {
      Range any = {0, 0};
      for (size_t r = first; r < rows.count && r < first + tile; ++r) {
        const Range own = InBlock(rows.sees[r], block);
        same = same && own.begin == all.begin && own.end == all.end;
        any = Union(any, own);
      }
      if (any.end != 0) b.sights[b.count++] = {first, any};
    }
    const bool alone = !same && AnyNotFinite(values, cache.value_size, all);
    Products products;
    if (b.count > 0) products.Add(b.Scores(0));
    products.Until(products.steps);
    if (!alone)
      PairValues(values, cache.value_size, all, rows.count <= tile ? value_block : 0, paired);
    for (size_t i = 0; i < b.count; ++i) {
      const size_t first = b.sights[i].first;
      products = Products{};
      if (i > 0 && !alone) products.Add(b.Values(i - 1));
      if (i + 1 < b.count) products.Add(b.Scores(i + 1));
      Weigh<SplitWeights>(args, block, {}, rows, first, b.Weights(i), products);
      products.Until(products.steps);
      for (size_t r = first; alone && r < rows.count && r < first + tile; ++r) {
        PairValues(values, cache.value_size, InBlock(rows.sees[r], block), 0, paired);
        ValueTile row = b.Values(i);
        row.weights += (r - first) * kAttentionBlock;
        row.sums += (r - first) * padded;
        row.weights_stride = row.stride = 0;
        FinishStores();
        for (size_t step = 0; step < row.steps(); ++step) row.Step(step);
      }
    }
    if (!alone && b.count > 0) {
      products = Products{};
      products.Add(b.Values(b.count - 1));
      products.Until(products.steps);
    }
  }
  // No sign of a zero tells of products with weights of 0.
  for (size_t d = 0; d < rows.count * padded; d += 16) {
    Store(rows.sums + d, Load(rows.sums + d) + Set(0.0f));
  }
  End(args, rows);
}

}  // namespace

void Attend(const AttentionArgs& args) {
  const KvCache& cache = args.cache;
  if (cache.type != DType::kBFloat16 || args.begin == args.end) return avx512::Attend(args);
  // On a line: tiles are read line by line.
  const size_t off = reinterpret_cast<uintptr_t>(args.scratch) / sizeof(float) % 16;
  Rows rows;
  rows.weights = args.scratch + (16 - off) % 16;
  rows.sums = rows.weights + kAttentionRows * kAttentionBlock;
  float* const paired = rows.sums + kAttentionRows * PaddedValueSize(cache);
  rows.q = paired + PaddedValueSize(cache) * kAttentionBlock / 2;
  const size_t count = args.m * (args.heads / cache.kv_heads);
  const size_t tile = count < kRows ? count : kRows;
  const TileConfig config(kRows, tile);
  FinishStores();
  _tile_loadconfig(&config);
  for (size_t item = args.begin; item < args.end; ++item) {
    Begin(args, item, rows);
    AttendRows(args, tile, rows, reinterpret_cast<BFloat16*>(paired));
  }
  _tile_release();
}

}  // namespace rushlight::kernels::amx
RUSHLIGHT_TARGET_END

#endif
