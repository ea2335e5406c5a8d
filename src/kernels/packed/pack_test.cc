// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/packed/pack.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "rushlight/half.h"

namespace rushlight::kernels {
namespace {

PackedMatrix Matrix(PackedFormat format, size_t n, size_t k, size_t group, bool has_minimum) {
  PackedMatrix w;
  w.format = format;
  w.n = n;
  w.k = k;
  w.group = group;
  w.has_minimum = has_minimum;
  return w;
}

TEST(Pack, NibblesLieAsTheLayoutSays) {
  PackedMatrix w = Matrix(PackedFormat::kU4, 2, 8, 8, false);
  const int8_t codes[16] = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};
  const float scales[2] = {1.0f, -2.0f};
  std::vector<uint8_t> panels(PackedBytes(w));
  ASSERT_EQ(panels.size(), 128u);
  PackIntegers(w, {codes, scales, nullptr}, panels.data());
  EXPECT_EQ(std::vector<uint8_t>(panels.begin(), panels.begin() + 6),
            (std::vector<uint8_t>{0x80, 0x3f, 0x00, 0xc0, 0, 0}));
  EXPECT_EQ(std::vector<uint8_t>(panels.begin() + 64, panels.begin() + 74),
            (std::vector<uint8_t>{0x40, 0x51, 0x62, 0x73, 0xc8, 0xd9, 0xea, 0xfb, 0x88, 0x88}));
  EXPECT_EQ(panels.back(), 0x88);  // padding is zero too
}

TEST(Pack, BytesLieAsTheLayoutSays) {
  PackedMatrix w = Matrix(PackedFormat::kU8, 1, 5, 5, true);
  const int8_t codes[5] = {-128, -1, 0, 1, 127};
  const float scale = 1.0f, minimum = 0.5f;
  std::vector<uint8_t> panels(PackedBytes(w));
  ASSERT_EQ(panels.size(), 256u);  // scales, minimums, two lines
  PackIntegers(w, {codes, &scale, &minimum}, panels.data());
  EXPECT_EQ(panels[65], 0x3f);
  EXPECT_EQ(std::vector<uint8_t>(panels.begin() + 128, panels.begin() + 133),
            (std::vector<uint8_t>{0, 127, 128, 129, 128}));
  EXPECT_EQ(panels[192], 255);
  EXPECT_EQ(panels[193], 128);
}

TEST(Pack, IntegersComeBack) {
  std::mt19937 random(1);
  for (int i = 0; i < 200; ++i) {
    const size_t n = 1 + random() % 50, k = 1 + random() % 200;
    const size_t groups[] = {16, 32, 64, 128, k};
    const size_t group = groups[random() % 5];
    if (group > k) continue;
    const PackedFormat format = random() % 2 == 0 ? PackedFormat::kU4 : PackedFormat::kU8;
    PackedMatrix w = Matrix(format, n, k, group, random() % 2 == 0);
    w.scale = static_cast<ScaleType>(random() % 3);
    const size_t count = n * GroupCount(w);
    std::vector<int8_t> codes(n * k);
    std::vector<float> scales(count), minimums(count);
    const int range = format == PackedFormat::kU4 ? 16 : 256;
    const int lowest = format == PackedFormat::kU4 && w.has_minimum ? 0 : -range / 2;
    for (int8_t& code : codes) {
      code = static_cast<int8_t>(lowest + static_cast<int>(random() % 256) % range);
    }
    for (size_t j = 0; j < count; ++j) {
      scales[j] = RoundScale(w.scale, static_cast<float>(random() % 1000) / 7);
      minimums[j] = RoundScale(w.scale, static_cast<float>(random() % 1000) / -3);
    }
    std::vector<uint8_t> panels(PackedBytes(w), 0xee);  // every byte is written
    PackIntegers(w, {codes.data(), scales.data(), minimums.data()}, panels.data());
    w.panels = panels.data();
    std::vector<int8_t> codes_back(n * k);
    std::vector<float> scales_back(count), minimums_back(count);
    UnpackIntegers(w, {codes_back.data(), scales_back.data(), minimums_back.data()});
    EXPECT_EQ(codes_back, codes);
    EXPECT_EQ(scales_back, scales);
    if (w.has_minimum) {
      EXPECT_EQ(minimums_back, minimums);
    }
    std::vector<float> row(k);
    for (size_t r = 0; r < n; ++r) {
      DequantizeRow(w, r, row.data());
      for (size_t j = 0; j < k; ++j) {
        const size_t g = r * GroupCount(w) + j / group;
        EXPECT_FLOAT_EQ(row[j],
                        scales[g] * codes[r * k + j] + (w.has_minimum ? minimums[g] : 0.0f));
      }
    }
    // Packing again from what came back gives the same bytes: none is left to chance.
    std::vector<uint8_t> again(panels.size(), 0x11);
    PackIntegers(w, {codes_back.data(), scales_back.data(), minimums_back.data()}, again.data());
    EXPECT_EQ(again, panels);
  }
}

template <class T>
void FloatsComeBack(PackedFormat format) {
  std::mt19937 random(2);
  for (int i = 0; i < 50; ++i) {
    const size_t n = 1 + random() % 40, k = 1 + random() % 30;
    PackedMatrix w = Matrix(format, n, k, 0, false);
    std::vector<T> rows;
    for (size_t j = 0; j < n * k; ++j) rows.push_back(T(static_cast<float>(random() % 999) - 500));
    std::vector<uint8_t> panels(PackedBytes(w), 0xee);
    PackFloats(w, rows.data(), panels.data());
    w.panels = panels.data();
    std::vector<T> back(n * k);
    UnpackFloats(w, back.data());
    EXPECT_EQ(std::memcmp(back.data(), rows.data(), n * k * sizeof(T)), 0);
    std::vector<float> values(k);
    DequantizeRow(w, n - 1, values.data());
    for (size_t j = 0; j < k; ++j) {
      EXPECT_EQ(values[j], static_cast<float>(rows[(n - 1) * k + j]));
    }
    // Output 0 of the second line, where there is one.
    const size_t per_line = InputsPerLine(format);
    if (k > per_line) {
      EXPECT_EQ(std::memcmp(&panels[64], &rows[per_line], sizeof(T)), 0);
    }
  }
}

TEST(Pack, FloatsComeBack) {
  FloatsComeBack<float>(PackedFormat::kF32);
  FloatsComeBack<BFloat16>(PackedFormat::kBF16);
  FloatsComeBack<Float16>(PackedFormat::kF16);
}

}  // namespace
}  // namespace rushlight::kernels
