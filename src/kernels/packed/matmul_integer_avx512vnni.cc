// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// AVX-512 VNNI: a line is a register.
#if defined(__x86_64__)

#include "src/kernels/packed/matmul_integer.h"
#include "src/kernels/vector/avx512.h"

#define RUSHLIGHT_ISA avx512vnni
RUSHLIGHT_TARGET("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
namespace rushlight::kernels::avx512vnni {

using namespace avx512;
using Quad = __m512i;  // four activations, for every output
struct Line {
  __m512i v;
};
struct I32x16 {
  __m512i v;
};

inline constexpr int kIntegerRows = 8;  // of a tile
inline constexpr size_t kIntegerPanels = 2;
inline constexpr size_t kRowPanels = 4;  // of a tile of one row: streams of memory
inline constexpr bool kPasses = false;
inline constexpr size_t kWidenedRows = 16;   // or more
inline constexpr size_t kWidenedSpans = 16;  // or fewer

RUSHLIGHT_INLINE Line LoadLine(const uint8_t* p) { return {_mm512_loadu_si512(p)}; }
RUSHLIGHT_INLINE Line LowNibbles(Line x) { return {_mm512_and_si512(x.v, _mm512_set1_epi8(15))}; }
RUSHLIGHT_INLINE Line HighNibbles(Line x) { return LowNibbles({_mm512_srli_epi16(x.v, 4)}); }
RUSHLIGHT_INLINE Line Bytes(Line x) { return x; }
RUSHLIGHT_INLINE Quad LoadQuad(const int8_t* p) {
  int32_t four;
  std::memcpy(&four, p, sizeof four);
  return _mm512_set1_epi32(four);
}

RUSHLIGHT_INLINE I32x16 SetInteger(int32_t x) { return {_mm512_set1_epi32(x)}; }
RUSHLIGHT_INLINE I32x16 operator+(I32x16 a, I32x16 b) { return {_mm512_add_epi32(a.v, b.v)}; }
RUSHLIGHT_INLINE I32x16 StartNibbles(int32_t sum) { return SetInteger(-8 * sum); }
RUSHLIGHT_INLINE I32x16 StartBytes(int32_t sum) { return SetInteger(-128 * sum); }
RUSHLIGHT_INLINE I32x16 DotBytes(I32x16 sum, Line w, Quad a) {
  sum.v = _mm512_dpbusd_epi32(sum.v, w.v, a);
  RUSHLIGHT_IN_PLACE(sum.v);
  return sum;
}
RUSHLIGHT_INLINE I32x16 DotNibbles(I32x16 sum, Line low, Line high, Quad a, Quad b) {
  return DotBytes(DotBytes(sum, low, a), high, b);
}
RUSHLIGHT_INLINE F32x16 ToFloat(I32x16 x) { return {_mm512_cvtepi32_ps(x.v)}; }
RUSHLIGHT_INLINE I32x16 ToInteger(F32x16 x) { return {_mm512_cvtps_epi32(x.v)}; }
RUSHLIGHT_INLINE void StoreLowBytes(int8_t* p, F32x16 x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_castps_si512(x.v)));
}

}  // namespace rushlight::kernels::avx512vnni

#include "src/kernels/packed/levels_avx512-inl.h"
#include "src/kernels/packed/matmul_integer-inl.h"

