// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Products of quantized rows with u4 and u8 panels, and the quantization of rows.  Included once
// for each instruction set (RUSHLIGHT_ISA), in its target region, behind the vectors it is made of.
//
// A tile is some rows times some panels.  The dot products of a group are exact in 32 bits,
// whatever their order; then they are scaled and added to the tile's floats.  Weights are read as
// they lie: what is nibbles is taken apart in registers, once for all rows of a tile.
//
// With scales of two levels the floats are whole numbers, exact for a span of kExactInputs, and
// added up as integers behind each: as if every weight had been multiplied as 8 bits.

#include "src/kernels/packed/epilogue-inl.h"
#include "src/kernels/packed/scales-inl.h"

namespace rushlight::kernels::RUSHLIGHT_ISA {
namespace {

// Panels before an epilogue, so that gates and what they gate are together; of one row some tiles.
inline constexpr size_t kBlockPanels = 2;
inline constexpr size_t kRowBlockPanels = 4 * (kRowPanels > 1 ? kRowPanels : kBlockPanels);
// How far ahead one row fetches each panel: what a memory has under way, in all panels of a tile.
inline constexpr size_t kAhead = 4 * 1024;

// Where a tile's weights and activations begin.
struct TileArgs {
  const PackedMatrix& weight;
  size_t panel_bytes;
  size_t groups;
  size_t stride;  // of quantized rows
  size_t ahead;   // how far ahead panels are fetched, in bytes
  const uint8_t* panels;
  QuantizedRows rows;
};

// Fetches what a tile reads later, line by line as it goes.  Behind the end of its panels one row
// goes on with those of the next tile, or of the next matrix; more rows fetch their next panels.
template <int kRows, int kPanels>
class Fetch {
 public:
  RUSHLIGHT_INLINE explicit Fetch(const TileArgs& c)
      : panel_bytes_(c.panel_bytes), next_(c.panels + c.ahead), end_(c.panels + c.panel_bytes) {
    if (kRows == 1 && next_ >= end_) Skip();
  }
  RUSHLIGHT_INLINE void Line() {
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) __builtin_prefetch(next_ + p * panel_bytes_);
    next_ += kLineBytes;
    if (kRows == 1 && next_ == end_) Skip();
  }

 private:
  RUSHLIGHT_INLINE void Skip() { next_ += (kPanels - 1) * panel_bytes_; }

  size_t panel_bytes_;
  const uint8_t* next_;
  const uint8_t* end_;
};

// The dot products of a line.
template <PackedFormat kFormat, int kRows, int kPanels>
RUSHLIGHT_INLINE void DotLine(const TileArgs& c, size_t stride, const uint8_t* codes,
                              const int8_t* a, Fetch<kRows, kPanels>* fetch,
                              I32x16 (&dot)[kRows][kPanels]) {
  fetch->Line();
  Line low[kPanels], high[kPanels];
  RUSHLIGHT_UNROLL
  for (int p = 0; p < kPanels; ++p) {
    const Line line = LoadLine(codes + p * c.panel_bytes);
    if constexpr (kFormat == PackedFormat::kU4) {
      low[p] = LowNibbles(line);
      high[p] = HighNibbles(line);
    } else {
      low[p] = Bytes(line);
    }
  }
  RUSHLIGHT_UNROLL
  for (int r = 0; r < kRows; ++r) {
    const Quad first = LoadQuad(a + r * stride);
    if constexpr (kFormat == PackedFormat::kU4) {
      const Quad second = LoadQuad(a + r * stride + 4);
      RUSHLIGHT_UNROLL
      for (int p = 0; p < kPanels; ++p) {
        dot[r][p] = DotNibbles(dot[r][p], low[p], high[p], first, second);
      }
    } else {
      RUSHLIGHT_UNROLL
      for (int p = 0; p < kPanels; ++p) dot[r][p] = DotBytes(dot[r][p], low[p], first);
    }
  }
}

// The sums of spans, of a tile with more than one.
template <int kRows, int kPanels>
class Totals {
 public:
  RUSHLIGHT_INLINE Totals() {
    for (auto& row : total_) {
      for (I32x16& total : row) total = SetInteger(0);
    }
  }
  RUSHLIGHT_INLINE void Add(F32x16 (&sum)[kRows][kPanels]) {
    RUSHLIGHT_UNROLL
    for (int r = 0; r < kRows; ++r) {
      RUSHLIGHT_UNROLL
      for (int p = 0; p < kPanels; ++p) {
        total_[r][p] = total_[r][p] + ToInteger(sum[r][p]);
        sum[r][p] = Set(0.0f);
      }
    }
    any_ = true;
  }
  // With those of the last span.
  RUSHLIGHT_INLINE void Finish(F32x16 (&sum)[kRows][kPanels]) {
    if (!any_) return;
    Add(sum);
    RUSHLIGHT_UNROLL
    for (int r = 0; r < kRows; ++r) {
      RUSHLIGHT_UNROLL
      for (int p = 0; p < kPanels; ++p) sum[r][p] = ToFloat(total_[r][p]);
    }
  }

