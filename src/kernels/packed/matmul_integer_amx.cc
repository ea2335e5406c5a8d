// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// AMX.  Some inputs of a panel, a slice, become signed bytes a tile behind the other, and floats
// for scales and minimums, once for all rows of a block.
//
// Of groups, the dot products of many are made, and then scaled: the sums of sixteen rows are in
// registers, the scales of rows are operands in memory, turned for it once for all panels.  What is
// one group whole stays in tiles, those of two panels and two times sixteen rows; its bytes are
// tiles as they lie in the file.
//
// Nibbles with scales of two levels become the bytes that they stand for: one group, too.
//
// Rows that are left over are AVX-512's, as are groups of unusual sizes.  A tile does not reach
// into the next group, so that small groups fill a part of it.  The last one of a row may reach
// behind it, where activations are zero.
#if defined(__x86_64__)

#include <cstring>

#include "src/kernels/packed/matmul_integer.h"
#include "src/kernels/packed/tiles_amx.h"
#include "src/kernels/vector/avx512.h"

#define RUSHLIGHT_ISA amx
RUSHLIGHT_TARGET("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,amx-tile,amx-int8")
namespace rushlight::kernels::amx {
using namespace avx512;
}
#include "src/kernels/packed/epilogue-inl.h"
#include "src/kernels/packed/levels_avx512-inl.h"
#include "src/kernels/packed/scales-inl.h"

namespace rushlight::kernels::amx {
namespace {

inline constexpr size_t kInputs = 64;             // of a tile, at most
inline constexpr size_t kSliceInputs = 1024;      // at most
inline constexpr size_t kBlockTiles = 8;          // of rows, at most
inline constexpr size_t kRowBytes = 1024 * 1024;  // of rows, about, where nothing else bounds them
inline constexpr size_t kFactors = 512;           // groups of tiles of rows, at most
inline constexpr size_t kDotGroups = 20;  // of a tile, whose dot products stay in the first cache
inline constexpr size_t kSumsStride = kBlockPanels * kPanelOutputs;

// Inputs of a tile: as many as divide a group.
size_t TileInputs(const PackedMatrix& w) {
  if (w.group == w.k || w.group % kInputs == 0 || HasTwoLevels(w)) return kInputs;
  return w.group % 32 == 0 ? 32 : 16;
}

// Of what stays in tiles to the end, inputs that are taken apart at once: whole tiles, and whole
// groups where those matter; 0 if there can be none.
size_t SliceInputs(const PackedMatrix& w) {
  if (!HasTwoLevels(w)) return kSliceInputs;
  size_t unit = w.group;
  while (unit % kInputs != 0) unit += w.group;
  return kSliceInputs / unit * unit;
}

RUSHLIGHT_INLINE void Fetch(const uint8_t* p) { __builtin_prefetch(p, 0, 2); }

// Fetches bytes in even portions.
class Ahead {
 public:
  Ahead(const uint8_t* begin, size_t bytes, size_t portions)
      : next_(begin), end_(begin + bytes), portion_(DivideUp(bytes / kLineBytes, portions)) {}
  RUSHLIGHT_INLINE void Portion() {
    for (size_t i = 0; i < portion_ && next_ != end_; ++i, next_ += kLineBytes) Fetch(next_);
  }

