// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Products in float, written once.  Included for each instruction set (RUSHLIGHT_ISA), in
// its target region.
//
// A tile of rows x panels has its sums in registers.  Few rows read panels where they lie, one row
// four of them side by side.  Many rows are cut into blocks and inputs into slices: a slice of a
// block's rows stays in the second cache for some panels, a slice of a panel in the first one for
// all rows of the block, as floats, whatever the panel holds.  Between slices the sums wait in
// memory, on the stack: 68 KB with the slice, and nothing in the scalar row.

#include "src/kernels/packed/epilogue-inl.h"
#include "src/kernels/packed/scales-inl.h"
#include "src/kernels/vector/line-inl.h"

namespace rushlight::kernels::RUSHLIGHT_ISA {
namespace {

constexpr size_t kPrefetchLines = 16;  // ahead of each panel, where few rows wait for memory

struct Integers {};  // what panels hold, beside float, BFloat16 and Float16

// Of a tile with one row; even, so that gates and what they gate are together.
template <class T>
constexpr int kPanelsOfOneRow = 4;
template <>
constexpr int kPanelsOfOneRow<Integers> = kTileRows > 4 ? 4 : 2;

// Of a block, and its sums: [rows, panels, 16].
constexpr size_t kBlockRows = kTileRows * (128 / kTileRows);
constexpr size_t kBlockPanels = 4;
constexpr size_t kBlockStride = kBlockPanels * kPanelOutputs;
constexpr size_t kSliceInputs = 512 / kTileVectors;
constexpr size_t kSliceFloats = kSliceInputs * kPanelOutputs;  // of a panel

// sum[row][panel] += x[row] weight[panel]^T
template <class T, int kRows, int kPanels>
RUSHLIGHT_INLINE void AddPanels(T, const PackedMatrix& w, const uint8_t* panels, const float* x,
                                size_t stride, F32x16 (&sum)[kRows][kPanels]) {
  constexpr size_t kInputs = sizeof(float) / sizeof(T);  // of a line
  constexpr size_t kLine = kLineBytes / sizeof(T);
  const size_t panel_stride = PanelBytes(w) / sizeof(T);
  const T* line = reinterpret_cast<const T*>(panels);
  size_t i = 0;
  for (; i + kInputs <= w.k; i += kInputs, line += kLine) {
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) {
      __builtin_prefetch(line + p * panel_stride + kPrefetchLines * kLine);
    }
    AddLine<kRows, kPanels>(x + i, stride, line, panel_stride, kInputs, sum);
  }
  if (i < w.k) AddLine<kRows, kPanels>(x + i, stride, line, panel_stride, w.k - i, sum);
}

// A group's scales and minimums, and what its codes stand for.
template <int kPanels>
class Codes {
 public:
  RUSHLIGHT_INLINE Codes(const PackedMatrix& w, const uint8_t* panels, size_t group)
      : panel_bytes_(PanelBytes(w)),
        codes_(panels + CodesOffset(w, group)),
        four_(w.format == PackedFormat::kU4),
        zero_point_(Set(static_cast<float>(ZeroPoint(w)))) {
    const uint8_t* const header = panels + ScaleOffset(w, group);
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) {
      const uint8_t* const own = header + p * panel_bytes_;
      scale_[p] = LoadScales(w.scale, own);
      minimum_[p] = w.has_minimum ? LoadScales(w.scale, own + MinimumDistance(w)) : Set(0.0f);
    }
  }
  // Of input i of the group.
  RUSHLIGHT_INLINE void Widen(size_t i, F32x16 (&weight)[kPanels]) const {
    const uint8_t* const line = codes_ + (four_ ? i / 8 : i / 4) * kLineBytes;
    const auto shift = static_cast<unsigned>(i % 4 * 8 + (four_ ? i % 8 / 4 * 4 : 0));
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) {
      const F32x16 code = LoadBits(line + p * panel_bytes_, shift, four_ ? 15 : 255) - zero_point_;
      weight[p] = code * scale_[p] + minimum_[p];
    }
  }

 private:
  size_t panel_bytes_;
  const uint8_t* codes_;
  bool four_;
  F32x16 zero_point_, scale_[kPanels], minimum_[kPanels];
};

template <int kRows, int kPanels>
RUSHLIGHT_INLINE void AddPanels(Integers, const PackedMatrix& w, const uint8_t* panels,
                                const float* x, size_t stride, F32x16 (&sum)[kRows][kPanels]) {
  for (size_t group = 0; group < GroupCount(w); ++group) {
    const Codes<kPanels> codes(w, panels, group);
    const size_t inputs = InputsOfGroup(w, group);
    for (size_t i = 0; i < inputs; ++i, ++x) {
      F32x16 weight[kPanels];
      codes.Widen(i, weight);
      AddInput(x, stride, weight, sum);
    }
  }
}