 private:
  bool any_ = false;
  I32x16 total_[kRows][kPanels];
};

template <PackedFormat kFormat, Scaling kScaling, int kRows, int kPanels>
__attribute__((noinline)) void Tile(const TileArgs& c, float* out /*[kRows, kBlockPanels, 16]*/) {
  constexpr bool kMinimum = kScaling != Scaling::kPlain;
  constexpr bool kTwoLevels = kScaling == Scaling::kTwoLevels;
  constexpr size_t kInputs = InputsPerLine(kFormat);
  const size_t stride = c.stride;
  const size_t header_bytes = HeaderLines(c.weight) * kLineBytes;
  const size_t group_lines = DivideUp(c.weight.group, kInputs);
  size_t lines_left = DivideUp(c.weight.k, kInputs);
  const size_t scale_bytes = kPanelOutputs * ScaleBytes(c.weight);
  const int8_t* a = c.rows.values;
  const uint8_t* header = c.panels;
  const uint8_t* codes = c.panels;
  Fetch<kRows, kPanels> fetch(c);
  const ScaleType type = kTwoLevels ? ScaleType::kI8 : c.weight.scale;
  [[maybe_unused]] const size_t span = ExactGroups(c.weight);
  [[maybe_unused]] Totals<kRows, kPanels> totals;
  if constexpr (kTwoLevels) {
    fetch.Line();
    codes += kLineBytes;
  }

  F32x16 sum[kRows][kPanels];
  RUSHLIGHT_UNROLL
  for (int r = 0; r < kRows; ++r) {
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) sum[r][p] = Set(0.0f);
  }
  for (size_t group = 0; group < c.groups; ++group) {
    if constexpr (kTwoLevels) {
      if (group > 0 && group % span == 0) totals.Add(sum);
    }
    if (group % 2 == 0) {
      header = codes;
      for (; codes < header + header_bytes; codes += kLineBytes) fetch.Line();
    } else {
      header += scale_bytes;
    }
    I32x16 dot[kRows][kPanels];
    RUSHLIGHT_UNROLL
    for (int r = 0; r < kRows; ++r) {
      I32x16 start = SetInteger(0);  // nibbles with minimums count from 0
      const int32_t row_sum = c.rows.sums[r * c.groups + group];
      if constexpr (kFormat == PackedFormat::kU8) start = StartBytes(row_sum);
      if constexpr (kFormat == PackedFormat::kU4 && !kMinimum) start = StartNibbles(row_sum);
      RUSHLIGHT_UNROLL
      for (int p = 0; p < kPanels; ++p) dot[r][p] = start;
    }
    const size_t lines = lines_left < group_lines ? lines_left : group_lines;
    lines_left -= lines;
    const uint8_t* end = codes + lines * kLineBytes;
    if constexpr (kRows * kPanels == 1) {  // two chains: one would wait for its last sum
      I32x16 other[1][1] = {{SetInteger(0)}};
      for (; codes + kLineBytes < end; codes += 2 * kLineBytes, a += 2 * kInputs) {
        DotLine<kFormat>(c, stride, codes, a, &fetch, dot);
        DotLine<kFormat>(c, stride, codes + kLineBytes, a + kInputs, &fetch, other);
      }
      dot[0][0] = dot[0][0] + other[0][0];
    }
    for (; codes < end; codes += kLineBytes, a += kInputs) {
      DotLine<kFormat>(c, stride, codes, a, &fetch, dot);
    }
    if constexpr (kMinimum) {
      RUSHLIGHT_UNROLL
      for (int p = 0; p < kPanels; ++p) {
        const F32x16 minimum =
            LoadScales(type, header + MinimumDistance(c.weight) + p * c.panel_bytes);
        RUSHLIGHT_UNROLL
        for (int r = 0; r < kRows; ++r) {
          sum[r][p] = MulAdd(minimum, Set(c.rows.totals[r * c.groups + group]), sum[r][p]);
        }
      }
    }
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) {
      const F32x16 scale = LoadScales(type, header + p * c.panel_bytes);
      RUSHLIGHT_UNROLL
      for (int r = 0; r < kRows; ++r) {
        if constexpr (kTwoLevels) {
          sum[r][p] = MulAdd(ToFloat(dot[r][p]), scale, sum[r][p]);
        } else {
          const F32x16 row_scale = Set(c.rows.scales[r * c.groups + group]);
          sum[r][p] = MulAdd(ToFloat(dot[r][p]), scale * row_scale, sum[r][p]);
        }
      }
    }
  }
  if constexpr (kTwoLevels) {
    totals.Finish(sum);
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) {
      const F32x16 scale = OutputScales(c.panels + p * c.panel_bytes);
      RUSHLIGHT_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const F32x16 row_scale = Set(c.rows.scales[r * c.groups]);
        sum[r][p] = MulAdd(sum[r][p], scale * row_scale, Set(0.0f));
      }
    }
  }
  RUSHLIGHT_UNROLL
  for (int r = 0; r < kRows; ++r) {
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) {
      Store(out + (r * kBlockPanels + p) * kPanelOutputs, sum[r][p]);
    }
  }
}

