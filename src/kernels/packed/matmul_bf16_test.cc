// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/packed/matmul_bf16.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "src/kernels/packed/pack.h"
#include "src/kernels/vector/kernel_test.h"

namespace rushlight::kernels {
namespace {

std::vector<BFloat16> RandomHalves(size_t n, std::mt19937& random) {
  std::vector<BFloat16> x;
  for (const float v : RandomFloats(n, random)) x.push_back(BFloat16(v));
  return x;
}

// A product with all that it points to.
struct Case {
  PackedMatrix w;
  size_t m;
  std::vector<BFloat16> weights, x;  // [n, k], [m, RoundedStride(k)]
  std::vector<uint8_t> storage;      // of the panels
  std::vector<float> bias, residual;
  Epilogue epilogue;
  size_t columns;

  Case(size_t rows, size_t n, size_t k, std::mt19937& random)
      : m(rows), weights(RandomHalves(n * k, random)), columns(n) {
    w.format = PackedFormat::kBF16;
    w.n = n;
    w.k = k;
    storage.resize(PackedBytes(w) + kLineBytes);
    const size_t past = reinterpret_cast<uintptr_t>(storage.data()) % kLineBytes;
    uint8_t* const panels = storage.data() + kLineBytes - past;
    PackFloats(w, weights.data(), panels);
    w.panels = panels;
    x.resize(m * RoundedStride(k));
    for (size_t r = 0; r < m; ++r) {
      kRoundRow[Isa::kScalar](RandomFloats(k, random).data(), k, x.data() + r * RoundedStride(k));
    }
    bias = RandomFloats(n, random);
    residual = RandomFloats(m * n, random);
  }

  void Run(Isa isa, size_t row, size_t count, size_t begin, size_t end, float* out) const {
    BF16MatmulArgs args{w, x.data() + row * RoundedStride(w.k), count, {}};
    args.out = {out + row * columns, columns, columns, begin, end, epilogue};
    if (epilogue.residual != nullptr) {
      args.out.epilogue.residual += row * epilogue.residual_stride;
    }
    kBF16Matmul[isa](args);
  }
  std::vector<float> Run(Isa isa) const {
    std::vector<float> out(m * columns, -1.0f);
    Run(isa, 0, m, 0, PanelCount(w), out.data());
    return out;
  }
  // Any rows, any panels (with gates in pairs).
  std::vector<float> RunInPieces(Isa isa, std::mt19937& random) const {
    std::vector<float> out(m * columns, -1.0f);
    const size_t unit = epilogue.gated ? 2 : 1;
    for (size_t row = 0, rows = 0; row < m; row += rows) {
      rows = std::min<size_t>(1 + random() % 40, m - row);
      for (size_t panel = 0, end = 0; panel < PanelCount(w); panel = end) {
        end = std::min(panel + (1 + random() % 3) * unit, PanelCount(w));
        Run(isa, row, rows, panel, end, out.data());
      }
    }
    return out;
  }

