// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Tiles of AMX as our products use them: two tiles of sixteen rows times two panels.  Tiles 0 to 3
// are sums: of the first rows with either panel, of the next rows with either; 4 and 5 hold rows'
// inputs, 6 and 7 lines of the panels.
//
// A thread loads the configuration in front of its products, and releases the tiles behind them,
// so that the system does not keep them for it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/kernels/packed/layout.h"
#include "src/kernels/vector/target.h"

namespace rushlight::kernels::amx {

inline constexpr size_t kRows = 16;  // of a tile
inline constexpr size_t kTileBytes = kRows * kLineBytes;
inline constexpr size_t kTileSums = kRows * kPanelOutputs;
// Panels before an epilogue, so that gates and what they gate are together.
inline constexpr size_t kBlockPanels = 2;

// One or two tiles of rows, one or two panels.
struct BlockShape {
  size_t tiles, panels;
};

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  // For `lines` lines of a panel at a time and tiles of so many rows.  Requires: neither is 0 or
  // above 16.
  explicit TileConfig(size_t lines, size_t tile_rows = kRows) {
    for (size_t i = 0; i < 8; ++i) {
      row_bytes[i] = static_cast<uint16_t>(i == 4 || i == 5 ? 4 * lines : kLineBytes);
      rows[i] = static_cast<uint8_t>(i < 6 ? tile_rows : lines);
    }
  }
};
static_assert(sizeof(TileConfig) == 64);

// Compilers do not know that tiles, and their configuration, are loaded from memory.
RUSHLIGHT_INLINE void FinishStores() { __asm__ volatile("" : : : "memory"); }

}  // namespace rushlight::kernels::amx