// kRows rows times `panels` panels, kBlockPanels or fewer; one row times kRowBlockPanels or fewer.
template <PackedFormat kFormat, Scaling kScaling, int kRows>
void Block(TileArgs c, size_t panels, float* out) {
  constexpr size_t kPanels = kRows > 1 ? kIntegerPanels : kRowPanels;
  if constexpr (kPanels > 1) {
    for (; panels >= kPanels; panels -= kPanels, out += kPanels * kPanelOutputs) {
      Tile<kFormat, kScaling, kRows, kPanels>(c, out);
      c.panels += kPanels * c.panel_bytes;
    }
  }
  for (; panels > 0; --panels, out += kPanelOutputs) {
    Tile<kFormat, kScaling, kRows, 1>(c, out);
    c.panels += c.panel_bytes;
  }
}

// Rows are taken as many at a time as a tile has, the rest in halves.
template <PackedFormat kFormat, Scaling kScaling, int kRows>
void Rows(const IntegerMatmulArgs& args, TileArgs* c, size_t panel, size_t panels, size_t* row,
          size_t end) {
  for (; *row + kRows <= end; *row += kRows) {
    alignas(64) float sums[(kRows > 1 ? kRows * kBlockPanels : kRowBlockPanels) * kPanelOutputs];
    c->rows = RowsFrom(args, *row).rows;
    Block<kFormat, kScaling, kRows>(*c, panels, sums);
    Finish(args.out, *row, kRows, panel, panels, sums, kBlockPanels * kPanelOutputs);
  }
  if constexpr (kRows > 1) {
    constexpr int kLess = kRows > 4 ? 4 : kRows / 2;
    Rows<kFormat, kScaling, kLess>(args, c, panel, panels, row, end);
  }
}

// For instruction sets with few registers: integer_pass_avx2-inl.h.
template <PackedFormat kFormat>
void Pass(const IntegerMatmulArgs& args);

// For instruction sets with many: as many rows or more widen the nibbles of two levels to bytes.
template <PackedFormat kFormat>
void MatmulWidened(const IntegerMatmulArgs& args);