 private:
  const uint8_t* next_;
  const uint8_t* end_;
  size_t portion_;
};

// Of a panel.
struct alignas(64) PanelSlice {
  int8_t codes[kSliceInputs * kPanelOutputs];
  float scales[kSliceInputs / kGroupUnit][kPanelOutputs];
  float minimums[kSliceInputs / kGroupUnit][kPanelOutputs];
};

// What sixteen rows bring to a group, beside their bytes.
struct alignas(64) RowFactors {
  float scales[kRows];
  float totals[kRows];
};

struct Memory {
  PanelSlice slices[kBlockPanels];
  RowFactors factors[kFactors];  // [tiles of rows, groups]
  alignas(64) float sums[kBlockTiles * kRows][kSumsStride];
  alignas(64) int32_t dots[kBlockTiles][kBlockPanels][kTileSums];  // of what is one group
};

// Lines of codes as signed bytes.
template <PackedFormat kFormat>
RUSHLIGHT_INLINE void Unpack(const PackedMatrix& w, const uint8_t* codes, size_t lines,
                             int8_t* out) {
  const __m512i zero_point = _mm512_set1_epi8(static_cast<int8_t>(ZeroPoint(w)));
  for (size_t i = 0; i < lines; ++i) {
    const __m512i line = _mm512_loadu_si512(codes + i * kLineBytes);
    if constexpr (kFormat == PackedFormat::kU4) {
      const __m512i mask = _mm512_set1_epi8(15);
      const __m512i low = _mm512_and_si512(line, mask);
      const __m512i high = _mm512_and_si512(_mm512_srli_epi16(line, 4), mask);
      _mm512_storeu_si512(out, _mm512_sub_epi8(low, zero_point));
      _mm512_storeu_si512(out + kLineBytes, _mm512_sub_epi8(high, zero_point));
      out += 2 * kLineBytes;
    } else {
      _mm512_storeu_si512(out, _mm512_sub_epi8(line, zero_point));
      out += kLineBytes;
    }
  }
}

// Groups [begin, begin + groups) of a panel.
template <PackedFormat kFormat>
void UnpackGroups(const PackedMatrix& w, const uint8_t* panel, size_t begin, size_t groups,
                  PanelSlice* slice) {
  for (size_t g = 0; g < groups; ++g) {
    const uint8_t* const header = panel + ScaleOffset(w, begin + g);
    Store(slice->scales[g], LoadScales(w.scale, header));
    if (w.has_minimum) {
      Store(slice->minimums[g], LoadScales(w.scale, header + MinimumDistance(w)));
    }
    const size_t lines = DivideUp(InputsOfGroup(w, begin + g), InputsPerLine(kFormat));
    Unpack<kFormat>(w, panel + CodesOffset(w, begin + g), lines,
                    slice->codes + g * w.group * kPanelOutputs);
  }
}

// sums += the dot products of a group, scaled.
template <bool kMinimum>
RUSHLIGHT_INLINE void AddScaled(const int32_t* dots, const PanelSlice& slice, size_t group,
                                const RowFactors& factors, F32x16 (&sum)[kRows]) {
  const F32x16 scale = Load(slice.scales[group]);
  F32x16 minimum = Set(0.0f);
  if constexpr (kMinimum) minimum = Load(slice.minimums[group]);
  RUSHLIGHT_UNROLL
  for (size_t r = 0; r < kRows; ++r) {
    if constexpr (kMinimum) sum[r] = MulAdd(minimum, Set(factors.totals[r]), sum[r]);
    const F32x16 x = {_mm512_cvtepi32_ps(_mm512_loadu_si512(dots + r * kPanelOutputs))};
    sum[r] = MulAdd(x, scale * Set(factors.scales[r]), sum[r]);
  }
}

// sums += a slice of sixteen rows times one of a panel, whose last group may be shorter.  While
// tiles are multiplied, processors have one unit less for vectors: dot products of many groups come
// first, then their scales.
template <bool kMinimum>
void AddGroups(const int8_t* a, size_t stride, const PanelSlice& slice, size_t groups,
               size_t group_inputs, size_t last_inputs, size_t inputs, const RowFactors* factors,
               bool first, float* sums /*[16, kSumsStride]*/) {
  alignas(64) int32_t dots[kDotGroups][kTileSums];
  const int8_t* b = slice.codes;
  F32x16 sum[kRows];
  RUSHLIGHT_UNROLL
  for (size_t r = 0; r < kRows; ++r) sum[r] = first ? Set(0.0f) : Load(sums + r * kSumsStride);
  const size_t passes = DivideUp(groups, kDotGroups), at_once = DivideUp(groups, passes);
  for (size_t begin = 0; begin < groups; begin += at_once) {
    const size_t count = groups - begin < at_once ? groups - begin : at_once;
    FinishStores();
// Tile `sum` is multiplied, and the oldest stored: a product is waited for.
#define RUSHLIGHT_NEXT_GROUP(sum, oldest, rows, lines)                          \
  do {                                                                          \
    const size_t g = i + sum;                                                   \
    if (g >= 3 && g - 3 < count) _tile_stored(oldest, dots[g - 3], kLineBytes); \
    if (g >= count) break;                                                      \
    _tile_zero(sum);                                                            \
    const size_t end = begin + g + 1 == groups ? last_inputs : group_inputs;    \
    for (size_t done = 0; done < end; done += inputs) {                         \
      _tile_loadd(rows, a, static_cast<long>(stride));                          \
      _tile_loadd(lines, b, kLineBytes);                                        \
      _tile_dpbssd(sum, rows, lines);                                           \
      a += inputs;                                                              \
      b += inputs * kPanelOutputs;                                              \
    }                                                                           \
  } while (false)
    for (size_t i = 0; i < count + 3; i += 4) {
      RUSHLIGHT_NEXT_GROUP(0, 1, 4, 6);
      RUSHLIGHT_NEXT_GROUP(1, 2, 5, 7);
      RUSHLIGHT_NEXT_GROUP(2, 3, 4, 6);
      RUSHLIGHT_NEXT_GROUP(3, 0, 5, 7);
    }
#undef RUSHLIGHT_NEXT_GROUP
    for (size_t g = 0; g < count; ++g) {
      AddScaled<kMinimum>(dots[g], slice, begin + g, factors[begin + g], sum);
    }
  }
  RUSHLIGHT_UNROLL
  for (size_t r = 0; r < kRows; ++r) Store(sums + r * kSumsStride, sum[r]);
}

// The dot products of one or two tiles of rows and panels, over all inputs: scales them and stores
// what the epilogue makes of them, some rows at a time, so that the next tiles can be multiplied
// meanwhile.
template <PackedFormat kFormat>
class Outputs {
 public:
  Outputs(const MatmulOutput& out, const PackedMatrix& w, size_t panel, size_t panels)
      : panels_(panels),
        gated_(out.epilogue.gated),
        groups_(GroupCount(w)),
        columns_{{out, panel}, {out, panel + 1}} {
    for (size_t p = 0; p < panels; ++p) {
      const uint8_t* const header = w.panels + (panel + p) * PanelBytes(w);
      if (HasTwoLevels(w)) {
        scales_[p] = OutputScales(header);
        continue;
      }
      scales_[p] = LoadScales(w.scale, header);
      if (w.has_minimum) minimums_[p] = LoadScales(w.scale, header + MinimumDistance(w));
    }
  }