namespace rushlight::kernels::avx512vnni {
namespace {

inline constexpr size_t kWidenedBlock = 128;  // rows
inline constexpr size_t kSumsStride = kBlockPanels * kPanelOutputs;

// Two panels' inputs of a span, as one group of u8 with the scale 1, and what becomes of it.
struct Widened {
  struct alignas(64) Panel {
    float scales[2 * kPanelOutputs];
    uint8_t codes[kExactInputs * kPanelOutputs];
  } panels[kBlockPanels];
  alignas(64) float sums[kWidenedBlock][kSumsStride];
  alignas(64) int32_t totals[kWidenedBlock][kSumsStride];
  int32_t row_sums[kWidenedSpans][kWidenedBlock];
  float row_scales[kWidenedBlock];  // 1
};

template <int kRows>
void MultiplySpan(TileArgs c, size_t panels, size_t rows, float* sums) {
  for (; rows >= kRows; rows -= kRows, sums += kRows * kSumsStride) {
    Block<PackedFormat::kU8, Scaling::kPlain, kRows>(c, panels, sums);
    c.rows.values += kRows * c.stride;
    c.rows.sums += kRows;
  }
  if constexpr (kRows > 1) MultiplySpan<(kRows > 4 ? 4 : kRows / 2)>(c, panels, rows, sums);
}

// The sums of some rows, as floats of whole numbers.
void SumWidened(const IntegerMatmulArgs& args, size_t panel, size_t panels, size_t rows,
                Widened* m) {
  const PackedMatrix& w = args.weight;
  const size_t span = ExactGroups(w) * w.group;
  for (size_t begin = 0, i = 0; begin < w.k; begin += span, ++i) {
    PackedMatrix part;
    part.format = PackedFormat::kU8;
    part.scale = ScaleType::kF32;
    part.n = panels * kPanelOutputs;
    part.k = part.group = w.k - begin < span ? w.k - begin : span;
    for (size_t p = 0; p < panels; ++p) {
      const uint8_t* const from = w.panels + (panel + p) * PanelBytes(w);
      WidenLevels(w, from, begin, part.k, -128, m->panels[p].codes);
    }
    const auto* const own = reinterpret_cast<const uint8_t*>(m->panels);
    const QuantizedRows of = {args.rows.values + begin, m->row_scales, m->row_sums[i], nullptr};
    MultiplySpan<kIntegerRows>({part, sizeof m->panels[0], 1, QuantizedStride(w.k), 0, own, of},
                               panels, rows, m->sums[0]);
    if (w.k <= span) return;
    const bool last = w.k - begin <= span;
    for (size_t r = 0; r < rows; ++r) {
      for (size_t j = 0; j < panels * kPanelOutputs; j += kPanelOutputs) {
        const __m512i x = ToInteger(Load(&m->sums[r][j])).v;
        int32_t* const total = &m->totals[r][j];
        const __m512i sum = begin == 0 ? x : _mm512_add_epi32(x, _mm512_loadu_si512(total));
        if (last) {
          Store(&m->sums[r][j], ToFloat({sum}));
        } else {
          _mm512_storeu_si512(total, sum);
        }
      }
    }
  }
}

template <>
void MatmulWidened<PackedFormat::kU4>(const IntegerMatmulArgs& args) {
  const PackedMatrix& w = args.weight;
  const size_t groups = GroupCount(w), span = ExactGroups(w);
  Widened m;
  for (auto& panel : m.panels) Store(panel.scales, Set(1.0f));
  for (float& scale : m.row_scales) scale = 1.0f;
  const size_t blocks = DivideUp(args.m, kWidenedBlock), block = DivideUp(args.m, blocks);
  for (size_t begin = 0; begin < args.m; begin += block) {
    const IntegerMatmulArgs from = RowsFrom(args, begin);
    const size_t rows = from.m < block ? from.m : block;
    for (size_t r = 0; r < rows; ++r) {
      for (size_t i = 0; i * span < groups; ++i) m.row_sums[i][r] = 0;
      for (size_t g = 0; g < groups; ++g) m.row_sums[g / span][r] += from.rows.sums[r * groups + g];
    }
    for (size_t panel = args.out.begin; panel < args.out.end; panel += kBlockPanels) {
      const size_t left = args.out.end - panel, panels = left < kBlockPanels ? left : kBlockPanels;
      SumWidened(from, panel, panels, rows, &m);
      for (size_t p = 0; p < panels; ++p) {
        const F32x16 scale = OutputScales(w.panels + (panel + p) * PanelBytes(w));
        for (size_t r = 0; r < rows; ++r) {
          float* const sum = &m.sums[r][p * kPanelOutputs];
          const F32x16 row_scale = Set(from.rows.scales[r * groups]);
          Store(sum, MulAdd(Load(sum), scale * row_scale, Set(0.0f)));
        }
      }
      Finish(from.out, 0, rows, panel, panels, m.sums[0], kSumsStride);
    }
  }
}

}  // namespace
}  // namespace rushlight::kernels::avx512vnni
RUSHLIGHT_TARGET_END

#endif
