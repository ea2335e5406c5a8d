// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Every instruction set this CPU has, against a plain loop: all bits must agree, however a product
// is cut.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "src/kernels/packed/matmul.h"
#include "src/kernels/packed/pack.h"
#include "src/kernels/packed/reference.h"
#include "src/kernels/vector/kernel_test.h"

namespace rushlight::kernels {
namespace {

// A product with all that it points to.
struct Case {
  PackedMatrix w;
  size_t m = 0;
  size_t groups = 0;
  std::vector<int8_t> codes;
  std::vector<float> scales, minimums, output_scales;
  std::vector<uint8_t> storage;  // of the panels
  std::vector<int8_t> values;
  std::vector<float> row_scales, totals;
  std::vector<int32_t> sums;
  std::vector<float> bias, residual;
  Epilogue epilogue;
  size_t columns = 0;

  Case(std::mt19937* random, PackedFormat format, size_t n, size_t k, size_t group,
       bool has_minimum, size_t rows, ScaleType scale = ScaleType::kBF16, bool extreme = false) {
    w.format = format;
    w.n = n;
    w.k = k;
    w.group = group;
    w.has_minimum = has_minimum;
    w.scale = scale;
    m = rows;
    columns = n;
    groups = GroupCount(w);
    const int bound = format == PackedFormat::kU4 ? 8 : 128;
    const int lowest = format == PackedFormat::kU4 && has_minimum ? 0 : -bound;
    std::uniform_int_distribution<int> code(lowest, lowest + 2 * bound - 1), value(-127, 127);
    std::normal_distribution<float> normal;
    for (size_t i = 0; i < n * k; ++i) {
      codes.push_back(static_cast<int8_t>(extreme ? lowest : code(*random)));
    }
    std::uniform_int_distribution<int> factor(extreme ? 17 : 0, 17);
    for (size_t i = 0; i < n * groups; ++i) {
      if (scale == ScaleType::kI8) {  // all codes stand for 8 bits
        const int f = factor(*random);
        std::uniform_int_distribution<int> from(-128, extreme ? -128 : 127 - 15 * f);
        scales.push_back(static_cast<float>(f));
        minimums.push_back(static_cast<float>(from(*random)));
        continue;
      }
      scales.push_back(RoundScale(scale, normal(*random) / 64));
      minimums.push_back(RoundScale(scale, normal(*random) / 16));
    }
    for (size_t i = 0; i < n; ++i) output_scales.push_back(normal(*random) / 256);
    storage.resize(PackedBytes(w) + kLineBytes);
    const auto address = reinterpret_cast<uintptr_t>(storage.data());
    uint8_t* panels = storage.data() + (kLineBytes - address % kLineBytes) % kLineBytes;
    PackIntegers(w,
                 {codes.data(), scales.data(), has_minimum ? minimums.data() : nullptr,
                  output_scales.data()},
                 panels);
    w.panels = panels;

    const size_t stride = QuantizedStride(k);
    values.resize(m * stride);
    for (size_t row = 0; row < m; ++row) {
      for (size_t i = 0; i < k; ++i) {
        values[row * stride + i] = static_cast<int8_t>(extreme ? -127 : value(*random));
      }
      for (size_t g = 0; g < groups; ++g) {
        int32_t sum = 0;
        for (size_t i = g * group; i < std::min(k, (g + 1) * group); ++i) {
          sum += values[row * stride + i];
        }
        sums.push_back(sum);
        const bool again = HasTwoLevels(w) && g > 0;
        row_scales.push_back(again ? row_scales.back() : std::fabs(normal(*random)) / 100);
        totals.push_back(HasTwoLevels(w) ? static_cast<float>(sum)
                                         : row_scales.back() * static_cast<float>(sum));
      }
    }
    for (size_t i = 0; i < n; ++i) bias.push_back(normal(*random));
    for (size_t i = 0; i < m * n; ++i) residual.push_back(normal(*random));
  }

  // Rows [row, row + count), panels [begin, end), into out [m, columns].
  void Run(Isa isa, size_t row, size_t count, size_t begin, size_t end, float* out) const {
    IntegerMatmulArgs args;
    args.weight = w;
    args.rows = {values.data() + row * QuantizedStride(w.k), row_scales.data() + row * groups,
                 sums.data() + row * groups, totals.data() + row * groups};
    args.m = count;
    args.out = {out + row * columns, columns, columns, begin, end, epilogue};
    if (epilogue.residual != nullptr) {
      args.out.epilogue.residual += row * epilogue.residual_stride;
    }
    const IntegerKernels& kernels = kIntegerKernels[isa];
    (w.format == PackedFormat::kU4 ? kernels.matmul_u4 : kernels.matmul_u8)(args);
  }
  std::vector<float> Run(Isa isa) const {
    std::vector<float> out(m * columns, -1.0f);
    Run(isa, 0, m, 0, PanelCount(w), out.data());
    return out;
  }

