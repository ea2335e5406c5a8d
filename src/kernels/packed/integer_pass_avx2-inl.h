// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Products of many rows with integer panels for 16 registers of 256 bits.  Included once for each
// instruction set (RUSHLIGHT_ISA), in its target region, instead of matmul_integer-inl.h.
//
// What stays in registers is not the sums but weights: those of a step (some inputs of half a
// panel's outputs), taken apart once, past which all rows of a block go.  The activations of a step
// are spread out for it, each four as often as there are outputs in a register, so that a product
// takes them from the first cache as its operand; all panels at hand take the same.  The sums lie
// in the cache too.

#include "src/kernels/packed/matmul_integer-inl.h"

namespace rushlight::kernels::RUSHLIGHT_ISA {
namespace {

inline constexpr size_t kPassRows = 32;  // of a block
inline constexpr size_t kPassPanels = 8;
inline constexpr size_t kPassOutputs = kPassPanels * kPanelOutputs;
inline constexpr size_t kPassBytes = 256 * 1024;  // of panels that stay in the cache for all rows

struct PassMemory {
  alignas(64) __m256i spread[kPassRows][kStepVectors];
  alignas(64) float sums[kPassRows][kPassOutputs];
  alignas(64) int32_t dots[kPassRows][kPassOutputs];    // of a group that is not over
  alignas(64) int32_t totals[kPassRows][kPassOutputs];  // of spans that are over; two levels only
  // What a row brings to a group, beside its bytes.
  float scales[kPassRows];
  int32_t starts[kPassRows];  // of the dot products
  float whole[kPassRows];     // what a minimum is multiplied by
};

// A step: the part of a group that is multiplied at once.
struct Step {
  size_t lines;      // of codes
  bool first, last;  // of its group
};

template <PackedFormat kFormat, Scaling kScaling>
RUSHLIGHT_INLINE void PassHalf(const Step& step, const uint8_t* codes, size_t rows, __m256 scale,
                               __m256 minimum, size_t column, PassMemory* m) {
  __m256i weights[kStepVectors];
  LoadStep<kFormat>(codes, step.lines, weights);
  const auto dot = [&](size_t r) { return HalfDot<kFormat>(weights, m->spread[r]); };
  const auto start = [&](size_t r) { return _mm256_set1_epi32(m->starts[r]); };
  const auto before = [&](size_t r) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(&m->dots[r][column]));
  };
  const auto finish = [&](size_t r, __m256i integers) {
    float* const to = &m->sums[r][column];
    __m256 sum = _mm256_loadu_ps(to);
    if constexpr (kScaling != Scaling::kPlain) {
      sum = _mm256_fmadd_ps(minimum, _mm256_broadcast_ss(&m->whole[r]), sum);
    }
    __m256 both = scale;
    if constexpr (kScaling != Scaling::kTwoLevels) {
      both = _mm256_mul_ps(scale, _mm256_broadcast_ss(&m->scales[r]));
    }
    _mm256_storeu_ps(to, _mm256_fmadd_ps(_mm256_cvtepi32_ps(integers), both, sum));
  };
  if (step.last) {
    if (step.first) {
      for (size_t r = 0; r < rows; ++r) finish(r, _mm256_add_epi32(dot(r), start(r)));
    } else {
      for (size_t r = 0; r < rows; ++r) finish(r, _mm256_add_epi32(dot(r), before(r)));
    }
    return;
  }
  for (size_t r = 0; r < rows; ++r) {
    const __m256i sum = _mm256_add_epi32(dot(r), step.first ? start(r) : before(r));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(&m->dots[r][column]), sum);
  }
}

// The sums of a span become integers, those of all spans floats behind the last.
RUSHLIGHT_INLINE void EndSpan(size_t rows, size_t columns, bool first, bool last, PassMemory* m) {
  for (size_t r = 0; r < rows; ++r) {
    for (size_t i = 0; i < columns; i += kPanelOutputs / 2) {
      float* const sum = &m->sums[r][i];
      auto* const total = reinterpret_cast<__m256i*>(&m->totals[r][i]);
      __m256i x = _mm256_cvtps_epi32(_mm256_load_ps(sum));
      if (!first) x = _mm256_add_epi32(x, _mm256_load_si256(total));
      _mm256_store_si256(total, x);
      _mm256_store_ps(sum, last ? _mm256_cvtepi32_ps(x) : _mm256_setzero_ps());
    }
  }
}

// Whole numbers to what they stand for.
RUSHLIGHT_INLINE void ScaleOutputs(const uint8_t* panels, size_t panel_bytes, size_t rows,
                                   size_t count, PassMemory* m) {
  for (size_t p = 0; p < count; ++p) {
    const F32x16 scale = OutputScales(panels + p * panel_bytes);
    for (size_t r = 0; r < rows; ++r) {
      float* const sum = &m->sums[r][p * kPanelOutputs];
      Store(sum, MulAdd(Load(sum), scale * Set(m->scales[r]), Set(0.0f)));
    }
  }
}