  float Sum(Isa isa, size_t row, size_t output) const {
    const BFloat16* const a = x.data() + row * RoundedStride(w.k);
    const BFloat16* const b = weights.data() + output * w.k;
    float sum = 0;
    if (isa == Isa::kAmx) {
      for (size_t block = 0; block < w.k; block += 32) {
        float part[2] = {0, 0};
        for (size_t i = block; i < std::min(block + 32, w.k); ++i) {
          part[i % 2] = std::fma(a[i], b[i], part[i % 2]);
        }
        sum += part[0] + part[1];
      }
      return sum;
    }
    for (size_t i = 0; i < w.k; i += 2) {
      if (i + 1 < w.k) sum = std::fma(a[i + 1], b[i + 1], sum);
      sum = std::fma(a[i], b[i], sum);
    }
    return sum;
  }
};

TEST(MatmulBF16, SumsInTheOrderThatIsPromised) {
  std::mt19937 random(1);
  for (int i = 0; i < 60; ++i) {
    const Case c(1 + random() % (i % 4 == 0 ? 70 : 20), 1 + random() % 100, 1 + random() % 150,
                 random);
    for (const Isa isa : RunnableIsas()) {
      SCOPED_TRACE(testing::Message()
                   << Info(isa).name << " m " << c.m << " n " << c.w.n << " k " << c.w.k);
      std::vector<float> want;
      for (size_t r = 0; r < c.m; ++r) {
        for (size_t j = 0; j < c.w.n; ++j) want.push_back(c.Sum(isa, r, j));
      }
      ExpectSameBits(c.Run(isa), want);
      ExpectSameBits(c.RunInPieces(isa, random), want);
    }
  }
}

TEST(MatmulBF16, FinishesItsSums) {
  std::mt19937 random(2);
  for (const bool gated : {false, true}) {
    for (const size_t m : {1, 5, 16, 37}) {
      Case c(m, 96, 75, random);
      c.epilogue.bias = c.bias.data();
      c.epilogue.gated = gated;
      if (gated) {
        c.columns = 41;
      } else {
        c.epilogue.residual = c.residual.data();
        c.epilogue.residual_stride = c.w.n;
      }
      for (const Isa isa : RunnableIsas()) {
        SCOPED_TRACE(testing::Message() << Info(isa).name << " m " << m);
        std::vector<float> want;
        for (size_t r = 0; r < m; ++r) {
          for (size_t j = 0; j < c.columns; ++j) {
            const size_t at = gated ? j / 16 * 32 + j % 16 : j;
            const float sum = c.Sum(isa, r, at) + c.bias[at];
            want.push_back(gated ? sum * (c.Sum(isa, r, at + 16) + c.bias[at + 16])
                                 : sum + c.residual[r * c.w.n + j]);
          }
        }
        ExpectSameBits(c.Run(isa), want);
        ExpectSameBits(c.RunInPieces(isa, random), want);
      }
    }
  }
}

// Any bits in a file are harmless.
TEST(MatmulBF16, TakesEveryBitPattern) {
  std::mt19937 random(3);
  Case c(17, 40, 45, random);
  for (uint8_t& byte : c.storage) byte = static_cast<uint8_t>(random());
  for (const Isa isa : RunnableIsas()) EXPECT_EQ(c.Run(isa).size(), c.m * c.columns);
}

TEST(MatmulBF16, RoundsToNearest) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {1.0f,         1.00390625f /* a tie: to even */,
                                1.01171875f,  1e-39f,
                                -1.0000001f,  0x1p-126f,
                                kInfinity,    -0.0f,
                                std::nanf("")};
  const std::vector<float> want = {1.0f, 1.0f, 1.015625f, 0.0f, -1.0f, 0x1p-126f, kInfinity, -0.0f};
  for (const Isa isa : RunnableIsas()) {
    std::vector<BFloat16> out(RoundedStride(x.size()), BFloat16(5.0f));
    kRoundRow[isa](x.data(), x.size(), out.data());
    ExpectSameBits(std::vector<float>(out.begin(), out.begin() + 8), want);
    EXPECT_TRUE(std::isnan(out[8]));
    for (size_t i = x.size(); i < out.size(); ++i) EXPECT_EQ(out[i].bits, 0) << i;
  }
}

// Rows long enough for vectors, of any bits.
TEST(MatmulBF16, RoundsTheSameOnEveryInstructionSet) {
  std::mt19937 random(7);
  for (const size_t k : {1, 31, 64, 333}) {
    std::vector<float> x(k);
    for (float& v : x) {
      const auto bits = static_cast<uint32_t>(random()) & (random() % 4 == 0 ? 0x807fffffu : ~0u);
      std::memcpy(&v, &bits, sizeof v);
    }
    std::vector<BFloat16> want(RoundedStride(k)), out(RoundedStride(k));
    kRoundRow[Isa::kScalar](x.data(), k, want.data());
    for (const Isa isa : RunnableIsas()) {
      kRoundRow[isa](x.data(), k, out.data());
      for (size_t i = 0; i < out.size(); ++i) {
        EXPECT_EQ(out[i].bits, want[i].bits) << Info(isa).name << " " << i;
      }
    }
  }
}

}  // namespace
}  // namespace rushlight::kernels