  // Those of rows [row, row + count) come next.  Requires: none are left.
  void Begin(const QuantizedRows& rows, size_t row, size_t count,
             const int32_t (*dots)[kBlockPanels][kTileSums]) {
    rows_ = rows;
    dots_ = dots;
    begin_ = row_ = row;
    end_ = row + count;
  }
  RUSHLIGHT_INLINE void Some() {
    for (const size_t last = end_ - row_ < kSome ? end_ : row_ + kSome; row_ != last; ++row_) {
      const F32x16 first = Scaled(0);
      if (gated_) {
        columns_[0].Put(row_, first, Scaled(1));
      } else {
        columns_[0].Put(row_, first, first);
        if (panels_ == 2) columns_[1].Put(row_, Scaled(1), first);
      }
    }
  }
  void All() {
    while (row_ != end_) Some();
  }

  static constexpr size_t kSome = 8;  // rows

 private:
  RUSHLIGHT_INLINE F32x16 Scaled(size_t panel) const {
    const size_t own = row_ - begin_;
    __m512i dot = _mm512_loadu_si512(dots_[own / kRows][panel] + own % kRows * kPanelOutputs);
    if constexpr (kFormat == PackedFormat::kU8) {
      dot = _mm512_add_epi32(dot, _mm512_set1_epi32(-128 * rows_.sums[row_]));
    }
    const size_t at = row_ * groups_;
    const F32x16 sum = MulAdd(minimums_[panel], Set(rows_.totals[at]), Set(0.0f));
    return MulAdd({_mm512_cvtepi32_ps(dot)}, scales_[panel] * Set(rows_.scales[at]), sum);
  }