template <PackedFormat kFormat>
void Matmul(const IntegerMatmulArgs& args) {
  const PackedMatrix& w = args.weight;
  if constexpr (kPasses) {
    if (args.m > 1) return Pass<kFormat>(args);
  }
  if constexpr (kWidenedRows > 0 && kFormat == PackedFormat::kU4) {
    const bool fits = DivideUp(GroupCount(w), ExactGroups(w)) <= kWidenedSpans;
    if (HasTwoLevels(w) && args.m >= kWidenedRows && fits) return MatmulWidened<kFormat>(args);
  }
  TileArgs c{w,
             PanelBytes(w),
             GroupCount(w),
             QuantizedStride(w.k),
             args.m == 1 ? kAhead : kBlockPanels * PanelBytes(w),
             nullptr,
             args.rows};
  constexpr decltype(&Rows<kFormat, Scaling::kPlain, kIntegerRows>) rows[] = {
      Rows<kFormat, Scaling::kPlain, kIntegerRows>, Rows<kFormat, Scaling::kMinimum, kIntegerRows>,
      Rows<kFormat, kMostScaling<kFormat>, kIntegerRows>};
  const size_t rows_at_once = RowsAtOnce(w, kIntegerRows);
  const size_t at_once = args.m == 1 ? kRowBlockPanels : kBlockPanels;
  for (size_t begin = 0; begin < args.m; begin += rows_at_once) {
    const size_t end = args.m - begin < rows_at_once ? args.m : begin + rows_at_once;
    for (size_t panel = args.out.begin; panel < args.out.end; panel += at_once) {
      const size_t left = args.out.end - panel;
      c.panels = w.panels + panel * c.panel_bytes;
      const size_t panels = left < at_once ? left : at_once;
      size_t row = begin;
      rows[static_cast<int>(ScalingOf(w))](args, &c, panel, panels, &row, end);
    }
  }
}

// The largest magnitude of n numbers; NaN if one is not finite.
float LargestMagnitude(const float* x, size_t n) {
  F32x16 largest = Set(0.0f);
  F32x16 finite = Set(0.0f);  // or NaN
  for (size_t i = 0; i < n; i += 16) {
    const F32x16 v = n - i < 16 ? LoadFirst(x + i, n - i) : Load(x + i);
    largest = Max(largest, Abs(v));
    finite = MulAdd(v, Set(0.0f), finite);
  }
  return MaxLane(largest) + Sum(finite);
}

// Bytes of n numbers, and their sum.
int32_t QuantizeGroup(const float* x, size_t n, float scale_inverse, int8_t* values) {
  const F32x16 factor = Set(scale_inverse);
  F32x16 sum = Set(0.0f);  // of integers: exact
  for (size_t i = 0; i < n; i += 16) {
    const F32x16 v = n - i < 16 ? LoadFirst(x + i, n - i) : Load(x + i);
    // Rounded once, and then in the low bits.
    const F32x16 rounded = MulAdd(v, factor, Set(kRound));
    StoreLowBytes(values + i, rounded);
    sum = sum + (rounded - Set(kRound));
  }
  return static_cast<int32_t>(Sum(sum));
}

}  // namespace

void QuantizeRows(const QuantizeArgs& q) {
  const size_t groups = DivideUp(q.k, q.group);
  const size_t stride = QuantizedStride(q.k);
  for (size_t row = 0; row < q.m; ++row) {
    const float* x = q.x + row * q.stride;
    int8_t* values = q.values + row * stride;
    float largest = q.row_scale ? LargestMagnitude(x, q.k) : 0.0f;
    for (size_t group = 0; group < groups; ++group) {
      const size_t begin = group * q.group;
      const size_t n = q.k - begin < q.group ? q.k - begin : q.group;
      if (!q.row_scale) largest = LargestMagnitude(x + begin, n);
      float scale = largest / 127.0f;
      int32_t sum = 0;
      if (largest >= kSmallestMagnitude) {
        sum = QuantizeGroup(x + begin, n, 127.0f / largest, values + begin);
      } else {  // NaN too
        std::memset(values + begin, 0, n);
        if (largest < kSmallestMagnitude) scale = 0.0f;
      }
      const float total = static_cast<float>(sum);
      q.scales[row * groups + group] = scale;
      q.sums[row * groups + group] = sum;
      q.totals[row * groups + group] = q.row_scale ? total : scale * total;
    }
    std::memset(values + q.k, 0, stride - q.k);
  }
}

void MatmulU4(const IntegerMatmulArgs& args) { Matmul<PackedFormat::kU4>(args); }
void MatmulU8(const IntegerMatmulArgs& args) { Matmul<PackedFormat::kU8>(args); }

}  // namespace rushlight::kernels::RUSHLIGHT_ISA
