// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// AMX: sixteen lines of a panel, as they lie in the file, are a tile.  Few rows go through tiles
// too, of fewer rows: so every row is summed in the same order.
#if defined(__x86_64__)

#include <cstring>

#include "src/kernels/packed/matmul_bf16.h"
#include "src/kernels/packed/tiles_amx.h"
#include "src/kernels/vector/avx512.h"

#define RUSHLIGHT_ISA amx
RUSHLIGHT_TARGET("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,amx-tile,amx-bf16")
namespace rushlight::kernels::amx {
using namespace avx512;
}
#include "src/kernels/packed/epilogue-inl.h"

namespace rushlight::kernels::amx {
namespace {

constexpr size_t kLines = 16;                // of a tile
constexpr size_t kInputs = 2 * kLines;       // of a tile
constexpr size_t kLine = kPanelOutputs * 2;  // elements

// Lines of a panel as a tile: as they are, or, if they are fewer, in `own` with zeros behind them.
const BFloat16* WholeTile(const BFloat16* w, size_t lines, BFloat16* own /*[16, 32]*/) {
  if (lines >= kLines) return w;
  std::memset(static_cast<void*>(own), 0, kTileBytes);
  std::memcpy(own, w, lines * kLineBytes);
  return own;
}

// `rows` rows in each tile.
void Block(const BF16MatmulArgs& args, size_t row, size_t rows, size_t panel, BlockShape block) {
  alignas(64) BFloat16 own[kBlockPanels * kTileBytes / sizeof(BFloat16)];
  alignas(64) float sums[2 * kRows * kBlockPanels * kPanelOutputs];
  const size_t k = args.weight.k, all_lines = DivideUp(k, 2);
  const size_t panel_stride = PanelBytes(args.weight) / sizeof(BFloat16);
  const auto* w = reinterpret_cast<const BFloat16*>(args.weight.panels) + panel * panel_stride;
  const BFloat16* x = args.x + row * RoundedStride(k);
  const auto stride = static_cast<long>(RoundedStride(k) * sizeof(BFloat16));
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (size_t line = 0; line < all_lines; line += kLines, x += kInputs, w += kLines * kLine) {
    const size_t lines = all_lines - line;
    const BFloat16* const first = WholeTile(w, lines, own);
    const BFloat16* second = nullptr;
    if (block.panels == 2) second = WholeTile(w + panel_stride, lines, own + kLines * kLine);
    FinishStores();
    _tile_loadd(4, x, stride);
    _tile_loadd(6, first, kLineBytes);
    _tile_dpbf16ps(0, 4, 6);
    if (block.panels == 2) {
      _tile_loadd(7, second, kLineBytes);
      _tile_dpbf16ps(1, 4, 7);
    }
    if (block.tiles == 2) {
      _tile_loadd(5, x + kRows * RoundedStride(k), stride);
      _tile_dpbf16ps(2, 5, 6);
      if (block.panels == 2) _tile_dpbf16ps(3, 5, 7);
    }
  }
  constexpr long kStride = kBlockPanels * kLineBytes;
  float* const next_rows = sums + kRows * kBlockPanels * kPanelOutputs;
  _tile_stored(0, sums, kStride);
  _tile_stored(1, sums + kPanelOutputs, kStride);
  _tile_stored(2, next_rows, kStride);
  _tile_stored(3, next_rows + kPanelOutputs, kStride);
  Finish(args.out, row, block.tiles * rows, panel, block.panels, sums,
         kBlockPanels * kPanelOutputs);
}

// All rows from `begin` to `end` in tiles of `rows` rows, which divide them.
void Multiply(const BF16MatmulArgs& args, size_t begin, size_t end, size_t rows) {
  if (begin == end) return;
  const TileConfig config(kLines, rows);
  FinishStores();
  _tile_loadconfig(&config);
  for (size_t panel = args.out.begin; panel < args.out.end; panel += kBlockPanels) {
    const size_t panels = args.out.end - panel < kBlockPanels ? 1 : kBlockPanels;
    for (size_t row = begin; row < end; row += 2 * rows) {
      const size_t tiles = end - row < 2 * rows ? 1 : 2;
      Block(args, row, rows, panel, {tiles, panels});
    }
  }
  _tile_release();
}

}  // namespace

void MatmulBF16(const BF16MatmulArgs& args) {
  const size_t whole = args.m / kRows * kRows;
  Multiply(args, 0, whole, kRows);
  Multiply(args, whole, args.m, args.m - whole);
}

}  // namespace rushlight::kernels::amx
RUSHLIGHT_TARGET_END

#endif
