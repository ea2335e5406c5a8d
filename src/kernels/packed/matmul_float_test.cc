// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/packed/matmul_float.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "rushlight/half.h"
#include "src/kernels/packed/pack.h"
#include "src/kernels/packed/reference.h"
#include "src/kernels/vector/kernel_test.h"

namespace rushlight::kernels {
namespace {

constexpr PackedFormat kFormats[] = {PackedFormat::kF32, PackedFormat::kBF16, PackedFormat::kF16};

// Aligned panels of random weights, and the weights.
struct Weights {
  PackedMatrix w;
  std::vector<float> values;  // [n, k], as the format has them
  std::vector<uint8_t> storage;

  Weights(PackedFormat format, size_t n, size_t k, std::mt19937& random) : values(n * k) {
    std::normal_distribution<float> normal;
    for (float& v : values) v = normal(random);
    Pack(format, n, k);
  }
  void Pack(PackedFormat format, size_t n, size_t k) {
    w.format = format;
    w.n = n;
    w.k = k;
    storage.resize(PackedBytes(w) + kLineBytes);
    uint8_t* panels = storage.data();
    while (reinterpret_cast<uintptr_t>(panels) % kLineBytes != 0) ++panels;
    w.panels = panels;
    if (format == PackedFormat::kF32) {
      PackFloats(w, values.data(), panels);
    } else if (format == PackedFormat::kBF16) {
      PackAs<BFloat16>(panels);
    } else {
      PackAs<Float16>(panels);
    }
  }
  template <class T>
  void PackAs(uint8_t* panels) {
    std::vector<T> rows;
    for (float& v : values) {
      rows.push_back(T(v));
      v = rows.back();
    }
    PackFloats(w, rows.data(), panels);
  }
};

// Integers, and what they stand for as f32 panels.
struct IntegerWeights {
  PackedMatrix w;
  std::vector<uint8_t> storage;
  Weights floats;