// What Finish reads and writes of a row comes near while the products are made.
RUSHLIGHT_INLINE void PrefetchOutput(const MatmulOutput& o, size_t row, size_t panel,
                                     size_t panels) {
  const size_t step = o.epilogue.gated ? 2 : 1;
  for (size_t i = 0; i < panels; i += step) {
    const size_t column = (panel + i) / step * kPanelOutputs;
    if (column >= o.columns) return;
    const Epilogue& e = o.epilogue;
    __builtin_prefetch(o.data + row * o.stride + column, 1, 2);
    if (e.residual != nullptr) {
      __builtin_prefetch(e.residual + row * e.residual_stride + column, 0, 2);
    }
  }
}

// Rows begin ... end - 1, kPassRows or fewer, times kPassPanels panels or fewer.
template <PackedFormat kFormat, Scaling kScaling>
void PassRows(const IntegerMatmulArgs& args, size_t panel, size_t panels, size_t begin,
              size_t end) {
  const PackedMatrix& w = args.weight;
  const size_t rows = end - begin, stride = QuantizedStride(w.k);
  const size_t groups = GroupCount(w), panel_bytes = PanelBytes(w), span = ExactGroups(w);
  constexpr bool kMinimum = kScaling != Scaling::kPlain;
  PassMemory m;
  std::memset(m.sums, 0, rows * sizeof m.sums[0]);
  std::memset(m.spread, 0, rows * sizeof m.spread[0]);
  for (size_t r = begin; r < end; ++r) PrefetchOutput(args.out, r, panel, panels);
  for (size_t g = 0; g < groups; ++g) {
    const uint8_t* const header = w.panels + panel * panel_bytes + ScaleOffset(w, g);
    const uint8_t* const codes = w.panels + panel * panel_bytes + CodesOffset(w, g);
    for (size_t r = 0; r < rows; ++r) {
      const size_t at = (begin + r) * groups + g;
      m.scales[r] = args.rows.scales[at];
      m.starts[r] = HalfStart<kFormat>(kMinimum, args.rows.sums[at]);
      m.whole[r] = args.rows.totals[at];
    }
    const size_t inputs = InputsOfGroup(w, g);
    for (size_t i = 0; i < inputs; i += kStepInputs<kFormat>) {
      const size_t left = inputs - i;
      Step step;
      step.first = i == 0;
      step.last = left <= kStepInputs<kFormat>;
      step.lines = DivideUp(step.last ? left : kStepInputs<kFormat>, InputsPerLine(kFormat));
      const int8_t* const values = args.rows.values + begin * stride + g * w.group + i;
      const size_t bytes = stride - (g * w.group + i);  // behind them is another row
      for (size_t r = 0; r < rows; ++r) {
        Spread<kFormat>(values + r * stride, bytes, m.spread[r]);
      }
      const uint8_t* const lines = codes + i / InputsPerLine(kFormat) * kLineBytes;
      for (size_t p = 0; p < panels; ++p) {
        const uint8_t* const scales = header + p * panel_bytes;
        F32x16 scale = Set(0.0f), minimum = Set(0.0f);
        if (step.last) {
          scale = LoadScales(w.scale, scales);
          if (kMinimum) minimum = LoadScales(w.scale, scales + MinimumDistance(w));
        }
        const uint8_t* const own = lines + p * panel_bytes;
        const size_t column = p * kPanelOutputs;
        PassHalf<kFormat, kScaling>(step, own, rows, scale.low, minimum.low, column, &m);
        PassHalf<kFormat, kScaling>(step, own + kLineBytes / 2, rows, scale.high, minimum.high,
                                    column + kPanelOutputs / 2, &m);
      }
    }
    if constexpr (kScaling == Scaling::kTwoLevels) {
      const bool last = g + 1 == groups;
      if (groups > span && (last || (g + 1) % span == 0)) {
        EndSpan(rows, panels * kPanelOutputs, g < span, last, &m);
      }
    }
  }
  if constexpr (kScaling == Scaling::kTwoLevels) {
    ScaleOutputs(w.panels + panel * panel_bytes, panel_bytes, rows, panels, &m);
  }
  Finish(args.out, begin, rows, panel, panels, m.sums[0], kPassOutputs);
}

// All rows, in blocks of about the same number.
template <PackedFormat kFormat>
void Pass(const IntegerMatmulArgs& args) {
  constexpr decltype(&PassRows<kFormat, Scaling::kPlain>) pass[] = {
      PassRows<kFormat, Scaling::kPlain>, PassRows<kFormat, Scaling::kMinimum>,
      PassRows<kFormat, kMostScaling<kFormat>>};
  const size_t fitting = kPassBytes / PanelBytes(args.weight) / kBlockPanels * kBlockPanels;
  const size_t at_once = fitting < kBlockPanels  ? kBlockPanels
                         : fitting < kPassPanels ? fitting
                                                 : kPassPanels;
  const size_t blocks = DivideUp(args.m, kPassRows), block = DivideUp(args.m, blocks);
  for (size_t panel = args.out.begin; panel < args.out.end; panel += at_once) {
    const size_t left = args.out.end - panel, panels = left < at_once ? left : at_once;
    for (size_t begin = 0; begin < args.m; begin += block) {
      const size_t end = args.m - begin < block ? args.m : begin + block;
      pass[static_cast<int>(ScalingOf(args.weight))](args, panel, panels, begin, end);
    }
  }
}

}  // namespace
}  // namespace rushlight::kernels::RUSHLIGHT_ISA
