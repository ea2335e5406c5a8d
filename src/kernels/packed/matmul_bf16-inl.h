// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Products in bf16, pair by pair.  Included for each instruction set (RUSHLIGHT_ISA), in its target
// region, behind what a pair is made of: Pairs (of sixteen outputs, or one of a row for all of
// them), LoadPairs, BroadcastPair and AddProducts.

#include "src/kernels/packed/epilogue-inl.h"

namespace rushlight::kernels::RUSHLIGHT_ISA {
namespace {

constexpr size_t kPairsAhead = 16;  // lines that a single row fetches ahead

template <int kRows, int kPanels>
void Tile(const BF16MatmulArgs& args, size_t row, size_t panel) {
  const size_t stride = RoundedStride(args.weight.k);
  const size_t panel_stride = PanelBytes(args.weight) / sizeof(BFloat16);
  const auto* w = reinterpret_cast<const BFloat16*>(args.weight.panels) + panel * panel_stride;
  const BFloat16* x = args.x + row * stride;
  F32x16 sum[kRows][kPanels];
  RUSHLIGHT_UNROLL
  for (int r = 0; r < kRows; ++r) {
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) sum[r][p] = Set(0.0f);
  }
  for (size_t i = 0; i < args.weight.k; i += 2, x += 2, w += 2 * kPanelOutputs) {
    Pairs weights[kPanels];
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPanels; ++p) {
      if constexpr (kRows == 1) {
        __builtin_prefetch(w + p * panel_stride + kPairsAhead * 2 * kPanelOutputs);
      }
      weights[p] = LoadPairs(w + p * panel_stride);
    }
    RUSHLIGHT_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const Pairs xi = BroadcastPair(x + r * stride);
      RUSHLIGHT_UNROLL
      for (int p = 0; p < kPanels; ++p) sum[r][p] = AddProducts(sum[r][p], xi, weights[p]);
    }
  }
  FinishTile(args.out, row, panel, sum);
}

// All rows from `row` on: as many tiles of kRows as there are, then smaller ones.
template <int kRows, int kPanels>
void Rows(const BF16MatmulArgs& args, size_t row, size_t panel) {
  for (; args.m - row >= kRows; row += kRows) Tile<kRows, kPanels>(args, row, panel);
  if constexpr (kRows > 1) Rows<(kRows > 4 ? 4 : kRows / 2), kPanels>(args, row, panel);
}

}  // namespace

void Round(const float* x, size_t k, BFloat16* out) {
  for (size_t i = 0; i < k; ++i) {
    uint32_t bits;
    std::memcpy(&bits, x + i, sizeof bits);
    const uint32_t magnitude = bits & 0x7fffffffu;
    bits = magnitude < 0x00800000u ? bits ^ magnitude : bits;
    float normal;
    std::memcpy(&normal, &bits, sizeof normal);
    out[i] = BFloat16(normal);
  }
  for (size_t i = k; i < RoundedStride(k); ++i) out[i] = BFloat16(0.0f);
}

void MatmulBF16(const BF16MatmulArgs& args) {
  size_t panel = args.out.begin;
  for (; panel + 2 <= args.out.end; panel += 2) Rows<kPairRows, 2>(args, 0, panel);
  if (panel < args.out.end) Rows<kPairRows, 1>(args, 0, panel);
}

}  // namespace rushlight::kernels::RUSHLIGHT_ISA