  size_t panels_;
  bool gated_;
  size_t groups_;
  Columns columns_[kBlockPanels];
  F32x16 scales_[kBlockPanels];
  F32x16 minimums_[kBlockPanels] = {Set(0.0f), Set(0.0f)};
  QuantizedRows rows_{};
  const int32_t (*dots_)[kBlockPanels][kTileSums] = nullptr;
  size_t row_ = 0, end_ = 0, begin_ = 0;
};

// The dot products of some inputs of what is one group: of one or two panels and tiles of rows.
// Codes that are bytes count from 0.
template <PackedFormat kFormat>
void AddDots(const int8_t* a, size_t stride, const void* const (&panels)[kBlockPanels],
             size_t inputs, BlockShape block, bool first, Ahead* ahead, Outputs<kFormat>* before,
             int32_t (*dots)[kBlockPanels][kTileSums]) {
#define RUSHLIGHT_TILE_PRODUCT(sum, a, b)         \
  do {                                            \
    if constexpr (kFormat == PackedFormat::kU4) { \
      _tile_dpbssd(sum, a, b);                    \
    } else {                                      \
      _tile_dpbsud(sum, a, b);                    \
    }                                             \
  } while (false)
  const auto row_stride = static_cast<long>(stride);
  const auto* low = static_cast<const uint8_t*>(panels[0]);
  const auto* high = static_cast<const uint8_t*>(panels[1]);
  // The outputs before are finished evenly.
  const size_t steps = DivideUp(inputs, kInputs);
  constexpr size_t kTimes = 2 * kRows / Outputs<kFormat>::kSome;
  const size_t often = steps > kTimes ? steps / kTimes : 1;
  FinishStores();
  if (first) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, dots[0][0], kLineBytes);
    _tile_loadd(1, dots[0][1], kLineBytes);
    _tile_loadd(2, dots[1][0], kLineBytes);
    _tile_loadd(3, dots[1][1], kLineBytes);
  }
  // A tile is loaded in front of its first product: there are no others to load it into.
  for (size_t i = 0; i < steps; ++i, a += kInputs, low += kTileBytes, high += kTileBytes) {
    _tile_loadd(4, a, row_stride);
    _tile_loadd(6, low, kLineBytes);
    RUSHLIGHT_TILE_PRODUCT(0, 4, 6);
    if (block.panels == 2) {
      _tile_loadd(7, high, kLineBytes);
      RUSHLIGHT_TILE_PRODUCT(1, 4, 7);
    }
    if (block.tiles == 2) {
      _tile_loadd(5, a + static_cast<long>(kRows) * row_stride, row_stride);
      RUSHLIGHT_TILE_PRODUCT(2, 5, 6);
      if (block.panels == 2) RUSHLIGHT_TILE_PRODUCT(3, 5, 7);
    }
    ahead->Portion();
    if ((i + 1) % often == 0) before->Some();
  }
#undef RUSHLIGHT_TILE_PRODUCT
  before->All();
  _tile_stored(0, dots[0][0], kLineBytes);
  _tile_stored(1, dots[0][1], kLineBytes);
  if (block.tiles == 1) return;
  _tile_stored(2, dots[1][0], kLineBytes);
  _tile_stored(3, dots[1][1], kLineBytes);
}

// Some panels, kBlockPanels or fewer, and whole tiles of rows.
struct BlockArgs {
  const PackedMatrix& w;
  size_t panel, panels;
  QuantizedRows rows;
  size_t tiles;
};