// A tile over all inputs, of panels where they lie.
template <class T, int kRows, int kPanels>
void Tile(const FloatMatmulArgs& args, size_t row, size_t panel) {
  F32x16 sum[kRows][kPanels];
  RUSHLIGHT_UNROLL
  for (int r = 0; r < kRows; ++r) {
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) sum[r][p] = Set(0.0f);
  }
  const uint8_t* const panels = args.weight.panels + panel * PanelBytes(args.weight);
  AddPanels(T(), args.weight, panels, args.x + row * args.stride, args.stride, sum);
  FinishTile(args.out, row, panel, sum);
}

template <class T, int kRows, int kPanels>
void Rows(const FloatMatmulArgs& args, size_t row, size_t panel) {
  for (; args.m - row >= kRows; row += kRows) Tile<T, kRows, kPanels>(args, row, panel);
  if constexpr (kRows > 1) Rows<T, kRows / 2, kPanels>(args, row, panel);
}

// Panels [begin, end) as they lie, kPanels at a time; returns the first that is left.
template <class T, int kRows, int kPanels>
size_t Panels(const FloatMatmulArgs& args, size_t panel) {
  for (; args.out.end - panel >= kPanels; panel += kPanels) Rows<T, kRows, kPanels>(args, 0, panel);
  return panel;
}

// What a block's rows are multiplied with.
struct Slice {
  const float* lines;   // [k, 16] of each panel
  size_t panel_stride;  // in floats
  size_t k;
  bool first;        // sums begin with it
  size_t next_step;  // bytes of what comes next to fetch for each input of a tile
};

// Inputs [begin, end) of kPanels panels as floats: where they lie, or in `memory`.
template <int kPanels>
const float* Widen(float, const PackedMatrix&, const uint8_t* panels, size_t begin, size_t,
                   float*) {
  return reinterpret_cast<const float*>(panels) + begin * kPanelOutputs;
}

template <int kPanels, class T>  // BFloat16, Float16.  Requires: begin is even
const float* Widen(T, const PackedMatrix& w, const uint8_t* panels, size_t begin, size_t end,
                   float* memory) {
  for (int p = 0; p < kPanels; ++p) {
    const T* line = reinterpret_cast<const T*>(panels + p * PanelBytes(w)) + begin * kPanelOutputs;
    float* to = memory + p * kSliceFloats;
    for (size_t i = begin; i < end; i += 2, line += 2 * kPanelOutputs, to += 2 * kPanelOutputs) {
      Store(to, Even(line));
      Store(to + kPanelOutputs, Odd(line));  // of an odd k the last is padding
    }
  }
  return memory;
}

template <int kPanels>
const float* Widen(Integers, const PackedMatrix& w, const uint8_t* panels, size_t begin, size_t end,
                   float* memory) {
  float* to = memory;
  for (size_t i = begin; i < end;) {
    const size_t group = i / w.group, first = group * w.group;
    const size_t last = end - first < w.group ? end : first + w.group;
    const Codes<kPanels> codes(w, panels, group);
    for (; i < last; ++i, to += kPanelOutputs) {
      F32x16 weight[kPanels];
      codes.Widen(i - first, weight);
      RUSHLIGHT_UNROLL
      for (int p = 0; p < kPanels; ++p) Store(to + p * kSliceFloats, weight[p]);
    }
  }
  return memory;
}

// A tile over a slice; a row of sums is kBlockStride long.
template <int kRows, int kPanels>
void SliceTile(const Slice& slice, const float* x, size_t stride, const uint8_t* next,
               float* sums) {
  F32x16 sum[kRows][kPanels];
  RUSHLIGHT_UNROLL
  for (int r = 0; r < kRows; ++r) {
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) {
      const float* const before = sums + r * kBlockStride + p * kPanelOutputs;
      sum[r][p] = slice.first ? Set(0.0f) : Load(before);
    }
  }
  const float* line = slice.lines;
  const float* const end = x + slice.k;
  for (; x != end; ++x, line += kPanelOutputs, next += slice.next_step) {
    __builtin_prefetch(next);
    AddLine(x, stride, line, slice.panel_stride, 1, sum);
  }
  RUSHLIGHT_UNROLL
  for (int r = 0; r < kRows; ++r) {
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) {
      Store(sums + r * kBlockStride + p * kPanelOutputs, sum[r][p]);
    }
  }
}

// As many tiles of kRows as there are, then smaller ones.
template <int kRows, int kPanels>
void SliceRows(const Slice& slice, const float* x, size_t stride, size_t rows, const uint8_t* next,
               float* sums) {
  for (; rows >= kRows; rows -= kRows, x += kRows * stride, sums += kRows * kBlockStride) {
    SliceTile<kRows, kPanels>(slice, x, stride, next, sums);
    next += slice.k * slice.next_step;
  }
  constexpr int kFewer = kRows > 8 ? 8 : kRows > 4 ? 4 : kRows > 2 ? 2 : 1;
  if constexpr (kFewer < kRows) SliceRows<kFewer, kPanels>(slice, x, stride, rows, next, sums);
}

