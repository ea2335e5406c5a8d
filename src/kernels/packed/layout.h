// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// How packed weights lie in a file (docs/rfc/cpu_delegate.md): a matrix [n outputs, k inputs] as
// panels of 16 outputs, a panel as lines of 64 bytes.
//
//   f32         16 outputs x 1 input a line
//   bf16, f16   16 outputs x 2 inputs, the two of an output side by side
//   u8          16 outputs x 4 inputs: value = scale * (code - 128) + minimum
//   u4          16 outputs x 8 inputs: byte 4 * output + i holds input i in its low nibble and
//               input i + 4 in its high one: value = scale * (code - 8), or, with minimums,
//               scale * code + minimum
//
// The inputs of an integer matrix are cut into groups, each with a scale for every output.  Two
// groups share a header: a line with 16 scales for either (two lines, if scales are f32), then, if
// there are minimums, as much with those; behind it the lines of the first group, then of the
// second.  Where the number of groups is odd the second half of the last header is unused.
//
// Scales of u4 may have two levels: those of groups, and minimums, are whole numbers of a byte, and
// multiples of a float for each output; a panel begins with a line of those sixteen.  Then scale *
// code + minimum is a whole number of eight bits, so that a row is one of u8 with one scale, in
// half the bytes: all that a product adds up is integers.  Panels in which it has more bits, of a
// damaged file, have other products on other instruction sets.
//
// What pads n and k has the value zero.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rushlight::kernels {

enum class PackedFormat : uint8_t { kF32, kBF16, kF16, kU8, kU4 };
// Of scales and minimums.  kI8: two levels.
enum class ScaleType : uint8_t { kBF16, kF16, kF32, kI8 };

inline constexpr size_t kPanelOutputs = 16;
inline constexpr size_t kLineBytes = 64;
// Groups are multiples of it, but for one that is the whole row.
inline constexpr size_t kGroupUnit = 16;
// The dot product of a longer group may not fit 32 bits.
inline constexpr size_t kMaxGroup = size_t{1} << 17;
// The dot product of so many inputs and weights of 8 bits is a whole number that a float holds.
inline constexpr size_t kExactInputs = 1024;

// Owns nothing.
struct PackedMatrix {
  PackedFormat format = PackedFormat::kF32;
  bool has_minimum = false;  // integers only
  ScaleType scale = ScaleType::kBF16;
  size_t n = 0;                     // outputs
  size_t k = 0;                     // inputs
  size_t group = 0;                 // inputs of a group, k for the whole row; unused for floats
  const uint8_t* panels = nullptr;  // PackedBytes(*this), 64-byte aligned
};

constexpr bool IsInteger(PackedFormat format) { return format >= PackedFormat::kU8; }
constexpr bool HasTwoLevels(const PackedMatrix& w) { return w.scale == ScaleType::kI8; }

constexpr size_t InputsPerLine(PackedFormat format) {
  switch (format) {
    case PackedFormat::kF32:
      return 1;
    case PackedFormat::kU8:
      return 4;
    case PackedFormat::kU4:
      return 8;
    default:
      return 2;
  }
}

// Requires: y > 0.
constexpr size_t DivideUp(size_t x, size_t y) { return x / y + (x % y != 0); }

constexpr size_t PanelCount(const PackedMatrix& w) { return DivideUp(w.n, kPanelOutputs); }

// Requires (as all below): IsValid(w).
constexpr size_t GroupCount(const PackedMatrix& w) {
  return IsInteger(w.format) ? DivideUp(w.k, w.group) : 0;
}
// Lines of codes of a group; the last group may have fewer.
constexpr size_t LinesPerGroup(const PackedMatrix& w) {
  return DivideUp(w.group, InputsPerLine(w.format));
}
constexpr size_t ScaleBytes(const PackedMatrix& w) {
  if (HasTwoLevels(w)) return 1;
  return w.scale == ScaleType::kF32 ? 4 : 2;
}
// How far behind a group's scales its minimums lie: behind those of two groups.
constexpr size_t MinimumDistance(const PackedMatrix& w) {
  return 2 * kPanelOutputs * ScaleBytes(w);
}
// Lines in front of two groups.
constexpr size_t HeaderLines(const PackedMatrix& w) {
  return MinimumDistance(w) * (w.has_minimum ? 2 : 1) / kLineBytes;
}
// Lines in front of a panel's groups.
constexpr size_t OutputScaleLines(const PackedMatrix& w) { return HasTwoLevels(w) ? 1 : 0; }
constexpr size_t PanelLines(const PackedMatrix& w) {
  return OutputScaleLines(w) + DivideUp(w.k, InputsPerLine(w.format)) +
         DivideUp(GroupCount(w), 2) * HeaderLines(w);
}
constexpr size_t PanelBytes(const PackedMatrix& w) { return PanelLines(w) * kLineBytes; }

// Where in a panel a group's header begins: its 16 scales.
constexpr size_t ScaleOffset(const PackedMatrix& w, size_t group) {
  return (OutputScaleLines(w) + group / 2 * (HeaderLines(w) + 2 * LinesPerGroup(w))) * kLineBytes +
         group % 2 * kPanelOutputs * ScaleBytes(w);
}
// Where in a panel a group's first line of codes is.
constexpr size_t CodesOffset(const PackedMatrix& w, size_t group) {
  return (OutputScaleLines(w) + group / 2 * (HeaderLines(w) + 2 * LinesPerGroup(w)) +
          HeaderLines(w) + group % 2 * LinesPerGroup(w)) *
         kLineBytes;
}

// Inputs of a group: w.group, or what is left for the last one.
constexpr size_t InputsOfGroup(const PackedMatrix& w, size_t group) {
  const size_t left = w.k - group * w.group;
  return left < w.group ? left : w.group;
}
// What is taken from a code's bits.
constexpr int ZeroPoint(const PackedMatrix& w) {
  if (w.format == PackedFormat::kU8) return 128;
  return w.has_minimum ? 0 : 8;
}

// Whether there can be such a matrix: for numbers that come from a file.  Says nothing about
// panels.
constexpr bool IsValid(const PackedMatrix& w) {
  if (w.format > PackedFormat::kU4 || w.scale > ScaleType::kI8) return false;
  if (HasTwoLevels(w)) {
    if (w.format != PackedFormat::kU4 || !w.has_minimum || w.group > kExactInputs) return false;
  }
  if (w.n == 0 || w.k == 0) return false;
  if (!IsInteger(w.format)) return !w.has_minimum && w.k <= SIZE_MAX / kLineBytes;
  if (w.group == 0 || w.group > w.k || w.group > kMaxGroup) return false;
  if (w.group != w.k && w.group % kGroupUnit != 0) return false;
  return w.k <= SIZE_MAX / kLineBytes / 4;  // a line for every input, and headers: more than needed
}

// Bytes of all panels; 0 if there can be no such matrix in memory.
constexpr size_t PackedBytes(const PackedMatrix& w) {
  if (!IsValid(w) || PanelCount(w) > SIZE_MAX / PanelBytes(w)) return 0;
  return PanelCount(w) * PanelBytes(w);
}

}  // namespace rushlight::kernels
