// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/compiler/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "rushlight/half.h"
#include "src/compiler/ggml_types.h"

namespace rushlight::compiler {
namespace {

using kernels::PackedFormat;
using kernels::PackedMatrix;
using kernels::ScaleType;

// Rows of blocks of random bits; halves that are no numbers, or large ones, are small instead.
std::vector<uint8_t> RandomBlocks(std::mt19937* random, const GgmlType& type, size_t count) {
  std::vector<uint8_t> blocks(count * type.bytes);
  for (uint8_t& byte : blocks) byte = static_cast<uint8_t>((*random)());
  const auto finite = [&](const uint8_t* block) {
    std::vector<float> values(type.elements);
    type.decode(block, 1, values.data());
    for (const float v : values) {
      if (!std::isfinite(v)) return false;
    }
    return true;
  };
  for (size_t i = 0; i < count; ++i) {
    uint8_t* block = blocks.data() + i * type.bytes;
    while (!finite(block)) {
      for (size_t j = 0; j < type.bytes; ++j) block[j] = static_cast<uint8_t>((*random)());
    }
  }
  return blocks;
}

TEST(PackExactly, BlocksOfEveryTypeComeBackBitForBit) {
  std::mt19937 random(1);
  constexpr size_t kRows = 37, kBlocks = 3;
  size_t types = 0;
  for (uint32_t id = 0; id < 64; ++id) {
    const GgmlType* type = FindGgmlType(id);
    if (type == nullptr || type->integers == nullptr) continue;
    ++types;
    const GgmlIntegers& form = *type->integers;
    PackedMatrix w;
    w.format = form.format;
    w.has_minimum = form.has_minimum;
    w.scale = form.scale;
    w.n = kRows;
    w.k = kBlocks * type->elements;
    w.group = form.group;
    const std::vector<uint8_t> blocks = RandomBlocks(&random, *type, kRows * kBlocks);
    const size_t count = w.n * kernels::GroupCount(w);
    std::vector<int8_t> codes(w.n * w.k);
    std::vector<float> scales(count), minimums(form.has_minimum ? count : 0);
    form.read(blocks.data(), kRows * kBlocks, codes.data(), scales.data(), minimums.data());
    const auto panels = PackExactly(w, {codes.data(), scales.data(), minimums.data()});
    ASSERT_TRUE(panels.ok()) << type->name;
    w.panels = panels->data();
    std::vector<float> expected(w.k), row(w.k);
    for (size_t r = 0; r < kRows; ++r) {
      type->decode(blocks.data() + r * kBlocks * type->bytes, kBlocks, expected.data());
      kernels::DequantizeRow(w, r, row.data());
      ASSERT_EQ(std::memcmp(row.data(), expected.data(), w.k * sizeof(float)), 0)
          << type->name << ", row " << r;
    }
  }
  EXPECT_EQ(types, 17u);
}

TEST(PackExactly, RefusesWhatWouldChange) {
  PackedMatrix w;
  w.format = PackedFormat::kU4;
  w.scale = ScaleType::kF16;
  w.n = 1;
  w.k = w.group = 2;
  const auto pack = [&](int8_t code, float scale, float minimum = 0.0f) {
    const int8_t codes[] = {0, code};
    return PackExactly(w, {codes, &scale, &minimum}).ok();
  };
  EXPECT_TRUE(pack(-8, 0.5f));
  EXPECT_FALSE(pack(8, 0.5f));
  EXPECT_FALSE(pack(-9, 0.5f));
  EXPECT_FALSE(pack(1, 1.0f / 3));
  EXPECT_FALSE(pack(1, 1e6f));
  EXPECT_FALSE(pack(1, std::numeric_limits<float>::quiet_NaN()));
  w.has_minimum = true;
  EXPECT_TRUE(pack(15, 0.5f, -0.25f));
  EXPECT_FALSE(pack(-1, 0.5f, -0.25f));
  EXPECT_FALSE(pack(15, 0.5f, 1.0f / 3));
  w.scale = ScaleType::kF32;
  EXPECT_TRUE(pack(15, 0.5f, 1.0f / 3));
  EXPECT_FALSE(pack(15, 0.5f, std::numeric_limits<float>::infinity()));
  w.format = PackedFormat::kBF16;
  EXPECT_FALSE(pack(1, 0.5f));
}

TEST(PackWeights, MinimumsFitWhatWasOnAGrid) {
  PackedMatrix w;
  w.format = PackedFormat::kU4;
  w.has_minimum = true;
  w.n = 1;
  w.k = w.group = 16;
  std::vector<float> rows;
  for (int i = 0; i < 16; ++i) rows.push_back(0.25f * static_cast<float>(i) - 1.5f);
  for (const ScaleType scale : {ScaleType::kBF16, ScaleType::kF16, ScaleType::kF32}) {
    w.scale = scale;
    const Result<PackedWeights> packed = PackWeights(w, rows.data());
    ASSERT_TRUE(packed.ok());
    EXPECT_LT(packed->squared_error, 1e-9);
    w.panels = packed->panels.data();
    std::vector<float> back(16);
    kernels::DequantizeRow(w, 0, back.data());
    for (size_t i = 0; i < 16; ++i) EXPECT_NEAR(back[i], rows[i], 1e-5);
  }
}

TEST(PackWeights, TwoLevelsAreWholeNumbersOfEightBits) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  PackedMatrix w;
  w.format = PackedFormat::kU4;
  w.has_minimum = true;
  w.n = 20;
  w.k = 200;
  w.group = 32;
  std::vector<float> rows(w.n * w.k);
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = normal(random) * std::exp2(static_cast<float>(i / 32 % 5) - 3);
    if (i / w.k == 3) rows[i] = 0;                          // a row of zeros
    if (i / w.k == 4) rows[i] = 0.5f;                       // all equal
    if (i / w.k == 5) rows[i] = std::fabs(rows[i]) + 1.0f;  // far from zero
    if (i / w.k == 6) rows[i] *= 1e-36f;
    if (i / w.k == 7) rows[i] *= 1e30f;
  }
  w.scale = ScaleType::kI8;
  const Result<PackedWeights> packed = PackWeights(w, rows.data());
  ASSERT_TRUE(packed.ok());
  w.panels = packed->panels.data();
  const size_t groups = kernels::GroupCount(w);
  std::vector<int8_t> codes(rows.size());
  std::vector<float> scales(w.n * groups), minimums(w.n * groups), outputs(w.n), row(w.k);
  UnpackIntegers(w, {codes.data(), scales.data(), minimums.data(), outputs.data()});
  double squared_error = 0;
  for (size_t r = 0; r < w.n; ++r) {
    DequantizeRow(w, r, row.data());
    double error = 0, magnitude = 0;
    for (size_t i = 0; i < w.k; ++i) {
      const size_t g = r * groups + i / w.group;
      const float whole = scales[g] * codes[r * w.k + i] + minimums[g];
      EXPECT_EQ(whole, std::round(whole));
      EXPECT_GE(whole, -128);
      EXPECT_LE(whole, 127);
      EXPECT_EQ(row[i], whole * outputs[r]);
      const double x = rows[r * w.k + i], d = row[i] - x;
      error += d * d;
      magnitude += x * x;
    }
    squared_error += error;
    if (r != 6) {
      EXPECT_LE(error, 0.02 * magnitude) << r;
    }
  }
  EXPECT_NEAR(squared_error, packed->squared_error, 1e-4 * squared_error);
  // Without levels a group has a step as fine as it likes; with them one that is near.
  w.scale = ScaleType::kF32;
  const Result<PackedWeights> fine = PackWeights(w, rows.data());
  ASSERT_TRUE(fine.ok());
  EXPECT_LT(packed->squared_error, 1.5 * fine->squared_error);
}

TEST(PackExactly, DoesNotMakeTwoLevels) {
  PackedMatrix w;
  w.format = PackedFormat::kU4;
  w.has_minimum = true;
  w.scale = ScaleType::kI8;
  w.n = 1;
  w.k = w.group = 2;
  const int8_t codes[] = {0, 1};
  const float scale = 1, minimum = 0;
  EXPECT_FALSE(PackExactly(w, {codes, &scale, &minimum, &scale}).ok());
}

}  // namespace
}  // namespace rushlight::compiler