  IntegerWeights(PackedFormat format, ScaleType scale, size_t group, bool has_minimum, size_t n,
                 size_t k, std::mt19937& random)
      : floats(PackedFormat::kF32, n, k, random) {
    w.format = format;
    w.scale = scale;
    w.group = group;
    w.has_minimum = has_minimum;
    w.n = n;
    w.k = k;
    const size_t groups = n * GroupCount(w);
    std::vector<int8_t> codes;
    for (size_t i = 0; i < n * k; ++i) {
      const int bits = static_cast<int>(random() % (format == PackedFormat::kU4 ? 16 : 256));
      codes.push_back(static_cast<int8_t>(bits - ZeroPoint(w)));
    }
    const std::vector<float> scales = RandomFloats(groups, random);
    const std::vector<float> minimums = RandomFloats(groups, random);
    storage.resize(PackedBytes(w) + kLineBytes);
    uint8_t* panels = storage.data();
    while (reinterpret_cast<uintptr_t>(panels) % kLineBytes != 0) ++panels;
    PackIntegers(w, {codes.data(), scales.data(), minimums.data()}, panels);
    w.panels = panels;
    for (size_t r = 0; r < n; ++r) DequantizeRow(w, r, floats.values.data() + r * k);
    floats.Pack(PackedFormat::kF32, n, k);
  }
};

TEST(MatmulFloat, IsOneChainForEachOutput) {
  std::mt19937 random(1);
  for (const PackedFormat format : kFormats) {
    for (const size_t k : {1u, 2u, 7u, 33u, 100u}) {
      for (const size_t m : {1u, 2u, 5u, 13u, 14u, 29u}) {
        const size_t n = 16 * (1 + (m + k) % 6) - k % 16, stride = k + 3;
        const Weights weights(format, n, k, random);
        const std::vector<float> x = RandomFloats(m * stride, random);
        std::vector<float> want(m * n);
        for (size_t r = 0; r < m; ++r) {
          for (size_t c = 0; c < n; ++c) {
            float sum = 0;
            for (size_t i = 0; i < k; ++i) {
              sum = std::fma(x[r * stride + i], weights.values[c * k + i], sum);
            }
            want[r * n + c] = sum;
          }
        }
        for (const Isa isa : RunnableIsas()) {
          SCOPED_TRACE(testing::Message() << Info(isa).name << " m " << m << " n " << n << " k "
                                          << k << " format " << static_cast<int>(format));
          std::vector<float> y(m * n, -1);
          MatmulOutput out = {y.data(), n, n, 0, PanelCount(weights.w), {}};
          kFloatMatmul[isa]({weights.w, x.data(), stride, m, out});
          ExpectSameBits(y, want);
          // The same in pieces: each panel alone, each row alone.
          std::vector<float> pieces(m * n, -1);
          for (size_t panel = 0; panel < PanelCount(weights.w); ++panel) {
            for (size_t r = 0; r < m; ++r) {
              const MatmulOutput piece = {pieces.data() + r * n, n, n, panel, panel + 1, {}};
              kFloatMatmul[isa]({weights.w, x.data() + r * stride, stride, 1, piece});
            }
          }
          ExpectSameBits(pieces, want);
        }
      }
    }
  }
}

TEST(MatmulFloat, IntegersAreAsTheFloatsTheyStandFor) {
  std::mt19937 random(5);
  for (int i = 0; i < 120; ++i) {
    const bool gated = random() % 2 == 0;
    const size_t n = gated ? 32 * (1 + random() % 3) : 1 + random() % 100;
    const size_t columns = gated ? n / 2 - random() % 16 : n;
    const size_t k = 1 + random() % 150, m = i % 3 == 0 ? 1 : 1 + random() % 16;
    const size_t groups[] = {16, 32, 64, 128, k};
    const size_t group = groups[random() % 5];
    if (group > k) continue;
    const PackedFormat format = random() % 2 == 0 ? PackedFormat::kU4 : PackedFormat::kU8;
    const auto scale = static_cast<ScaleType>(random() % 3);
    const IntegerWeights weights(format, scale, group, random() % 2 == 0, n, k, random);
    const std::vector<float> x = RandomFloats(m * k, random);
    std::vector<float> want(m * columns);
    MatmulOutput out = {want.data(), columns, columns, 0, PanelCount(weights.w), {}};
    out.epilogue.gated = gated;
    kFloatMatmul[Isa::kScalar]({weights.floats.w, x.data(), k, m, out});
    for (const Isa isa : RunnableIsas()) {
      SCOPED_TRACE(testing::Message() << Info(isa).name << " m " << m << " n " << n << " k " << k);
      std::vector<float> y(m * columns, -1);
      out.data = y.data();
      kFloatMatmul[isa]({weights.w, x.data(), k, m, out});
      ExpectSameBits(y, want);
    }
  }
}

// Rows are cut into blocks, and inputs into slices: the chains go on.
TEST(MatmulFloat, ManyRowsAndInputsAreStillOneChain) {
  std::mt19937 random(6);
  for (const size_t k : {512u, 513u, 1101u}) {
    const size_t m = k == 1101 ? 97 : 7, n = k == 512 ? 33 : 100;
    const std::vector<float> x = RandomFloats(m * k, random);
    std::vector<PackedMatrix> matrices;
    std::vector<Weights> floats;
    for (const PackedFormat format : kFormats) floats.emplace_back(format, n, k, random);
    for (const Weights& weights : floats) matrices.push_back(weights.w);
    const IntegerWeights groups(PackedFormat::kU4, ScaleType::kBF16, 48, true, n, k, random);
    const IntegerWeights whole(PackedFormat::kU8, ScaleType::kF32, k, false, n, k, random);
    matrices.push_back(groups.w);
    matrices.push_back(whole.w);
    for (const PackedMatrix& w : matrices) {
      std::vector<float> want(m * n);
      MatmulOutput out = {want.data(), n, n, 0, PanelCount(w), {}};
      kFloatMatmul[Isa::kScalar]({w, x.data(), k, m, out});
      for (const Isa isa : RunnableIsas()) {
        SCOPED_TRACE(testing::Message()
                     << Info(isa).name << " k " << k << " format " << static_cast<int>(w.format));
        std::vector<float> y(m * n, -1);
        out.data = y.data();
        kFloatMatmul[isa]({w, x.data(), k, m, out});
        ExpectSameBits(y, want);
      }
    }
  }
}

TEST(MatmulFloat, FinishesItsSums) {
  std::mt19937 random(2);
  constexpr size_t kK = 24, kN = 96, kM = 15;
  const Weights weights(PackedFormat::kF32, kN, kK, random);
  const std::vector<float> x = RandomFloats(kM * kK, random), bias = RandomFloats(kN, random);
  const std::vector<float> residual = RandomFloats(kM * kN, random);
  for (const Activation activation :
       {Activation::kNone, Activation::kSilu, Activation::kGelu, Activation::kGeluTanh,
        Activation::kRelu, Activation::kTanh, Activation::kQuickGelu}) {
    for (const bool gated : {false, true}) {
      const size_t columns = gated ? kN / 2 - 5 : kN;
      const bool add = activation == Activation::kNone && !gated;
      std::vector<float> first;
      for (const Isa isa : RunnableIsas()) {
        SCOPED_TRACE(testing::Message() << Info(isa).name << gated << static_cast<int>(activation));
        std::vector<float> y(kM * (columns + 2), -7);
        MatmulOutput out = {y.data(), columns + 2, columns, 0, kN / 16, {}};
        out.epilogue.bias = bias.data();
        out.epilogue.residual = add ? residual.data() : nullptr;
        out.epilogue.residual_stride = kN;
        out.epilogue.activation = activation;
        out.epilogue.gated = gated;
        kFloatMatmul[isa]({weights.w, x.data(), kK, kM, out});
        for (size_t r = 0; r < kM; ++r) {
          for (size_t c = 0; c < columns; ++c) {
            double sum[2];
            for (size_t part = 0; part < (gated ? 2u : 1u); ++part) {
              const size_t row = gated ? (c / 16 * 2 + part) * 16 + c % 16 : c;
              sum[part] = bias[row];
              for (size_t i = 0; i < kK; ++i) {
                sum[part] += static_cast<double>(x[r * kK + i]) * weights.values[row * kK + i];
              }
            }
            double want = ReferenceActivation(activation, sum[0]);
            if (gated) want *= sum[1];
            if (add) want += residual[r * kN + c];
            ASSERT_NEAR(y[r * (columns + 2) + c], want, 1e-5 * (1 + std::fabs(want)))
                << r << " " << c;
          }
          ASSERT_EQ(y[r * (columns + 2) + columns], -7);
        }
        if (first.empty()) first = y;
        ExpectSameBits(y, first);
        // Pairs of panels are a finer cut.
        std::vector<float> pieces(y.size(), -7);
        for (size_t panel = 0; panel < kN / 16; panel += 2) {
          out.data = pieces.data();
          out.begin = panel;
          out.end = panel + 2;
          kFloatMatmul[isa]({weights.w, x.data(), kK, kM, out});
        }
        ExpectSameBits(pieces, y);
      }
    }
  }
}

TEST(MatmulFloat, TakesEveryBitPattern) {
  std::mt19937 random(3);
  constexpr size_t kK = 9, kN = 40, kM = 7;
  for (const PackedFormat format : kFormats) {
    Weights weights(format, kN, kK, random);
    weights.values = HostileFloats(kN * kK, random);
    const std::vector<float> x = HostileFloats(kM * kK, random);
    weights.Pack(format, kN, kK);
    std::vector<float> first;
    for (const Isa isa : RunnableIsas()) {
      SCOPED_TRACE(Info(isa).name);
      std::vector<float> y(kM * kN);
      const MatmulOutput out = {y.data(), kN, kN, 0, PanelCount(weights.w), {}};
      kFloatMatmul[isa]({weights.w, x.data(), kK, kM, out});
      if (first.empty()) first = y;
      ExpectSameBits(y, first);
    }
  }
}

// The padding of n and k is never read into a result.
TEST(MatmulFloat, IgnoresInfinityTimesPadding) {
  std::mt19937 random(4);
  const Weights weights(PackedFormat::kBF16, 3, 5, random);
  std::vector<float> x(6, 1.0f);
  x[5] = std::numeric_limits<float>::infinity();
  for (const Isa isa : RunnableIsas()) {
    std::vector<float> y(4, -7);
    const MatmulOutput out = {y.data(), 3, 3, 0, 1, {}};
    kFloatMatmul[isa]({weights.w, x.data(), 5, 1, out});
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(std::isfinite(y[i])) << Info(isa).name;
    EXPECT_EQ(y[3], -7);
  }
}

}  // namespace
}  // namespace rushlight::kernels
