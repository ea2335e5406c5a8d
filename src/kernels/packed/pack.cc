// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/packed/pack.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "rushlight/half.h"

namespace rushlight::kernels {

namespace {

// Where in the panels the codes of (row, group) begin.
size_t CodesPlace(const PackedMatrix& w, size_t row, size_t group) {
  return row / kPanelOutputs * PanelBytes(w) + CodesOffset(w, group) + row % kPanelOutputs * 4;
}

// Where the code of a group's input is, from there.
struct Place {
  size_t byte;
  unsigned shift;  // of a nibble
};
Place InGroup(PackedFormat format, size_t i) {
  if (format == PackedFormat::kU8) return {i / 4 * kLineBytes + i % 4, 0};
  return {i / 8 * kLineBytes + i % 4, i % 8 < 4 ? 0u : 4u};
}

// Where in the panels the scale of (row, group) is; the minimum is MinimumDistance() behind it.
size_t ScalePlace(const PackedMatrix& w, size_t row, size_t group) {
  return row / kPanelOutputs * PanelBytes(w) + ScaleOffset(w, group) +
         row % kPanelOutputs * ScaleBytes(w);
}

// The codes of (row, group), of `n` inputs, each given to f(input of the group, code).
template <class F>
void ForCodes(const PackedMatrix& w, size_t row, size_t group, size_t n, F f) {
  const uint8_t* codes = w.panels + CodesPlace(w, row, group);
  const int mask = w.format == PackedFormat::kU4 ? 15 : 255, zero_point = ZeroPoint(w);
  for (size_t i = 0; i < n; ++i) {
    const Place place = InGroup(w.format, i);
    f(i, (codes[place.byte] >> place.shift & mask) - zero_point);
  }
}

template <class T>
float LoadAs(const uint8_t* p) {
  T scale;
  std::memcpy(&scale, p, sizeof scale);
  return static_cast<float>(scale);
}
float LoadScale(const PackedMatrix& w, size_t place) {
  const uint8_t* p = w.panels + place;
  switch (w.scale) {
    case ScaleType::kF16:
      return LoadAs<Float16>(p);
    case ScaleType::kF32:
      return LoadAs<float>(p);
    case ScaleType::kI8:
      return LoadAs<int8_t>(p);
    default:
      return LoadAs<BFloat16>(p);
  }
}

template <class T>
void StoreAs(float scale, uint8_t* p) {
  const T stored(scale);
  std::memcpy(p, &stored, sizeof stored);
}
void StoreScale(const PackedMatrix& w, float scale, uint8_t* p) {
  switch (w.scale) {
    case ScaleType::kF16:
      return StoreAs<Float16>(scale, p);
    case ScaleType::kF32:
      return StoreAs<float>(scale, p);
    case ScaleType::kI8:
      return StoreAs<int8_t>(RoundScale(w.scale, scale), p);
    default:
      return StoreAs<BFloat16>(scale, p);
  }
}

// Where in the panels the scale of an output is.  Requires: two levels.
size_t OutputScalePlace(const PackedMatrix& w, size_t row) {
  return row / kPanelOutputs * PanelBytes(w) + row % kPanelOutputs * sizeof(float);
}

size_t FloatBytes(PackedFormat format) { return format == PackedFormat::kF32 ? 4 : 2; }

// Where in the panels a float is.
size_t FloatPlace(const PackedMatrix& w, size_t row, size_t input) {
  const size_t per_line = InputsPerLine(w.format);
  return row / kPanelOutputs * PanelBytes(w) + input / per_line * kLineBytes +
         (row % kPanelOutputs * per_line + input % per_line) * FloatBytes(w.format);
}

// Lines of codes whose values are all zero, and empty headers.
void Clear(const PackedMatrix& w, uint8_t* panels) {
  const size_t pair_lines = HeaderLines(w) + 2 * LinesPerGroup(w);
  const auto zero = static_cast<uint8_t>(ZeroPoint(w) * (w.format == PackedFormat::kU4 ? 17 : 1));
  for (size_t panel = 0; panel < PanelCount(w); ++panel) {
    const size_t first = OutputScaleLines(w);
    for (size_t line = 0; line < PanelLines(w); ++line) {
      const bool code = line >= first && (line - first) % pair_lines >= HeaderLines(w);
      std::memset(panels, code ? zero : 0, kLineBytes);
      panels += kLineBytes;
    }
  }
}

}  // namespace

float RoundScale(ScaleType type, float scale) {
  switch (type) {
    case ScaleType::kF16:
      return Float16(scale);
    case ScaleType::kF32:
      return scale;
    case ScaleType::kI8:
      if (std::isnan(scale)) return scale;
      return std::nearbyint(std::min(std::max(scale, -128.0f), 127.0f));
    default:
      return BFloat16(scale);
  }
}

void PackIntegers(const PackedMatrix& w, const ConstIntegerRows& rows, uint8_t* panels) {
  Clear(w, panels);
  const size_t groups = GroupCount(w);
  const int zero_point = ZeroPoint(w);
  for (size_t row = 0; row < w.n; ++row) {
    if (HasTwoLevels(w)) StoreAs<float>(rows.outputs[row], panels + OutputScalePlace(w, row));
    for (size_t group = 0; group < groups; ++group) {
      const int8_t* codes = rows.codes + row * w.k + group * w.group;
      uint8_t* const to = panels + CodesPlace(w, row, group);
      for (size_t i = 0; i < InputsOfGroup(w, group); ++i) {
        const Place place = InGroup(w.format, i);
        uint8_t& byte = to[place.byte];
        const auto code = static_cast<uint8_t>(codes[i] + zero_point);
        byte =
            w.format == PackedFormat::kU8
                ? code
                : static_cast<uint8_t>((byte & 0xf0 >> place.shift) | (code & 15) << place.shift);
      }
      uint8_t* const header = panels + ScalePlace(w, row, group);
      StoreScale(w, rows.scales[row * groups + group], header);
      if (w.has_minimum) {
        StoreScale(w, rows.minimums[row * groups + group], header + MinimumDistance(w));
      }
    }
  }
}

void UnpackIntegers(const PackedMatrix& w, const MutableIntegerRows& rows) {
  const size_t groups = GroupCount(w);
  for (size_t row = 0; row < w.n; ++row) {
    if (HasTwoLevels(w)) rows.outputs[row] = LoadAs<float>(w.panels + OutputScalePlace(w, row));
    for (size_t group = 0; group < groups; ++group) {
      int8_t* codes = rows.codes + row * w.k + group * w.group;
      ForCodes(w, row, group, InputsOfGroup(w, group),
               [&](size_t i, int code) { codes[i] = static_cast<int8_t>(code); });
      const size_t place = ScalePlace(w, row, group);
      rows.scales[row * groups + group] = LoadScale(w, place);
      if (w.has_minimum) {
        rows.minimums[row * groups + group] = LoadScale(w, place + MinimumDistance(w));
      }
    }
  }
}

void PackFloats(const PackedMatrix& w, const void* rows, uint8_t* panels) {
  std::memset(panels, 0, PackedBytes(w));
  const size_t bytes = FloatBytes(w.format);
  const auto* from = static_cast<const uint8_t*>(rows);
  for (size_t row = 0; row < w.n; ++row) {
    for (size_t input = 0; input < w.k; ++input, from += bytes) {
      std::memcpy(panels + FloatPlace(w, row, input), from, bytes);
    }
  }
}

void UnpackFloats(const PackedMatrix& w, void* rows) {
  const size_t bytes = FloatBytes(w.format);
  auto* to = static_cast<uint8_t*>(rows);
  for (size_t row = 0; row < w.n; ++row) {
    for (size_t input = 0; input < w.k; ++input, to += bytes) {
      std::memcpy(to, w.panels + FloatPlace(w, row, input), bytes);
    }
  }
}

void DequantizeRow(const PackedMatrix& w, size_t row, float* values) {
  for (size_t group = 0; group < GroupCount(w); ++group) {
    float* const to = values + group * w.group;
    const size_t place = ScalePlace(w, row, group);
    const float scale = LoadScale(w, place);
    ForCodes(w, row, group, InputsOfGroup(w, group),
             [&](size_t i, int code) { to[i] = scale * static_cast<float>(code); });
    if (!w.has_minimum) continue;
    const float minimum = LoadScale(w, place + MinimumDistance(w));
    for (size_t i = 0; i < InputsOfGroup(w, group); ++i) to[i] += minimum;
  }
  if (HasTwoLevels(w)) {
    const auto output = LoadAs<float>(w.panels + OutputScalePlace(w, row));
    for (size_t i = 0; i < w.k; ++i) values[i] *= output;
  }
  if (IsInteger(w.format)) return;
  for (size_t input = 0; input < w.k; ++input) {
    const uint8_t* const from = w.panels + FloatPlace(w, row, input);
    if (w.format == PackedFormat::kF32) {
      values[input] = LoadAs<float>(from);
    } else {
      values[input] =
          w.format == PackedFormat::kBF16 ? LoadAs<BFloat16>(from) : LoadAs<Float16>(from);
    }
  }
}

}  // namespace rushlight::kernels
