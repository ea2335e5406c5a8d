// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/compiler/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "rushlight/half.h"
#include "src/core/no_throw.h"

namespace rushlight::compiler {
namespace {

using kernels::PackedFormat;
using kernels::PackedMatrix;
using kernels::ScaleType;

struct Range {
  float low, high;
};
Range CodesOf(const PackedMatrix& w) {
  if (w.format == PackedFormat::kU8) return {-128, 127};
  return w.has_minimum ? Range{0, 15} : Range{-8, 7};
}

constexpr float kToInteger = 12582912.0f;  // 1.5 * 2^23: adding it rounds to nearest, ties to even

// Codes of a group for a scale, as floats, and their squared error.
float Quantize(const float* x, size_t n, float scale, Range range, float* codes) {
  const float inverse = 1.0f / scale;
  float error = 0;
  for (size_t i = 0; i < n; ++i) {
    float code = std::min(std::max(x[i] * inverse, range.low), range.high);
    code = (code + kToInteger) - kToInteger;
    codes[i] = code;
    const float d = x[i] - code * scale;
    error += d * d;
  }
  return error;
}

// The scale for which the codes, as they are, fit best.
float BestScale(const float* x, const float* codes, size_t n) {
  float product = 0, square = 0;
  for (size_t i = 0; i < n; ++i) {
    product += x[i] * codes[i];
    square += codes[i] * codes[i];
  }
  return square > 0 ? product / square : 0;
}

// One group.  `codes` and `trial`: [n].  Returns the scale.
float QuantizeGroup(const float* x, size_t n, const PackedMatrix& w, float* codes, float* trial) {
  const Range range = CodesOf(w);
  float low = 0, high = 0;
  for (size_t i = 0; i < n; ++i) {
    low = std::min(low, x[i]);
    high = std::max(high, x[i]);
  }
  float best_error = INFINITY, best = 0;
  const auto attempt = [&](float scale) {
    scale = kernels::RoundScale(w.scale, scale);
    if (!(std::fabs(scale) >= 0x1p-100f) || !std::isfinite(scale)) return;
    const float error = Quantize(x, n, scale, range, trial);
    if (error < best_error) {
      best_error = error;
      best = scale;
      std::memcpy(codes, trial, n * sizeof(float));
    }
  };
  // The larger extreme gets the code that only one sign has; its sign is the scale's.
  const float extreme = -low > high ? low : high;
  const float full = extreme / range.low;
  attempt(full);
  if (w.format == PackedFormat::kU4) {
    for (int i = 0; i < 10; ++i) attempt(full * (0.75f + 0.04f * static_cast<float>(i)));
    attempt(extreme / range.high);
    attempt(-extreme / range.high);
  }
  for (int i = 0; i < 2 && best != 0; ++i) attempt(BestScale(x, codes, n));
  if (best == 0) std::fill_n(codes, n, 0.0f);
  return best;
}

// Of value = scale * code + minimum.
struct Line {
  float scale, minimum;
};

// One group with a minimum: codes between the extremes, then lines fitted to the codes.
Line QuantizeGroupToLine(const float* x, size_t n, const PackedMatrix& w, float* codes,
                         float* trial, float* shifted) {
  const Range range = CodesOf(w);
  const float low = *std::min_element(x, x + n), high = *std::max_element(x, x + n);
  float best_error = INFINITY;
  Line best{0, 0};
  const auto attempt = [&](float scale, float minimum) {
    scale = kernels::RoundScale(w.scale, scale);
    minimum = kernels::RoundScale(w.scale, minimum);
    if (!(std::fabs(scale) >= 0x1p-100f) || !std::isfinite(scale) || !std::isfinite(minimum))
      return;
    for (size_t i = 0; i < n; ++i) shifted[i] = x[i] - minimum;
    const float error = Quantize(shifted, n, scale, range, trial);
    if (error < best_error) {
      best_error = error;
      best = {scale, minimum};
      std::memcpy(codes, trial, n * sizeof(float));
    }
  };
  for (const float shrink : {1.0f, 0.95f, 0.9f}) {
    const float scale = (high - low) / (range.high - range.low) * shrink;
    const float middle = (low + high) / 2;
    attempt(scale, middle - scale * (range.low + range.high) / 2);
  }
  if (best_error == INFINITY) {  // all equal
    std::fill_n(codes, n, 0.0f);
    return {0, kernels::RoundScale(w.scale, low)};
  }
  for (int i = 0; i < 3; ++i) {
    double sum_x = 0, sum_c = 0, sum_cc = 0, sum_cx = 0;
    for (size_t j = 0; j < n; ++j) {
      sum_x += x[j];
      sum_c += codes[j];
      sum_cc += double{codes[j]} * codes[j];
      sum_cx += double{codes[j]} * x[j];
    }
    const double count = static_cast<double>(n);
    const double spread = count * sum_cc - sum_c * sum_c;
    if (!(spread > 0)) break;
    const double scale = (count * sum_cx - sum_c * sum_x) / spread;
    attempt(static_cast<float>(scale), static_cast<float>((sum_x - scale * sum_c) / count));
  }
  return best;
}

// A group of a row in units of the output's scale: codes 0 to 15, whole scales and minimums, so
// that all numbers are in -128..127.
struct Levels {
  float scale = 0, minimum = 0;
};
inline constexpr float kMostLevelScale = 17;  // 15 * 17 = 255

// The nearest codes, if there are any to store them in, and the squared error.
float QuantizeToLevels(const float* x, size_t n, Levels levels, float* codes) {
  const float inverse = 1.0f / levels.scale;
  float error[8] = {};
  for (size_t begin = 0; begin < n; begin += 8) {
    for (size_t i = begin; i < std::min(n, begin + 8); ++i) {
      float code = std::min(std::max((x[i] - levels.minimum) * inverse, 0.0f), 15.0f);
      code = (code + kToInteger) - kToInteger;
      if (codes != nullptr) codes[i] = code;
      const float d = x[i] - levels.minimum - code * levels.scale;
      error[i - begin] += d * d;
    }
  }
  return std::accumulate(error, error + 8, 0.0f);
}

// The best levels of a group, and the squared error: near what its extremes ask for.
Levels BestLevels(const float* x, size_t n, float* error) {
  const auto [low, high] = std::minmax_element(x, x + n);
  const float middle = (*low + *high) / 2, steps = std::round((*high - *low) / 15);
  Levels best;
  *error = INFINITY;
  const auto attempt = [&](float scale, float minimum) {
    scale = std::min(std::max(scale, 1.0f), kMostLevelScale);
    minimum = std::min(std::max(minimum, -128.0f), 127.0f - 15 * scale);
    const float of = QuantizeToLevels(x, n, {scale, minimum}, nullptr);
    if (of < *error) {
      *error = of;
      best = {scale, minimum};
    }
  };
  for (int d = -2; d <= 2; ++d) {
    const float scale = std::max(steps + static_cast<float>(d), 1.0f);
    attempt(scale, std::round(middle - 7.5f * scale));
  }
  const Levels found = best;
  for (const float d : {-2.0f, -1.0f, 1.0f, 2.0f}) attempt(found.scale, found.minimum + d);
  return best;
}

// A row: `levels` and `trial`: [groups], `units`: [k].  Returns the output's scale.
float QuantizeRowToLevels(const float* x, const PackedMatrix& w, std::vector<Levels>* levels,
                          std::vector<Levels>* trial, float* units, float* codes) {
  const size_t groups = kernels::GroupCount(w);
  float full = 0;
  for (size_t g = 0; g < groups; ++g) {
    const float* const own = x + g * w.group;
    const auto [low, high] = std::minmax_element(own, own + InputsOfGroup(w, g));
    full = std::max({full, (*high - *low) / (15 * kMostLevelScale), *high / 127, *low / -128});
  }
  std::fill(levels->begin(), levels->end(), Levels());
  std::fill_n(codes, w.k, 0.0f);
  if (!(full >= 0x1p-100f)) return 0;
  double best_error = INFINITY;  // squares of large weights are no floats
  float best = 0;
  for (const float shrink : {1.0f, 0.95f, 0.9f, 0.85f}) {  // with less, the largest are clipped
    const float scale = full * shrink, inverse = 1.0f / scale;
    for (size_t i = 0; i < w.k; ++i) units[i] = x[i] * inverse;
    double all = 0;
    for (size_t g = 0; g < groups; ++g) {
      float error;
      (*trial)[g] = BestLevels(units + g * w.group, InputsOfGroup(w, g), &error);
      all += double{error} * scale * scale;
    }
    if (all < best_error) {
      best_error = all;
      best = scale;
      std::swap(*levels, *trial);
    }
  }
  for (size_t i = 0; i < w.k; ++i) units[i] = x[i] * (1.0f / best);
  for (size_t g = 0; g < groups; ++g) {
    const size_t begin = g * w.group;
    QuantizeToLevels(units + begin, InputsOfGroup(w, g), (*levels)[g], codes + begin);
  }
  return best;
}

// PackIntegers() takes whole matrices; a few panels at a time keep the codes in the cache.
constexpr size_t kRowsAtOnce = 8 * kernels::kPanelOutputs;

Result<PackedWeights> PackAsIntegers(const PackedMatrix& w, const float* rows) {
  PackedWeights out;
  out.panels.resize(kernels::PackedBytes(w));
  const size_t groups = kernels::GroupCount(w);
  std::vector<int8_t> codes(kRowsAtOnce * w.k);
  std::vector<float> scales(kRowsAtOnce * groups);
  std::vector<float> minimums(w.has_minimum ? scales.size() : 0);
  std::vector<float> best(w.k), trial(w.k), shifted(w.group);
  std::vector<float> outputs(kRowsAtOnce, 1.0f);
  std::vector<Levels> levels(groups), other(groups);
  for (size_t first = 0; first < w.n; first += kRowsAtOnce) {
    PackedMatrix part = w;
    part.n = std::min(kRowsAtOnce, w.n - first);
    for (size_t r = 0; r < part.n; ++r) {
      const float* const row = rows + (first + r) * w.k;
      if (HasTwoLevels(w)) {
        outputs[r] = QuantizeRowToLevels(row, w, &levels, &other, trial.data(), best.data());
      }
      for (size_t g = 0; g < groups; ++g) {
        const size_t begin = g * w.group, n = InputsOfGroup(w, g);
        const float* x = row + begin;
        float* const own = best.data() + begin;
        Line line{0, 0};
        if (HasTwoLevels(w)) {
          line = {levels[g].scale, levels[g].minimum};
        } else if (w.has_minimum) {
          line = QuantizeGroupToLine(x, n, w, own, trial.data(), shifted.data());
        } else {
          line.scale = QuantizeGroup(x, n, w, own, trial.data());
        }
        scales[r * groups + g] = line.scale;
        if (w.has_minimum) minimums[r * groups + g] = line.minimum;
        for (size_t i = 0; i < n; ++i) {
          codes[r * w.k + begin + i] = static_cast<int8_t>(own[i]);
          const double units = double{own[i]} * double{line.scale} + double{line.minimum};
          const double d = x[i] - units * double{outputs[r]};
          out.squared_error += d * d;
          out.squared_magnitude += double{x[i]} * double{x[i]};
        }
      }
    }
    kernels::PackIntegers(
        part,
        {codes.data(), scales.data(), w.has_minimum ? minimums.data() : nullptr, outputs.data()},
        out.panels.data() + first / kernels::kPanelOutputs * PanelBytes(w));
  }
  return out;
}

// Whether none is rounded when it is stored, or not a number.
bool AreExact(ScaleType type, const float* scales, size_t count) {
  return std::all_of(scales, scales + count, [type](float s) {
    return std::isfinite(s) && kernels::RoundScale(type, s) == s;
  });
}

template <class T>
Result<PackedWeights> PackAsHalves(const PackedMatrix& w, const float* rows) {
  PackedWeights out;
  out.panels.resize(kernels::PackedBytes(w));
  std::vector<T> halves(w.n * w.k);
  for (size_t i = 0; i < halves.size(); ++i) {
    halves[i] = T(rows[i]);
    const double d = double{rows[i]} - double{static_cast<float>(halves[i])};
    out.squared_error += d * d;
    out.squared_magnitude += double{rows[i]} * double{rows[i]};
  }
  kernels::PackFloats(w, halves.data(), out.panels.data());
  return out;
}

}  // namespace

Result<PackedWeights> PackWeights(const PackedMatrix& w, const float* rows) {
  RL_CHECK(kernels::PackedBytes(w) > 0, Reason::kOptionInvalid);
  return NoThrow([&]() -> Result<PackedWeights> {
    float any = 0;  // NaN as soon as a weight is not finite
    for (size_t i = 0; i < w.n * w.k; ++i) any += rows[i] * 0.0f;
    RL_CHECK(any == 0, Reason::kOptionInvalid);
    switch (w.format) {
      case PackedFormat::kF32: {
        PackedWeights out;
        out.panels.resize(kernels::PackedBytes(w));
        kernels::PackFloats(w, rows, out.panels.data());
        return out;
      }
      case PackedFormat::kBF16:
        return PackAsHalves<BFloat16>(w, rows);
      case PackedFormat::kF16:
        return PackAsHalves<Float16>(w, rows);
      default:
        return PackAsIntegers(w, rows);
    }
  });
}

Result<std::vector<uint8_t>> PackExactly(const PackedMatrix& w,
                                         const kernels::ConstIntegerRows& rows) {
  RL_CHECK(kernels::PackedBytes(w) > 0 && kernels::IsInteger(w.format), Reason::kOptionInvalid);
  RL_CHECK(!HasTwoLevels(w), Reason::kOptionInvalid);
  const Range range = CodesOf(w);
  const size_t count = w.n * kernels::GroupCount(w);
  RL_CHECK(std::all_of(rows.codes, rows.codes + w.n * w.k,
                       [&](int8_t c) { return c >= range.low && c <= range.high; }),
           Reason::kOptionInvalid);
  RL_CHECK(AreExact(w.scale, rows.scales, count) &&
               (!w.has_minimum || AreExact(w.scale, rows.minimums, count)),
           Reason::kOptionInvalid);
  return NoThrow([&]() -> Result<std::vector<uint8_t>> {
    std::vector<uint8_t> panels(kernels::PackedBytes(w));
    kernels::PackIntegers(w, rows, panels.data());
    return panels;
  });
}

}  // namespace rushlight::compiler
