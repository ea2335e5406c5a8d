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

}  // namespace
}  // namespace rushlight::compiler