  float Sum(size_t row, size_t output) const {
    float sum = 0;
    int64_t whole = 0;
    for (size_t g = 0; g < groups; ++g) {
      int64_t dot = 0;
      for (size_t i = g * w.group; i < std::min(w.k, (g + 1) * w.group); ++i) {
        dot += codes[output * w.k + i] * values[row * QuantizedStride(w.k) + i];
      }
      const float row_scale = row_scales[row * groups + g];
      if (HasTwoLevels(w)) {
        whole += static_cast<int64_t>(scales[output * groups + g]) * dot +
                 static_cast<int64_t>(minimums[output * groups + g]) * sums[row * groups + g];
        sum = std::fma(static_cast<float>(whole), output_scales[output] * row_scale, 0.0f);
        continue;
      }
      if (w.has_minimum) {
        sum = std::fma(minimums[output * groups + g], totals[row * groups + g], sum);
      }
      const float scale = scales[output * groups + g] * row_scale;
      sum = std::fma(static_cast<float>(dot), scale, sum);
    }
    return sum;
  }

  std::string Name() const {
    return (w.format == PackedFormat::kU4 ? "u4 " : "u8 ") + std::to_string(w.n) + "x" +
           std::to_string(w.k) + " groups of " + std::to_string(w.group) +
           (w.has_minimum ? " with minimums" : "") + ", scales " +
           std::to_string(static_cast<int>(w.scale)) + ", m " + std::to_string(m);
  }
};

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

std::vector<Case> RandomCases(std::mt19937* random, size_t count) {
  std::vector<Case> cases;
  const auto below = [&](size_t n) { return (*random)() % n; };
  while (cases.size() < count) {
    const size_t k = 1 + below(below(4) == 0 ? 700 : below(8) == 0 ? 2500 : 150);
    const size_t groups[] = {16, 32, 64, 128, k};
    const size_t group = groups[below(5)];
    if (group > k) continue;
    const PackedFormat format = below(2) == 0 ? PackedFormat::kU4 : PackedFormat::kU8;
    const auto scale = static_cast<ScaleType>(below(format == PackedFormat::kU4 ? 6 : 3) % 4);
    const bool two_levels = scale == ScaleType::kI8;
    if (two_levels && group > kExactInputs) continue;
    cases.emplace_back(random, format, 1 + below(100), k, group, two_levels || below(2) == 0,
                       1 + below(below(4) == 0 ? 70 : 16), scale);
  }
  return cases;
}

TEST(IntegerMatmul, AgreesWithAPlainLoop) {
  std::mt19937 random(1);
  for (const Case& c : RandomCases(&random, 200)) {
    std::vector<float> expected;
    for (size_t row = 0; row < c.m; ++row) {
      for (size_t j = 0; j < c.w.n; ++j) expected.push_back(c.Sum(row, j));
    }
    for (const Isa isa : RunnableIsas()) {
      EXPECT_TRUE(SameBits(c.Run(isa), expected)) << Info(isa).name << ": " << c.Name();
    }
  }
}

// The largest magnitudes that sums, 16-bit products and 32-bit dot products meet.
TEST(IntegerMatmul, NothingSaturates) {
  std::mt19937 random(2);
  for (const PackedFormat format : {PackedFormat::kU4, PackedFormat::kU8}) {
    const Case c(&random, format, 16, kMaxGroup, kMaxGroup, false, 17, ScaleType::kF32, true);
    for (const Isa isa : RunnableIsas()) {
      const std::vector<float> out = c.Run(isa);
      for (size_t i = 0; i < out.size(); ++i) {
        EXPECT_EQ(out[i], c.Sum(i / 16, i % 16)) << Info(isa).name << ": " << c.Name();
      }
    }
  }
}

// Nor are the whole numbers of two levels rounded, or too large for their integers.
TEST(IntegerMatmul, TwoLevelsAreExact) {
  std::mt19937 random(9);
  for (const size_t group : {16, 32, 128, 1024}) {
    for (const size_t k : {1024, 1040, 4096, 16384}) {
      for (const size_t m : {1, 5, 17, 40}) {
        const Case c(&random, PackedFormat::kU4, 20, k, group, true, m, ScaleType::kI8, m == 17);
        for (const Isa isa : RunnableIsas()) {
          const std::vector<float> out = c.Run(isa);
          for (size_t i = 0; i < out.size(); ++i) {
            ASSERT_EQ(out[i], c.Sum(i / 20, i % 20)) << Info(isa).name << ": " << c.Name();
          }
        }
      }
    }
  }
}

TEST(IntegerMatmul, AnyCutGivesTheSame) {
  std::mt19937 random(3);
  for (const Case& c : RandomCases(&random, 60)) {
    for (const Isa isa : RunnableIsas()) {
      const std::vector<float> whole = c.Run(isa);
      std::vector<float> pieces(whole.size(), -1.0f);
      for (size_t row = 0; row < c.m;) {
        const size_t rows = std::min<size_t>(1 + random() % (c.m > 16 ? 40 : 7), c.m - row);
        for (size_t panel = 0; panel < PanelCount(c.w);) {
          const size_t end = std::min<size_t>(panel + 1 + random() % 3, PanelCount(c.w));
          c.Run(isa, row, rows, panel, end, pieces.data());
          panel = end;
        }
        row += rows;
      }
      EXPECT_TRUE(SameBits(pieces, whole)) << Info(isa).name << ": " << c.Name();
    }
  }
}

// A last group that is shorter than half of one, in a slice that is not the first.
TEST(IntegerMatmul, LastGroupOfManyIsShort) {
  std::mt19937 random(10);
  for (const PackedFormat format : {PackedFormat::kU4, PackedFormat::kU8}) {
    for (const size_t k : {1024 + 16, 1024 + 64, 2048 + 200}) {
      const Case c(&random, format, 48, k, 256, false, 33);
      const std::vector<float> expected = c.Run(Isa::kScalar);
      for (const Isa isa : RunnableIsas()) {
        EXPECT_TRUE(SameBits(c.Run(isa), expected)) << Info(isa).name << ": " << c.Name();
      }
    }
  }
}

// More rows than stay in the cache at once.
TEST(IntegerMatmul, ManyRows) {
  std::mt19937 random(4);
  Case c(&random, PackedFormat::kU4, 40, 1000, 32, false, 300);
  const std::vector<float> expected = c.Run(Isa::kScalar);
  for (const Isa isa : RunnableIsas()) {
    EXPECT_TRUE(SameBits(c.Run(isa), expected)) << Info(isa).name;
  }
}

TEST(IntegerMatmul, BiasAndResidual) {
  std::mt19937 random(5);
  for (Case& c : RandomCases(&random, 40)) {
    c.epilogue.bias = c.bias.data();
    c.epilogue.residual = c.residual.data();
    c.epilogue.residual_stride = c.w.n;
    for (const Isa isa : RunnableIsas()) {
      const std::vector<float> out = c.Run(isa);
      for (size_t i = 0; i < out.size(); ++i) {
        const size_t j = i % c.w.n;
        ASSERT_EQ(out[i], c.Sum(i / c.w.n, j) + c.bias[j] + c.residual[i])
            << Info(isa).name << ": " << c.Name();
      }
    }
  }
}

TEST(IntegerMatmul, ActivationsAndGates) {
  std::mt19937 random(6);
  for (Case& c : RandomCases(&random, 60)) {
    c.epilogue.bias = c.bias.data();
    c.epilogue.activation = static_cast<Activation>(random() % 7);
    c.epilogue.gated = PanelCount(c.w) % 2 == 0 && c.w.n % 16 == 0;
    if (c.epilogue.gated) c.columns = c.w.n / 2 - random() % 16;
    const std::vector<float> reference = c.Run(Isa::kScalar);
    for (size_t i = 0; i < reference.size(); ++i) {
      const size_t row = i / c.columns, column = i % c.columns;
      const auto biased = [&](size_t j) { return double{c.Sum(row, j) + c.bias[j]}; };
      const size_t gate = c.epilogue.gated ? column / 16 * 32 + column % 16 : column;
      const double expected = ReferenceActivation(c.epilogue.activation, biased(gate)) *
                              (c.epilogue.gated ? biased(gate + 16) : 1.0);
      ASSERT_NEAR(reference[i], expected, 1e-6 * (1 + std::fabs(expected))) << c.Name();
    }
    for (const Isa isa : RunnableIsas()) {
      EXPECT_TRUE(SameBits(c.Run(isa), reference)) << Info(isa).name << ": " << c.Name();
    }
  }
}

TEST(IntegerMatmul, GatesOfEveryShape) {
  std::mt19937 random(7);
  for (const size_t m : {1, 2, 3, 7, 16, 33}) {
    Case c(&random, PackedFormat::kU4, 96, 64, 32, true, m);
    c.epilogue.activation = Activation::kSilu;
    c.epilogue.gated = true;
    c.columns = 41;  // of 48; the rest is padding
    const std::vector<float> reference = c.Run(Isa::kScalar);
    for (size_t i = 0; i < reference.size(); ++i) {
      const size_t row = i / 41, gate = i % 41 / 16 * 32 + i % 41 % 16;
      const double expected =
          ReferenceActivation(Activation::kSilu, c.Sum(row, gate)) * c.Sum(row, gate + 16);
      ASSERT_NEAR(reference[i], expected, 1e-6 * (1 + std::fabs(expected)));
    }
    for (const Isa isa : RunnableIsas()) {
      EXPECT_TRUE(SameBits(c.Run(isa), reference)) << Info(isa).name;
    }
  }
}

TEST(IntegerMatmul, NoRowsNoPanels) {
  std::mt19937 random(8);
  const Case c(&random, PackedFormat::kU4, 20, 40, 40, false, 2);
  for (const Isa isa : RunnableIsas()) {
    std::vector<float> out(c.m * c.columns, -1.0f);
    c.Run(isa, 0, 0, 0, 2, out.data());
    c.Run(isa, 0, 2, 1, 1, out.data());
    EXPECT_EQ(out, std::vector<float>(c.m * c.columns, -1.0f));
  }
}

}  // namespace
}  // namespace rushlight::kernels
