// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// AMX: a tile of 16 lines of codes is 64 inputs of a panel, as it lies in the file if codes are
// bytes; nibbles are taken apart into one.  Rows are taken sixteen at a time, those that are left
// over are AVX-512's: below sixteen rows tiles would be emptier than its registers.
//
// A tile must not reach into the next group, so that small groups fill a part of it.  The last one
// of a row may reach behind it, where activations are zero.
#if defined(__x86_64__)

#include "src/kernels/packed/matmul_integer.h"
#include "src/kernels/packed/tiles_amx.h"
#include "src/kernels/vector/avx512.h"

#define RUSHLIGHT_ISA amx
RUSHLIGHT_TARGET("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,amx-tile,amx-int8")
namespace rushlight::kernels::amx {
using namespace avx512;
}
#include "src/kernels/packed/epilogue-inl.h"
#include "src/kernels/packed/scales-inl.h"

namespace rushlight::kernels::amx {
namespace {

inline constexpr size_t kInputs = 64;  // of a tile, at most

// Inputs of a tile: as many as divide a group.
size_t TileInputs(const PackedMatrix& w) {
  if (w.group == w.k || w.group % kInputs == 0) return kInputs;
  return w.group % 32 == 0 ? 32 : 16;
}

// Some inputs of a panel as a tile, if need be in `own`: of bytes as they are, of nibbles without
// their zero point.  Of `lines` lines, which may be fewer than a tile has.
template <PackedFormat kFormat>
RUSHLIGHT_INLINE const uint8_t* Weights(const PackedMatrix& w, const uint8_t* codes, size_t lines,
                                        size_t inputs, uint8_t* own /*[16, 64]*/) {
  if constexpr (kFormat == PackedFormat::kU4) {
    const __m512i zero_point = _mm512_set1_epi8(static_cast<int8_t>(ZeroPoint(w)));
    const __m512i mask = _mm512_set1_epi8(15);
    for (size_t i = 0; i < lines; ++i) {
      const __m512i line = _mm512_loadu_si512(codes + i * kLineBytes);
      const __m512i low = _mm512_and_si512(line, mask);
      const __m512i high = _mm512_and_si512(_mm512_srli_epi16(line, 4), mask);
      _mm512_storeu_si512(own + 2 * i * kLineBytes, _mm512_sub_epi8(low, zero_point));
      _mm512_storeu_si512(own + (2 * i + 1) * kLineBytes, _mm512_sub_epi8(high, zero_point));
    }
    return own;
  } else {
    if (lines * InputsPerLine(kFormat) >= inputs) return codes;
    std::memcpy(own, codes, lines * kLineBytes);
    return own;
  }
}

#define RUSHLIGHT_TILE_PRODUCT(sum, a, b)         \
  do {                                            \
    if constexpr (kFormat == PackedFormat::kU4) { \
      _tile_dpbssd(sum, a, b);                    \
    } else {                                      \
      _tile_dpbsud(sum, a, b);                    \
    }                                             \
  } while (false)

// The dot products of a group; those of bytes count from 0.
template <PackedFormat kFormat>
RUSHLIGHT_INLINE void DotGroup(const PackedMatrix& w, const int8_t* a, const uint8_t* codes,
                               size_t group_inputs, size_t inputs, BlockShape block,
                               uint8_t* own /*[2, 1024]*/, int32_t* dots /*[4, 16, 16]*/) {
  const auto stride = static_cast<long>(QuantizedStride(w.k));
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (size_t i = 0; i < group_inputs; i += inputs, a += inputs) {
    const size_t left = group_inputs - i < inputs ? group_inputs - i : inputs;
    const size_t lines = DivideUp(left, InputsPerLine(kFormat));
    const uint8_t* const first = Weights<kFormat>(w, codes, lines, inputs, own);
    const uint8_t* second = nullptr;
    if (block.panels == 2) {
      second = Weights<kFormat>(w, codes + PanelBytes(w), lines, inputs, own + kTileBytes);
    }
    codes += lines * kLineBytes;
    FinishStores();
    _tile_loadd(4, a, stride);
    _tile_loadd(6, first, kLineBytes);
    RUSHLIGHT_TILE_PRODUCT(0, 4, 6);
    if (block.panels == 2) {
      _tile_loadd(7, second, kLineBytes);
      RUSHLIGHT_TILE_PRODUCT(1, 4, 7);
    }
    if (block.tiles == 2) {
      _tile_loadd(5, a + static_cast<long>(kRows) * stride, stride);
      RUSHLIGHT_TILE_PRODUCT(2, 5, 6);
      if (block.panels == 2) RUSHLIGHT_TILE_PRODUCT(3, 5, 7);
    }
  }
  _tile_stored(0, dots, kLineBytes);
  if (block.panels == 2) _tile_stored(1, dots + kTileSums, kLineBytes);
  if (block.tiles == 2) _tile_stored(2, dots + 2 * kTileSums, kLineBytes);
  if (block.tiles == 2 && block.panels == 2) _tile_stored(3, dots + 3 * kTileSums, kLineBytes);
}
#undef RUSHLIGHT_TILE_PRODUCT

// The sums do not fit into registers; they stay in the nearest cache.
template <PackedFormat kFormat>
void Block(const IntegerMatmulArgs& args, size_t row, size_t panel, size_t inputs,
           BlockShape block) {
  alignas(64) uint8_t own[kBlockPanels * kTileBytes] = {};
  alignas(64) int32_t dots[2 * kBlockPanels * kTileSums];
  alignas(64) float sums[2 * kRows * kBlockPanels * kPanelOutputs] = {};
  const PackedMatrix& w = args.weight;
  const uint8_t* const panels = w.panels + panel * PanelBytes(w);
  const QuantizedRows rows = RowsFrom(args, row).rows;
  const size_t groups = GroupCount(w);
  for (size_t group = 0; group < groups; ++group) {
    DotGroup<kFormat>(w, rows.values + group * w.group, panels + CodesOffset(w, group),
                      InputsOfGroup(w, group), inputs, block, own, dots);
    for (size_t p = 0; p < block.panels; ++p) {
      const uint8_t* const header = panels + p * PanelBytes(w) + ScaleOffset(w, group);
      const F32x16 scale = LoadScales(w.scale, header);
      F32x16 minimum = Set(0.0f);
      if (w.has_minimum) minimum = LoadScales(w.scale, header + MinimumDistance(w));
      for (size_t r = 0; r < block.tiles * kRows; ++r) {
        const size_t at = r * groups + group;
        const size_t tile = r / kRows * kBlockPanels + p;
        __m512i dot = _mm512_loadu_si512(dots + tile * kTileSums + r % kRows * kPanelOutputs);
        if constexpr (kFormat == PackedFormat::kU8) {
          dot = _mm512_add_epi32(dot, _mm512_set1_epi32(-128 * rows.sums[at]));
        }
        float* const own_sums = sums + (r * kBlockPanels + p) * kPanelOutputs;
        F32x16 sum = Load(own_sums);
        if (w.has_minimum) {
          const float total = rows.scales[at] * static_cast<float>(rows.sums[at]);
          sum = MulAdd(minimum, Set(total), sum);
        }
        Store(own_sums, MulAdd({_mm512_cvtepi32_ps(dot)}, scale * Set(rows.scales[at]), sum));
      }
    }
  }
  for (size_t r = 0; r < block.tiles * kRows; ++r) {
    Finish(args.out, row + r, panel, block.panels, sums + r * kBlockPanels * kPanelOutputs);
  }
}

// All rows but the last m % 16.
template <PackedFormat kFormat>
void Matmul(const IntegerMatmulArgs& args) {
  const size_t rows = args.m / kRows * kRows;
  if (rows == 0) return;
  const size_t inputs = TileInputs(args.weight);
  const TileConfig config(inputs / 4);
  FinishStores();
  _tile_loadconfig(&config);
  const size_t at_once = RowsAtOnce(args.weight, 2 * kRows);
  for (size_t begin = 0; begin < rows; begin += at_once) {
    const size_t end = rows - begin < at_once ? rows : begin + at_once;
    for (size_t panel = args.out.begin; panel < args.out.end; panel += kBlockPanels) {
      const size_t panels = args.out.end - panel < kBlockPanels ? 1 : kBlockPanels;
      for (size_t row = begin; row < end; row += 2 * kRows) {
        const size_t tiles = end - row < 2 * kRows ? 1 : 2;
        Block<kFormat>(args, row, panel, inputs, {tiles, panels});
      }
    }
  }
  _tile_release();
}

}  // namespace

void MatmulU4(const IntegerMatmulArgs& args) {
  Matmul<PackedFormat::kU4>(args);
  avx512vnni::MatmulU4(RowsFrom(args, args.m / kRows * kRows));
}
void MatmulU8(const IntegerMatmulArgs& args) {
  Matmul<PackedFormat::kU8>(args);
  avx512vnni::MatmulU8(RowsFrom(args, args.m / kRows * kRows));
}

}  // namespace rushlight::kernels::amx
RUSHLIGHT_TARGET_END

#endif
