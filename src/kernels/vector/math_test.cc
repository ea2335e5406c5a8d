// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "src/kernels/vector/kernel_test.h"
#include "src/kernels/vector/scalar.h"
#if defined(__x86_64__)
#include "src/kernels/vector/avx2.h"
#include "src/kernels/vector/avx512.h"
#elif defined(__aarch64__)
#include "src/kernels/vector/neon.h"
#endif

#define RUSHLIGHT_MATH                                              \
  void Apply(const float* x, float* exp, float* tanh, float* erf) { \
    Store(exp, Exp(Load(x)));                                       \
    Store(tanh, Tanh(Load(x)));                                     \
    Store(erf, Erf(Load(x)));                                       \
  }                                                                 \
  void Reduce(const float* x, size_t n, float* y) {                 \
    y[0] = Sum(LoadFirst(x, n));                                    \
    y[1] = MaxLane(LoadFirst(x, n, -3.0f));                         \
    StoreFirst(y + 2, Max(Min(Load(x), Set(0.5f)), Set(-0.5f)), n); \
  }                                                                 \
  }

#define RUSHLIGHT_ISA scalar
#include "src/kernels/vector/math-inl.h"
namespace rushlight::kernels::scalar {
RUSHLIGHT_MATH
#undef RUSHLIGHT_ISA
#if defined(__x86_64__)
#define RUSHLIGHT_ISA avx2
RUSHLIGHT_TARGET_AVX2
#include "src/kernels/vector/math-inl.h"
namespace rushlight::kernels::avx2 {
RUSHLIGHT_MATH
RUSHLIGHT_TARGET_END
#undef RUSHLIGHT_ISA
#define RUSHLIGHT_ISA avx512
RUSHLIGHT_TARGET_AVX512
#include "src/kernels/vector/math-inl.h"
namespace rushlight::kernels::avx512 {
RUSHLIGHT_MATH
RUSHLIGHT_TARGET_END
#undef RUSHLIGHT_ISA
#elif defined(__aarch64__)
#define RUSHLIGHT_ISA neon
#include "src/kernels/vector/math-inl.h"
namespace rushlight::kernels::neon {
RUSHLIGHT_MATH
#undef RUSHLIGHT_ISA
#endif

#include "src/kernels/vector/table.h"

namespace rushlight::kernels {
namespace {

constexpr PerIsa<void (*)(const float*, float*, float*, float*)> kApply =
    RUSHLIGHT_VECTOR_TABLE(Apply);
constexpr PerIsa<void (*)(const float*, size_t, float*)> kReduce = RUSHLIGHT_VECTOR_TABLE(Reduce);

// How far from right, in units in the last place of the right float.
double Error(float got, double right) {
  const auto nearest = static_cast<float>(right);
  if (std::isnan(right)) return std::isnan(got) ? 0 : 1e9;
  if (std::isinf(nearest) || std::isinf(got)) return got == nearest ? 0 : 1e9;
  const int exponent = nearest == 0 ? -149 : std::max(-149, std::ilogb(nearest) - 23);
  return std::ldexp(std::fabs(got - right), -exponent);
}

// Every sign and exponent, with mantissas all over: subnormal numbers, infinities and NaN too.
TEST(VectorMath, IsAccurateForAllExponents) {
  for (uint32_t high = 0; high < 512; ++high) {
    for (uint32_t piece = 0; piece < 16; ++piece) {
      float x[16];
      for (uint32_t i = 0; i < 16; ++i) {
        const uint32_t place = 16 * piece + i;
        const uint32_t bits = high << 23 | (place * 32771u + place % 2) % (1u << 23);
        std::memcpy(&x[i], &bits, sizeof bits);
      }
      std::vector<float> first;
      for (const Isa isa : RunnableIsas()) {
        std::vector<float> y(48);
        kApply[isa](x, &y[0], &y[16], &y[32]);
        if (first.empty()) first = y;
        ExpectSameBits(y, first);
      }
      for (int i = 0; i < 16; ++i) {
        const double v = x[i];
        ASSERT_LE(Error(first[i], std::exp(v)), 2) << x[i];
        ASSERT_LE(Error(first[16 + i], std::tanh(v)), 3) << x[i];
        ASSERT_LE(Error(first[32 + i], std::erf(v)), 3) << x[i];
      }
    }
  }
}

TEST(VectorMath, ExpAtItsEdges) {
  const float inf = std::numeric_limits<float>::infinity();
  const float x[16] = {0,       -0.0f,   88.7228f, 88.73f, inf, -inf, -87.4f, -103.2f,
                       -103.9f, -104.5f, -200,     200,    1,   -1,   1e-30f, -1e30f};
  for (const Isa isa : RunnableIsas()) {
    float y[16], other[32];
    kApply[isa](x, y, other, other + 16);
    for (int i = 0; i < 16; ++i) {
      EXPECT_LE(Error(y[i], std::exp(static_cast<double>(x[i]))), 2) << x[i];
    }
    EXPECT_EQ(y[0], 1);
  }
}

// Loads and stores of n touch n: what lies behind belongs to others (the sanitizer sees to it).
TEST(Vector, TouchesNoMoreThanAsked) {
  std::mt19937 random(2);
  const std::vector<float> all = RandomFloats(16, random);
  for (size_t n = 0; n <= 16; ++n) {
    std::vector<float> first;
    for (const Isa isa : RunnableIsas()) {
      std::vector<float> y(2 + n + 1, -7);
      kReduce[isa](all.data(), n, y.data());
      EXPECT_EQ(y[2 + n], -7);
      if (first.empty()) first = y;
      ExpectSameBits(y, first);
    }
    float highest = n == 16 ? all[0] : -3;
    for (size_t i = 0; i < n; ++i) highest = std::max(highest, all[i]);
    EXPECT_EQ(first[1], highest);
  }
}

}  // namespace
}  // namespace rushlight::kernels
