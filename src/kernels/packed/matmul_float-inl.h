// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Products with float panels, written once.  Included for each instruction set (RUSHLIGHT_ISA), in
// its target region.
//
// Panels are walked in the outer loop and rows in the inner one, so that memory is read once and
// the panels at hand stay in the cache for all rows.  A tile of rows x panels has its sums in
// registers; what it leaves over is done by smaller tiles.  One row reads four panels side by side.

#include "src/kernels/packed/epilogue-inl.h"
#include "src/kernels/vector/line-inl.h"

namespace rushlight::kernels::RUSHLIGHT_ISA {
namespace {

constexpr size_t kPrefetchLines = 16;  // ahead of each panel, where one row waits for memory

template <class T, int kRows, int kPanels>
void Tile(const FloatMatmulArgs& args, size_t row, size_t panel) {
  constexpr size_t kInputs = sizeof(float) / sizeof(T);  // of a line
  constexpr size_t kLine = kLineBytes / sizeof(T);
  const size_t k = args.weight.k;
  const size_t panel_stride = PanelBytes(args.weight) / sizeof(T);
  const float* x = args.x + row * args.stride;
  const T* line = reinterpret_cast<const T*>(args.weight.panels) + panel * panel_stride;
  F32x16 sum[kRows][kPanels];
  RUSHLIGHT_UNROLL
  for (int r = 0; r < kRows; ++r) {
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) sum[r][p] = Set(0.0f);
  }
  size_t i = 0;
  for (; i + kInputs <= k; i += kInputs, line += kLine) {
    if constexpr (kRows == 1) {
      RUSHLIGHT_UNROLL
      for (int p = 0; p < kPanels; ++p) {
        __builtin_prefetch(line + p * panel_stride + kPrefetchLines * kLine);
      }
    }
    AddLine<kRows, kPanels>(x + i, args.stride, line, panel_stride, kInputs, sum);
  }
  if (i < k) AddLine<kRows, kPanels>(x + i, args.stride, line, panel_stride, k - i, sum);
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
  constexpr int kRows = kTileRows * kTileVectors / kPanels;
  for (; args.out.end - panel >= kPanels; panel += kPanels) Rows<T, kRows, kPanels>(args, 0, panel);
  return panel;
}

template <class T>
void Multiply(const FloatMatmulArgs& args) {
  size_t panel = args.out.begin;
  if (args.m == 1) {
    for (; args.out.end - panel >= 4; panel += 4) Tile<T, 1, 4>(args, 0, panel);
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
    default:
      return Multiply<float>(args);
  }
}

}  // namespace rushlight::kernels::RUSHLIGHT_ISA
