// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// NEON with products of small matrices: eight inputs of two outputs times the same of two rows.
// A line has four inputs of sixteen outputs: two lines, or the nibbles of one, zipped word by word,
// have eight of two outputs side by side.  Rows are taken in pairs; the last of an odd number is
// the lower instruction set's.
#if defined(__aarch64__)

#include "src/kernels/packed/matmul_integer.h"
#include "src/kernels/vector/neon.h"

#define RUSHLIGHT_ISA neoni8mm
#if defined(__clang__)
RUSHLIGHT_TARGET("i8mm")
#else
RUSHLIGHT_TARGET("arch=armv8.2-a+dotprod+i8mm")
#endif
namespace rushlight::kernels::neoni8mm {
using namespace neon;
}
#include "src/kernels/packed/epilogue-inl.h"
#include "src/kernels/packed/scales-inl.h"

namespace rushlight::kernels::neoni8mm {
namespace {

// Panels before an epilogue, so that gates and what they gate are together.
inline constexpr size_t kBlockPanels = 2;
inline constexpr size_t kInputs = 8;  // of a step

// [output 0, row 0], [output 0, row 1], [output 1, row 0], [output 1, row 1]
RUSHLIGHT_INLINE int32x4_t Dot(int32x4_t sum, uint8x16_t w, int8x16_t a) {
#if defined(__clang__)  // declares vusmmlaq_s32 only where the whole file may use it (until Clang
                        // 16)
  __asm__("usmmla %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(w), "w"(a));
  return sum;
#else
  return vusmmlaq_s32(sum, w, a);
#endif
}

// Eight inputs of sixteen outputs, two outputs a register.
struct Weights {
  uint8x16_t v[8];
};

RUSHLIGHT_INLINE void Zip(uint8x16_t first, uint8x16_t second, uint8x16_t* out) {
  const uint32x4_t a = vreinterpretq_u32_u8(first), b = vreinterpretq_u32_u8(second);
  out[0] = vreinterpretq_u8_u32(vzip1q_u32(a, b));
  out[1] = vreinterpretq_u8_u32(vzip2q_u32(a, b));
}

template <PackedFormat kFormat>
RUSHLIGHT_INLINE Weights LoadWeights(const uint8_t* codes, bool whole) {
  Weights w;
  RUSHLIGHT_UNROLL
  for (int i = 0; i < 4; ++i) {
    const uint8x16_t line = vld1q_u8(codes + 16 * i);
    if constexpr (kFormat == PackedFormat::kU4) {
      Zip(vandq_u8(line, vdupq_n_u8(15)), vshrq_n_u8(line, 4), w.v + 2 * i);
    } else {  // an odd last line meets activations that are zero
      Zip(line, whole ? vld1q_u8(codes + kLineBytes + 16 * i) : line, w.v + 2 * i);
    }
  }
  return w;
}

// 2 * kPairs rows times a panel.
template <PackedFormat kFormat, int kPairs>
__attribute__((noinline)) void Tile(const PackedMatrix& w, const uint8_t* panel,
                                    const QuantizedRows& rows,
                                    float* out /*[2 * kPairs, kBlockPanels, 16]*/) {
  constexpr size_t kLines = kInputs / InputsPerLine(kFormat);  // of a step
  const size_t groups = GroupCount(w), stride = QuantizedStride(w.k);
  F32x16 sum[2 * kPairs];
  RUSHLIGHT_UNROLL
  for (int r = 0; r < 2 * kPairs; ++r) sum[r] = Set(0.0f);
  const size_t span = ExactGroups(w);
  const bool two_levels = HasTwoLevels(w);
  int32x4_t total[2 * kPairs][4] = {};  // of spans
  const auto end_span = [&] {
    RUSHLIGHT_UNROLL
    for (int i = 0; i < 8 * kPairs; ++i) {
      int32x4_t& of = total[i / 4][i % 4];
      of = vaddq_s32(of, vcvtq_s32_f32(sum[i / 4].v[i % 4]));
      sum[i / 4].v[i % 4] = vdupq_n_f32(0.0f);
    }
  };
  for (size_t group = 0; group < groups; ++group) {
    if (two_levels && group > 0 && group % span == 0) end_span();
    int32x4_t dot[kPairs][8];
    RUSHLIGHT_UNROLL
    for (int p = 0; p < kPairs; ++p) {
      const int32_t* const sums = rows.sums + 2 * p * groups + group;
      const int32x2_t start = {-ZeroPoint(w) * sums[0], -ZeroPoint(w) * sums[groups]};
      RUSHLIGHT_UNROLL
      for (int i = 0; i < 8; ++i) dot[p][i] = vcombine_s32(start, start);
    }
    const int8_t* a = rows.values + group * w.group;
    const uint8_t* codes = panel + CodesOffset(w, group);
    size_t lines = DivideUp(InputsOfGroup(w, group), InputsPerLine(kFormat));
    for (; lines > 0; a += kInputs, codes += kLines * kLineBytes) {
      const Weights weights = LoadWeights<kFormat>(codes, lines >= kLines);
      RUSHLIGHT_UNROLL
      for (int p = 0; p < kPairs; ++p) {
        const int8_t* const first = a + 2 * p * stride;
        const int8x16_t pair = vcombine_s8(vld1_s8(first), vld1_s8(first + stride));
        RUSHLIGHT_UNROLL
        for (int i = 0; i < 8; ++i) dot[p][i] = Dot(dot[p][i], weights.v[i], pair);
      }
      lines -= lines < kLines ? lines : kLines;
    }
    const uint8_t* const header = panel + ScaleOffset(w, group);
    const F32x16 scale = LoadScales(w.scale, header);
    F32x16 minimum = Set(0.0f);
    if (w.has_minimum) minimum = LoadScales(w.scale, header + MinimumDistance(w));
    RUSHLIGHT_UNROLL
    for (int r = 0; r < 2 * kPairs; ++r) {
      const float row_scale = two_levels ? 1.0f : rows.scales[r * groups + group];
      if (w.has_minimum) {
        sum[r] = MulAdd(minimum, Set(rows.totals[r * groups + group]), sum[r]);
      }
      F32x16 x;
      RUSHLIGHT_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int32x4_t low = dot[r / 2][2 * i], high = dot[r / 2][2 * i + 1];
        x.v[i] = vcvtq_f32_s32(r % 2 == 0 ? vuzp1q_s32(low, high) : vuzp2q_s32(low, high));
      }
      sum[r] = MulAdd(x, scale * Set(row_scale), sum[r]);
    }
  }
  if (two_levels) {
    const bool spans = groups > span;
    if (spans) end_span();
    const F32x16 scale = OutputScales(panel);
    RUSHLIGHT_UNROLL
    for (int r = 0; r < 2 * kPairs; ++r) {
      RUSHLIGHT_UNROLL
      for (int i = 0; i < 4; ++i) {
        if (spans) sum[r].v[i] = vcvtq_f32_s32(total[r][i]);
      }
      sum[r] = MulAdd(sum[r], scale * Set(rows.scales[r * groups]), Set(0.0f));
    }
  }
  RUSHLIGHT_UNROLL
  for (int r = 0; r < 2 * kPairs; ++r) Store(out + r * kBlockPanels * kPanelOutputs, sum[r]);
}

// As many times 2 * kPairs rows as there are before `end`, times a block of panels.
template <PackedFormat kFormat, int kPairs>
void Rows(const IntegerMatmulArgs& args, size_t panel, size_t panels, size_t* row, size_t end) {
  for (; *row + 2 * kPairs <= end; *row += 2 * kPairs) {
    float sums[2 * kPairs * kBlockPanels * kPanelOutputs];
    const QuantizedRows rows = RowsFrom(args, *row).rows;
    for (size_t p = 0; p < panels; ++p) {
      Tile<kFormat, kPairs>(args.weight, args.weight.panels + (panel + p) * PanelBytes(args.weight),
                            rows, sums + p * kPanelOutputs);
    }
    Finish(args.out, *row, 2 * kPairs, panel, panels, sums, kBlockPanels * kPanelOutputs);
  }
}

template <PackedFormat kFormat>
void Matmul(const IntegerMatmulArgs& args) {
  const size_t at_once = RowsAtOnce(args.weight, 4);
  const size_t even = args.m / 2 * 2;
  for (size_t begin = 0; begin < even; begin += at_once) {
    const size_t end = even - begin < at_once ? even : begin + at_once;
    for (size_t panel = args.out.begin; panel < args.out.end; panel += kBlockPanels) {
      const size_t left = args.out.end - panel, panels = left < kBlockPanels ? left : kBlockPanels;
      size_t row = begin;
      Rows<kFormat, 2>(args, panel, panels, &row, end);
      Rows<kFormat, 1>(args, panel, panels, &row, end);
    }
  }
}

}  // namespace

void MatmulU4(const IntegerMatmulArgs& args) {
  Matmul<PackedFormat::kU4>(args);
  if (args.m % 2 == 1) neondot::MatmulU4(RowsFrom(args, args.m - 1));
}
void MatmulU8(const IntegerMatmulArgs& args) {
  Matmul<PackedFormat::kU8>(args);
  if (args.m % 2 == 1) neondot::MatmulU8(RowsFrom(args, args.m - 1));
}

}  // namespace rushlight::kernels::neoni8mm
RUSHLIGHT_TARGET_END

#endif
