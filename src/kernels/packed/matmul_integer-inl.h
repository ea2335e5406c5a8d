// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Products of quantized rows with u4 and u8 panels, and the quantization of rows.  Included once
// for each instruction set (RUSHLIGHT_ISA), in its target region, behind the vectors it is made of.
//
// A tile is some rows times some panels.  The dot products of a group are exact in 32 bits,
// whatever their order; then they are scaled and added to the tile's floats.  Weights are read as
// they lie: what is nibbles is taken apart in registers, once for all rows of a tile.

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
  size_t ahead;  // how far ahead panels are fetched, in bytes
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

template <PackedFormat kFormat, bool kMinimum, int kRows, int kPanels>
__attribute__((noinline)) void Tile(const TileArgs& c, float* out /*[kRows, kBlockPanels, 16]*/) {
  constexpr size_t kInputs = InputsPerLine(kFormat);
  const size_t stride = QuantizedStride(c.weight.k);
  const size_t header_bytes = HeaderLines(c.weight) * kLineBytes;
  const size_t group_lines = DivideUp(c.weight.group, kInputs);
  size_t lines_left = DivideUp(c.weight.k, kInputs);
  const size_t scale_bytes = kPanelOutputs * ScaleBytes(c.weight);
  const int8_t* a = c.rows.values;
  const uint8_t* header = c.panels;
  const uint8_t* codes = c.panels;
  Fetch<kRows, kPanels> fetch(c);

  F32x16 sum[kRows][kPanels];
  RUSHLIGHT_UNROLL
  for (int r = 0; r < kRows; ++r) {
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) sum[r][p] = Set(0.0f);
  }
  for (size_t group = 0; group < c.groups; ++group) {
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
            LoadScales(c.weight.scale, header + MinimumDistance(c.weight) + p * c.panel_bytes);
        RUSHLIGHT_UNROLL
        for (int r = 0; r < kRows; ++r) {
          sum[r][p] = MulAdd(minimum, Set(c.rows.totals[r * c.groups + group]), sum[r][p]);
        }
      }
    }
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) {
      const F32x16 scale = LoadScales(c.weight.scale, header + p * c.panel_bytes);
      RUSHLIGHT_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const F32x16 row_scale = Set(c.rows.scales[r * c.groups + group]);
        sum[r][p] = MulAdd(ToFloat(dot[r][p]), scale * row_scale, sum[r][p]);
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
template <PackedFormat kFormat, bool kMinimum, int kRows>
void Block(TileArgs c, size_t panels, float* out) {
  constexpr size_t kPanels = kRows > 1 ? kIntegerPanels : kRowPanels;
  if constexpr (kPanels > 1) {
    for (; panels >= kPanels; panels -= kPanels, out += kPanels * kPanelOutputs) {
      Tile<kFormat, kMinimum, kRows, kPanels>(c, out);
      c.panels += kPanels * c.panel_bytes;
    }
  }
  for (; panels > 0; --panels, out += kPanelOutputs) {
    Tile<kFormat, kMinimum, kRows, 1>(c, out);
    c.panels += c.panel_bytes;
  }
}

// Rows are taken as many at a time as a tile has, the rest in halves.
template <PackedFormat kFormat, bool kMinimum, int kRows>
void Rows(const IntegerMatmulArgs& args, TileArgs* c, size_t panel, size_t panels, size_t* row,
          size_t end) {
  for (; *row + kRows <= end; *row += kRows) {
    alignas(64) float sums[(kRows > 1 ? kRows * kBlockPanels : kRowBlockPanels) * kPanelOutputs];
    c->rows = RowsFrom(args, *row).rows;
    Block<kFormat, kMinimum, kRows>(*c, panels, sums);
    Finish(args.out, *row, kRows, panel, panels, sums, kBlockPanels * kPanelOutputs);
  }
  if constexpr (kRows > 1) {
    constexpr int kLess = kRows > 4 ? 4 : kRows / 2;
    Rows<kFormat, kMinimum, kLess>(args, c, panel, panels, row, end);
  }
}

// For instruction sets with few registers: integer_pass_avx2-inl.h.
template <PackedFormat kFormat>
void Pass(const IntegerMatmulArgs& args);

template <PackedFormat kFormat>
void Matmul(const IntegerMatmulArgs& args) {
  if constexpr (kPasses) {
    if (args.m > 1) return Pass<kFormat>(args);
  }
  const PackedMatrix& w = args.weight;
  TileArgs c{
      w,       PanelBytes(w), GroupCount(w), args.m == 1 ? kAhead : kBlockPanels * PanelBytes(w),
      nullptr, args.rows};
  const size_t rows_at_once = RowsAtOnce(w, kIntegerRows);
  const size_t at_once = args.m == 1 ? kRowBlockPanels : kBlockPanels;
  for (size_t begin = 0; begin < args.m; begin += rows_at_once) {
    const size_t end = args.m - begin < rows_at_once ? args.m : begin + rows_at_once;
    for (size_t panel = args.out.begin; panel < args.out.end; panel += at_once) {
      const size_t left = args.out.end - panel;
      c.panels = w.panels + panel * c.panel_bytes;
      const size_t panels = left < at_once ? left : at_once;
      size_t row = begin;
      if (w.has_minimum) {
        Rows<kFormat, true, kIntegerRows>(args, &c, panel, panels, &row, end);
      } else {
        Rows<kFormat, false, kIntegerRows>(args, &c, panel, panels, &row, end);
      }
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
      q.scales[row * groups + group] = scale;
      q.sums[row * groups + group] = sum;
      q.totals[row * groups + group] = scale * static_cast<float>(sum);
    }
    std::memset(values + q.k, 0, stride - q.k);
  }
}

void MatmulU4(const IntegerMatmulArgs& args) { Matmul<PackedFormat::kU4>(args); }
void MatmulU8(const IntegerMatmulArgs& args) { Matmul<PackedFormat::kU8>(args); }

}  // namespace rushlight::kernels::RUSHLIGHT_ISA
