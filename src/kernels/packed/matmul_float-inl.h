// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Products in float, written once.  Included for each instruction set (RUSHLIGHT_ISA), in
// its target region.
//
// Panels are walked in the outer loop and rows in the inner one, so that memory is read once and
// the panels at hand stay in the cache for all rows.  A tile of rows x panels has its sums in
// registers; what it leaves over is done by smaller tiles.  One row reads four panels side by side.

#include "src/kernels/packed/epilogue-inl.h"
#include "src/kernels/packed/scales-inl.h"
#include "src/kernels/vector/line-inl.h"

namespace rushlight::kernels::RUSHLIGHT_ISA {
namespace {

constexpr size_t kPrefetchLines = 16;  // ahead of each panel, where one row waits for memory

struct Integers {};  // what panels hold, beside float, BFloat16 and Float16

// Vectors of a tile.  Integers take smaller ones: large ones are much code, for what is seldom
// used.
template <class T>
constexpr int kTile = (kTileRows * kTileVectors);
template <>
constexpr int kTile<Integers> = kTileRows > 4 ? 4 * kTileVectors : kTileRows;
// Of a tile with one row; even, so that gates and what they gate are together.
template <class T>
constexpr int kPanelsOfOneRow = 4;
template <>
constexpr int kPanelsOfOneRow<Integers> = kTileRows > 4 ? 4 : 2;

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
    if constexpr (kRows == 1) {
      RUSHLIGHT_UNROLL
      for (int p = 0; p < kPanels; ++p) {
        __builtin_prefetch(line + p * panel_stride + kPrefetchLines * kLine);
      }
    }
    AddLine<kRows, kPanels>(x + i, stride, line, panel_stride, kInputs, sum);
  }
  if (i < w.k) AddLine<kRows, kPanels>(x + i, stride, line, panel_stride, w.k - i, sum);
}

template <int kRows, int kPanels>
RUSHLIGHT_INLINE void AddPanels(Integers, const PackedMatrix& w, const uint8_t* panels,
                                const float* x, size_t stride, F32x16 (&sum)[kRows][kPanels]) {
  const size_t panel_bytes = PanelBytes(w);
  const bool four = w.format == PackedFormat::kU4;
  const uint32_t mask = four ? 15 : 255;
  const F32x16 zero_point = Set(static_cast<float>(ZeroPoint(w)));
  for (size_t group = 0; group < GroupCount(w); ++group) {
    const uint8_t* const header = panels + ScaleOffset(w, group);
    const uint8_t* const codes = panels + CodesOffset(w, group);
    F32x16 scale[kPanels], minimum[kPanels];
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) {
      const uint8_t* const own = header + p * panel_bytes;
      scale[p] = LoadScales(w.scale, own);
      minimum[p] = w.has_minimum ? LoadScales(w.scale, own + MinimumDistance(w)) : Set(0.0f);
    }
    const size_t inputs = InputsOfGroup(w, group);
    for (size_t i = 0; i < inputs; ++i, ++x) {
      const uint8_t* const line = codes + (four ? i / 8 : i / 4) * kLineBytes;
      const auto shift = static_cast<unsigned>(i % 4 * 8 + (four ? i % 8 / 4 * 4 : 0));
      F32x16 weight[kPanels];
      RUSHLIGHT_UNROLL
      for (int p = 0; p < kPanels; ++p) {
        const F32x16 code = LoadBits(line + p * panel_bytes, shift, mask) - zero_point;
        weight[p] = code * scale[p] + minimum[p];
      }
      RUSHLIGHT_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const F32x16 xi = Set(x[r * stride]);
        RUSHLIGHT_UNROLL
        for (int p = 0; p < kPanels; ++p) sum[r][p] = MulAdd(xi, weight[p], sum[r][p]);
      }
    }
  }
}

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
  float sums[kRows][kPanels * kPanelOutputs];
  RUSHLIGHT_UNROLL
  for (int r = 0; r < kRows; ++r) {
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) Store(&sums[r][p * kPanelOutputs], sum[r][p]);
  }
  for (int r = 0; r < kRows; ++r) Finish(args.out, row + r, panel, kPanels, sums[r]);
}

// All rows from `row` on: as many tiles of kRows as there are, then smaller ones.
template <class T, int kRows, int kPanels>
void Rows(const FloatMatmulArgs& args, size_t row, size_t panel) {
  for (; args.m - row >= kRows; row += kRows) Tile<T, kRows, kPanels>(args, row, panel);
  constexpr int kFewer = kRows > 8 ? 8 : kRows > 4 ? 4 : kRows > 2 ? 2 : 1;
  if constexpr (kFewer < kRows) Rows<T, kFewer, kPanels>(args, row, panel);
}

// All panels from `panel` on that make groups of kPanels; returns the first that is left.
template <class T, int kPanels>
size_t Panels(const FloatMatmulArgs& args, size_t panel) {
  constexpr int kRows = kTile<T> / kPanels;
  for (; args.out.end - panel >= kPanels; panel += kPanels) Rows<T, kRows, kPanels>(args, 0, panel);
  return panel;
}

template <class T>
void Multiply(const FloatMatmulArgs& args) {
  size_t panel = args.out.begin;
  if (args.m == 1) {
    constexpr int kPanels = kPanelsOfOneRow<T>;
    for (; args.out.end - panel >= kPanels; panel += kPanels) Tile<T, 1, kPanels>(args, 0, panel);
  }
  if (kTileVectors == 2 || args.out.epilogue.gated) panel = Panels<T, 2>(args, panel);
  Panels<T, 1>(args, panel);
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