struct Block {
  size_t row, rows;
  size_t panel, panels;
};

// Adds inputs [begin, end) of kPanels panels to the sums of a block, and fetches from `next` on as
// much, evenly: that memory is slow costs nothing then.
template <class T, int kPanels>
void AddSlice(const FloatMatmulArgs& args, const Block& block, size_t panel, size_t begin,
              size_t end, const uint8_t* next, float* memory, float* sums) {
  constexpr int kRows = kTileRows * kTileVectors / kPanels;
  const PackedMatrix& w = args.weight;
  const uint8_t* const panels = w.panels + panel * PanelBytes(w);
  Slice slice;
  slice.lines = Widen<kPanels>(T(), w, panels, begin, end, memory);
  slice.panel_stride = slice.lines == memory ? kSliceFloats : PanelBytes(w) / sizeof(float);
  slice.k = end - begin;
  slice.first = begin == 0;
  slice.next_step = DivideUp(PanelBytes(w) / w.k, DivideUp(block.rows, kRows));
  SliceRows<kRows, kPanels>(slice, args.x + block.row * args.stride + begin, args.stride,
                            block.rows, next, sums);
}

template <class T>
void MultiplyBlock(const FloatMatmulArgs& args, const Block& block) {
  alignas(kLineBytes) float sums[(kBlockRows + kTileRows - 1) * kBlockStride],
      memory[kTileVectors * kSliceFloats];
  const PackedMatrix& w = args.weight;
  const size_t slices = DivideUp(w.k, kSliceInputs), length = DivideUp(w.k, 2 * slices) * 2;
  const size_t input_bytes = PanelBytes(w) / w.k;  // about
  for (size_t begin = 0; begin < w.k; begin += length) {
    const size_t end = w.k - begin < length ? w.k : begin + length;
    for (size_t p = 0; p < block.panels;) {
      const bool two = kTileVectors == 2 && block.panels - p >= 2;
      const size_t done = p + (two ? 2 : 1);
      const uint8_t* next = w.panels + block.panel * PanelBytes(w);
      if (done < block.panels) {
        next += done * PanelBytes(w) + begin * input_bytes;
      } else {
        next += end < w.k ? end * input_bytes : block.panels * PanelBytes(w);
      }
      float* const own = sums + p * kPanelOutputs;
      if (two) {
        AddSlice<T, kTileVectors>(args, block, block.panel + p, begin, end, next, memory, own);
      } else {
        AddSlice<T, 1>(args, block, block.panel + p, begin, end, next, memory, own);
      }
      p = done;
    }
  }
  Finish(args.out, block.row, block.rows, block.panel, block.panels, sums, kBlockStride);
}

template <class T>
void MultiplyBlocks(const FloatMatmulArgs& args) {
  const size_t blocks = DivideUp(args.m, kBlockRows);
  const size_t most = DivideUp(args.m, blocks * kTileRows) * kTileRows;  // rows, <= kBlockRows
  for (size_t row = 0, rows; row < args.m; row += rows) {
    const size_t left = args.m - row;
    rows =
        left < most + kTileRows ? left : most;  // what is less than a tile has no block of its own
    for (size_t panel = args.out.begin; panel < args.out.end; panel += kBlockPanels) {
      const size_t panels = args.out.end - panel;
      MultiplyBlock<T>(args, {row, rows, panel, panels < kBlockPanels ? panels : kBlockPanels});
    }
  }
}

template <class T>
void Multiply(const FloatMatmulArgs& args) {
  constexpr int kFew = kTileRows > 4 ? 4 : kTileRows;
  if constexpr (kFew < kTileRows) {
    if (args.m > kFew) return MultiplyBlocks<T>(args);
  }
  size_t panel = args.out.begin;
  if (args.m == 1) panel = Panels<T, 1, kPanelsOfOneRow<T>>(args, panel);
  if (kTileVectors == 2 || args.out.epilogue.gated) {
    panel = Panels<T, kFew * kTileVectors / 2, 2>(args, panel);
  }
  Panels<T, kFew, 1>(args, panel);
}

}  // namespace

void MatmulFloat(const FloatMatmulArgs& args) {
  switch (args.weight.format) {
    case PackedFormat::kBF16:
      return Multiply<BFloat16>(args);
    case PackedFormat::kF16:
      return Multiply<Float16>(args);
    case PackedFormat::kF32:
      return Multiply<float>(args);
    default:
      return Multiply<Integers>(args);
  }
}

}  // namespace rushlight::kernels::RUSHLIGHT_ISA