template <PackedFormat kFormat, bool kMinimum>
void SumGroups(const BlockArgs& block, Memory* m) {
  const PackedMatrix& w = block.w;
  const size_t all = GroupCount(w), at_once = kSliceInputs / w.group, inputs = TileInputs(w);
  const size_t stride = QuantizedStride(w.k);
  for (size_t begin = 0; begin < all; begin += at_once) {
    const size_t groups = all - begin < at_once ? all - begin : at_once;
    // Behind the last group's there may be another row.
    const size_t last_inputs = InputsOfGroup(w, begin + groups - 1);
    for (size_t p = 0; p < block.panels; ++p) {
      UnpackGroups<kFormat>(w, w.panels + (block.panel + p) * PanelBytes(w), begin, groups,
                            m->slices);
      // What is taken apart next is fetched meanwhile: of the next panel, or behind the last one
      // the next slice of the first, or the next panels.
      const bool last = p + 1 == block.panels, over = begin + groups == all;
      const size_t panel = block.panel + (last && !over ? 0 : p + 1);
      const size_t first = !last ? begin : over ? 0 : begin + groups;
      const size_t next = all - first < at_once ? all - first : at_once;
      const size_t from = ScaleOffset(w, first);
      Ahead ahead(w.panels + panel * PanelBytes(w) + from, CodesOffset(w, first + next) - from,
                  block.tiles);
      for (size_t t = 0; t < block.tiles; ++t) {
        ahead.Portion();
        AddGroups<kMinimum>(block.rows.values + t * kRows * stride + begin * w.group, stride,
                            *m->slices, groups, w.group, last_inputs, inputs,
                            m->factors + t * all + begin, begin == 0,
                            m->sums[t * kRows] + p * kPanelOutputs);
      }
    }
  }
}

// What is one group: products and all that follows.
template <PackedFormat kFormat>
void MultiplyRows(const BlockArgs& block, const MatmulOutput& out, Memory* m) {
  const PackedMatrix& w = block.w;
  const size_t stride = QuantizedStride(w.k), slice = SliceInputs(w);
  const uint8_t* const panels = w.panels + block.panel * PanelBytes(w);
  Outputs<kFormat> before(out, w, block.panel, block.panels);
  for (size_t begin = 0, inputs; begin < w.k; begin += inputs) {
    const size_t left = w.k - begin, whole = left / kInputs * kInputs;
    // Bytes lie as tiles, but for the end of a panel that is not a whole one.
    const bool in_place = kFormat == PackedFormat::kU8 && whole > 0;
    inputs = in_place ? whole : left < slice ? left : slice;
    const bool over = begin + inputs == w.k;
    const size_t at = CodesOffset(w, 0) + begin / InputsPerLine(kFormat) * kLineBytes;
    const void* codes[kBlockPanels] = {};
    for (size_t p = 0; p < block.panels; ++p) {
      const uint8_t* const panel = panels + p * PanelBytes(w);
      const uint8_t* const own = panel + at;
      codes[p] = m->slices[p].codes;
      if (in_place) {
        codes[p] = own;
      } else if (HasTwoLevels(w)) {
        WidenLevels(w, panel, begin, inputs, 0, m->slices[p].codes);
      } else if constexpr (kFormat == PackedFormat::kU8) {
        std::memcpy(m->slices[p].codes, own, DivideUp(inputs, InputsPerLine(kFormat)) * kLineBytes);
      } else {
        Unpack<kFormat>(w, own, DivideUp(inputs, InputsPerLine(kFormat)), m->slices[p].codes);
      }
    }
    // The next panels, which lie behind these, are fetched while these are multiplied.
    const size_t steps = DivideUp(inputs, kInputs) * DivideUp(block.tiles, 2);
    const bool fetch = in_place || (HasTwoLevels(w) && over);
    Ahead ahead(panels + block.panels * PanelBytes(w), fetch ? block.panels * PanelBytes(w) : 0,
                steps);
    for (size_t t = 0; t < block.tiles; t += 2) {
      const size_t tiles = block.tiles - t < 2 ? 1 : 2;
      auto* const dots = m->dots + t % kBlockTiles;
      AddDots<kFormat>(block.rows.values + t * kRows * stride + begin, stride, codes, inputs,
                       {tiles, block.panels}, begin == 0, &ahead, &before, dots);
      if (!over) continue;
      before.Begin(block.rows, t * kRows, tiles * kRows, dots);
    }
  }
  before.All();
}

