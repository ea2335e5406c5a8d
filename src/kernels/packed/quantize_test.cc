// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/packed/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "src/kernels/packed/matmul.h"
#include "src/kernels/vector/kernel_test.h"

namespace rushlight::kernels {
namespace {

struct Quantized {
  std::vector<int8_t> values;
  std::vector<float> scales;
  std::vector<int32_t> sums;
  std::vector<float> totals;

  Quantized(Isa isa, const std::vector<float>& x, size_t m, size_t group, bool row_scale = false) {
    const size_t k = x.size() / m;
    const size_t groups = DivideUp(k, group);
    values.assign(m * QuantizedStride(k), 99);
    scales.assign(m * groups, -1.0f);
    sums.assign(m * groups, -1);
    totals.assign(m * groups, -1.0f);
    kIntegerKernels[isa].quantize({x.data(), k, m, k, group, row_scale, values.data(),
                                   scales.data(), sums.data(), totals.data()});
  }
};

TEST(Quantize, ByHand) {
  std::vector<float> x(20, 0.0f);
  x[0] = 127.0f;
  x[1] = -126.5f;  // a tie: to even
  x[2] = 1.5f;
  x[3] = 0.5f;
  x[16] = -2.0f;
  x[17] = 1.0f;
  for (const Isa isa : RunnableIsas()) {
    const Quantized q(isa, x, 1, 16);
    EXPECT_EQ(q.scales, (std::vector<float>{1.0f, 2.0f / 127}));
    EXPECT_EQ(q.sums, (std::vector<int32_t>{127 - 126 + 2, -127 + 64}));
    std::vector<int8_t> values(64, 0);
    values[0] = 127;
    values[1] = -126;
    values[2] = 2;
    values[16] = -127;
    values[17] = 64;  // 63.5
    EXPECT_EQ(q.values, values) << Info(isa).name;
  }
}

TEST(Quantize, EveryInstructionSetAgrees) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (int i = 0; i < 300; ++i) {
    const size_t m = 1 + random() % 3, k = 1 + random() % 300;
    const size_t groups[] = {16, 32, 64, 128, k};
    const size_t group = std::min(groups[random() % 5], k);
    if (group != k && group % kGroupUnit != 0) continue;
    const bool row_scale = random() % 2 == 0;
    std::vector<float> x(m * k);
    const float size = std::ldexp(1.0f, static_cast<int>(random() % 200) - 100);
    for (float& v : x) v = normal(random) * size;
    const Quantized expected(Isa::kScalar, x, m, group, row_scale);
    for (size_t row = 0; row < m; ++row) {
      for (size_t g = 0; g < DivideUp(k, group); ++g) {
        int32_t sum = 0;
        for (size_t j = g * group; j < std::min(k, (g + 1) * group); ++j) {
          const int8_t value = expected.values[row * QuantizedStride(k) + j];
          const float scale = expected.scales[row * DivideUp(k, group) + g];
          EXPECT_LE(std::fabs(x[row * k + j] - value * scale), 0.50001f * scale);
          sum += value;
        }
        const size_t at = row * DivideUp(k, group) + g;
        EXPECT_EQ(sum, expected.sums[at]);
        const float factor = row_scale ? 1.0f : expected.scales[at];
        EXPECT_EQ(factor * static_cast<float>(sum), expected.totals[at]);
      }
    }
    for (const Isa isa : RunnableIsas()) {
      const Quantized q(isa, x, m, group, row_scale);
      EXPECT_EQ(q.values, expected.values) << Info(isa).name;
      EXPECT_EQ(q.scales, expected.scales) << Info(isa).name;
      EXPECT_EQ(q.sums, expected.sums) << Info(isa).name;
      EXPECT_EQ(q.totals, expected.totals) << Info(isa).name;
    }
  }
}

TEST(Quantize, WhatIsNotFiniteMakesItsGroupNaN) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {NAN, infinity, -infinity}) {
    for (const size_t at : {0, 15, 17, 31}) {
      std::vector<float> x(40, 1.0f);
      x[at] = bad;
      for (const Isa isa : RunnableIsas()) {
        const Quantized q(isa, x, 1, 32);
        EXPECT_TRUE(std::isnan(q.scales[0])) << Info(isa).name;
        EXPECT_EQ(q.sums[0], 0);
        EXPECT_EQ(q.values[at], 0);
        EXPECT_EQ(q.scales[1], 1.0f / 127);
        EXPECT_EQ(q.sums[1], 8 * 127);
        const Quantized whole(isa, x, 1, 32, true);
        EXPECT_TRUE(std::isnan(whole.scales[1])) << Info(isa).name;
      }
    }
  }
}

TEST(Quantize, TinyAndHugeNumbers) {
  const float largest = std::numeric_limits<float>::max();
  for (const Isa isa : RunnableIsas()) {
    for (const float tiny : {0.0f, 1e-45f, -1e-38f, 7e-31f}) {
      const Quantized q(isa, std::vector<float>(7, tiny), 1, 7);
      EXPECT_EQ(q.scales[0], 0.0f);
      EXPECT_EQ(q.sums[0], 0);
    }
    const Quantized q(isa, {largest, -largest, 0.0f, largest / 2}, 1, 4);
    EXPECT_EQ(q.scales[0], largest / 127);
    EXPECT_EQ(q.values[0], 127);
    EXPECT_EQ(q.values[1], -127);
    EXPECT_EQ(q.sums[0], q.values[3]);
  }
}

}  // namespace
}  // namespace rushlight::kernels
