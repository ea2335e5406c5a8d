// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/packed/layout.h"

#include <gtest/gtest.h>

namespace rushlight::kernels {
namespace {

constexpr PackedMatrix Matrix(PackedFormat format, size_t n, size_t k, size_t group = 0,
                              bool has_minimum = false, ScaleType scale = ScaleType::kBF16) {
  PackedMatrix w;
  w.format = format;
  w.n = n;
  w.k = k;
  w.group = group;
  w.has_minimum = has_minimum;
  w.scale = scale;
  return w;
}

// Floats: a line for each 1 or 2 inputs.
static_assert(PackedBytes(Matrix(PackedFormat::kF32, 16, 5)) == 5 * 64);
static_assert(PackedBytes(Matrix(PackedFormat::kF32, 17, 5)) == 2 * 5 * 64);
static_assert(PackedBytes(Matrix(PackedFormat::kBF16, 16, 5)) == 3 * 64);
static_assert(PackedBytes(Matrix(PackedFormat::kF16, 1, 1)) == 64);

// Two groups of 32 four-bit weights: 9 lines.
constexpr PackedMatrix kPair = Matrix(PackedFormat::kU4, 16, 64, 32);
static_assert(PackedBytes(kPair) == 9 * 64);
static_assert(ScaleOffset(kPair, 0) == 0 && ScaleOffset(kPair, 1) == 32);
static_assert(CodesOffset(kPair, 0) == 64 && CodesOffset(kPair, 1) == 5 * 64);

// Three groups, the last one short, with minimums: 2 + 4 + 4, 2 + 1 lines.
constexpr PackedMatrix kOdd = Matrix(PackedFormat::kU8, 16, 36, 16, true);
static_assert(GroupCount(kOdd) == 3 && PackedBytes(kOdd) == 13 * 64);
static_assert(ScaleOffset(kOdd, 2) == 10 * 64 && CodesOffset(kOdd, 2) == 12 * 64);

// Scales of 32 bits: a line for each group, and one for its minimums.
constexpr PackedMatrix kWide = Matrix(PackedFormat::kU8, 16, 48, 16, true, ScaleType::kF32);
static_assert(ScaleOffset(kWide, 1) == 64 && MinimumDistance(kWide) == 128);
static_assert(CodesOffset(kWide, 1) == 8 * 64 && ScaleOffset(kWide, 2) == 12 * 64);
static_assert(CodesOffset(kWide, 2) == 16 * 64 && PackedBytes(kWide) == 20 * 64);

// Two levels: a line for outputs, one for the scales and minimums of two groups.
constexpr PackedMatrix kLevels = Matrix(PackedFormat::kU4, 16, 96, 32, true, ScaleType::kI8);
static_assert(ScaleOffset(kLevels, 1) == 64 + 16 && MinimumDistance(kLevels) == 32);
static_assert(CodesOffset(kLevels, 0) == 2 * 64 && ScaleOffset(kLevels, 2) == 10 * 64);
static_assert(PackedBytes(kLevels) == 15 * 64);

// A scale for the whole row, which need not be a multiple of anything.
constexpr PackedMatrix kRow = Matrix(PackedFormat::kU4, 33, 19, 19);
static_assert(GroupCount(kRow) == 1 && PackedBytes(kRow) == 3 * (1 + 3) * 64);

TEST(Layout, RefusesWhatCannotBe) {
  EXPECT_EQ(PackedBytes(Matrix(PackedFormat::kF32, 0, 4)), 0u);
  EXPECT_EQ(PackedBytes(Matrix(PackedFormat::kF32, 4, 0)), 0u);
  EXPECT_EQ(PackedBytes(Matrix(PackedFormat::kF32, 4, 4, 0, true)), 0u);
  EXPECT_EQ(PackedBytes(Matrix(static_cast<PackedFormat>(5), 4, 4)), 0u);
  EXPECT_EQ(PackedBytes(Matrix(PackedFormat::kU4, 4, 4, 4, false, static_cast<ScaleType>(4))), 0u);
  EXPECT_EQ(PackedBytes(Matrix(PackedFormat::kU4, 4, 4, 4, false, ScaleType::kI8)), 0u);
  EXPECT_EQ(PackedBytes(Matrix(PackedFormat::kU8, 4, 4, 4, true, ScaleType::kI8)), 0u);
  EXPECT_EQ(PackedBytes(Matrix(PackedFormat::kU4, 4, 2000, 2000, true, ScaleType::kI8)), 0u);
  EXPECT_EQ(PackedBytes(Matrix(PackedFormat::kU4, 16, 64, 0)), 0u);
  EXPECT_EQ(PackedBytes(Matrix(PackedFormat::kU4, 16, 64, 24)), 0u);
  EXPECT_EQ(PackedBytes(Matrix(PackedFormat::kU4, 16, 64, 128)), 0u);
  EXPECT_EQ(PackedBytes(Matrix(PackedFormat::kU8, 16, kMaxGroup + 1, kMaxGroup + 1)), 0u);
  EXPECT_NE(PackedBytes(Matrix(PackedFormat::kU8, 16, kMaxGroup, kMaxGroup)), 0u);
}

TEST(Layout, RefusesWhatOverflows) {
  for (const PackedFormat format : {PackedFormat::kF32, PackedFormat::kBF16, PackedFormat::kU4}) {
    for (size_t k_bits = 4; k_bits < 64; k_bits += 4) {
      for (size_t n_bits = 4; n_bits < 64; n_bits += 4) {
        const PackedMatrix w =
            Matrix(format, size_t{1} << n_bits, (size_t{1} << k_bits) - 1, 16, false);
        const auto exact = static_cast<unsigned __int128>(PanelCount(w)) *
                           (DivideUp(w.k, InputsPerLine(format)) +
                            (IsInteger(format) ? DivideUp(DivideUp(w.k, 16), 2) : 0)) *
                           64;
        const size_t bytes = PackedBytes(w);
        if (bytes != 0) {
          EXPECT_TRUE(bytes == exact) << n_bits << " " << k_bits;
        } else {
          EXPECT_TRUE(!IsValid(w) || exact > SIZE_MAX) << n_bits << " " << k_bits;
        }
      }
    }
  }
  EXPECT_EQ(PackedBytes(Matrix(PackedFormat::kF32, SIZE_MAX, SIZE_MAX)), 0u);
  EXPECT_EQ(PackedBytes(Matrix(PackedFormat::kU4, SIZE_MAX, SIZE_MAX, 16)), 0u);
}

}  // namespace
}  // namespace rushlight::kernels