void TurnFactors(const QuantizedRows& rows, size_t groups, size_t tiles, RowFactors* factors) {
  for (size_t t = 0; t < tiles; ++t, factors += groups) {
    for (size_t r = 0; r < kRows; ++r) {
      const size_t at = (t * kRows + r) * groups;
      for (size_t g = 0; g < groups; ++g) {
        factors[g].scales[r] = rows.scales[at + g];
        factors[g].totals[r] = rows.totals[at + g];
      }
    }
  }
}

// `rows` rows, a multiple of a tile's.
template <PackedFormat kFormat>
void Matmul(const IntegerMatmulArgs& args, size_t rows) {
  const PackedMatrix& w = args.weight;
  const size_t groups = GroupCount(w), inputs = TileInputs(w);
  const bool one_group = groups == 1 || HasTwoLevels(w);
  size_t most = kBlockTiles;
  if (!one_group && kFactors / groups < most) most = kFactors / groups;
  // Of bytes that lie as tiles nothing is kept, nor of a panel that is taken apart at once: as many
  // rows as stay in the second cache.
  if (one_group && (kFormat == PackedFormat::kU8 ? w.k % kInputs == 0 : w.k <= SliceInputs(w))) {
    most = DivideUp(kRowBytes, kRows * QuantizedStride(w.k));
  }
  Memory m;
  // What pads the last tile of a panel meets zeros, but it is read.
  if (w.k % inputs != 0) {
    std::memset(m.slices[0].codes, 0, sizeof m.slices[0].codes);
    std::memset(m.slices[1].codes, 0, sizeof m.slices[1].codes);
  }
  const TileConfig config(inputs / 4);
  FinishStores();
  _tile_loadconfig(&config);
  for (size_t begin = 0; begin < rows; begin += most * kRows) {
    const IntegerMatmulArgs from = RowsFrom(args, begin);
    BlockArgs block = {w, 0, 0, from.rows, (rows - begin) / kRows};
    if (block.tiles > most) block.tiles = most;
    if (!one_group) TurnFactors(block.rows, groups, block.tiles, m.factors);
    for (size_t panel = args.out.begin; panel < args.out.end; panel += kBlockPanels) {
      block.panel = panel;
      block.panels = args.out.end - panel < kBlockPanels ? 1 : kBlockPanels;
      if (one_group) {
        MultiplyRows<kFormat>(block, from.out, &m);
        continue;
      }
      if (w.has_minimum) {
        SumGroups<kFormat, true>(block, &m);
      } else {
        SumGroups<kFormat, false>(block, &m);
      }
      Finish(from.out, 0, block.tiles * kRows, panel, block.panels, m.sums[0], kSumsStride);
    }
  }
  _tile_release();
}

// How many of the rows go through tiles.
size_t TileRows(const IntegerMatmulArgs& args) {
  const PackedMatrix& w = args.weight;
  const size_t groups = GroupCount(w);
  if (HasTwoLevels(w)) return SliceInputs(w) > 0 ? args.m / kRows * kRows : 0;
  if (groups > 1 && (w.group > kSliceInputs || groups > kFactors)) return 0;
  return args.m / kRows * kRows;
}

}  // namespace

void MatmulU4(const IntegerMatmulArgs& args) {
  const size_t rows = TileRows(args);
  if (rows > 0) Matmul<PackedFormat::kU4>(args, rows);
  if (rows < args.m) avx512vnni::MatmulU4(RowsFrom(args, rows));
}
void MatmulU8(const IntegerMatmulArgs& args) {
  const size_t rows = TileRows(args);
  if (rows > 0) Matmul<PackedFormat::kU8>(args, rows);
  if (rows < args.m) avx512vnni::MatmulU8(RowsFrom(args, rows));
}

}  // namespace rushlight::kernels::amx
RUSHLIGHT_TARGET_END

#endif
