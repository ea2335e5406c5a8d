// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace rushlight {
namespace {

template <class T>
T FromBits(uint32_t bits) {
  T value;
  value.bits = static_cast<uint16_t>(bits);
  return value;
}

// What the bits of a 16-bit float with this many bits of mantissa mean.
double Meaning(uint32_t bits, int mantissa_bits) {
  const int exponent_bits = 15 - mantissa_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = static_cast<int>(bits & 0x7fff) >> mantissa_bits;
  const int mantissa = static_cast<int>(bits) & ((1 << mantissa_bits) - 1);
  double value;
  if (exponent == (1 << exponent_bits) - 1) {
    value = mantissa == 0 ? INFINITY : NAN;
  } else if (exponent == 0) {
    value = std::ldexp(mantissa, 1 - bias - mantissa_bits);
  } else {
    value = std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
  }
  return bits & 0x8000 ? -value : value;
}

template <class T>
void CheckEveryValue(int mantissa_bits) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const double expected = Meaning(bits, mantissa_bits);
    const float value = FromBits<T>(bits);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(value)) << bits;
      ASSERT_TRUE(std::isnan(float{T(value)})) << bits;
      continue;
    }
    ASSERT_EQ(value, expected) << bits;
    ASSERT_EQ(std::signbit(value), std::signbit(expected)) << bits;
    ASSERT_EQ(T(value).bits, bits);
  }
}

// Between two neighbours: each half of the way goes to the nearer one, the middle to the even one.
template <class T>
void CheckRounding(uint32_t infinity) {
  for (uint32_t sign : {0u, 0x8000u}) {
    for (uint32_t bits = 0; bits + 1 < infinity; ++bits) {
      const float low = FromBits<T>(sign | bits);
      const float high = FromBits<T>(sign | (bits + 1));
      const float middle = low + (high - low) / 2;  // exact in float
      const uint32_t even = bits % 2 == 0 ? bits : bits + 1;
      ASSERT_EQ(T(middle).bits, sign | even) << bits;
      ASSERT_EQ(T(std::nextafter(middle, low)).bits, sign | bits);
      ASSERT_EQ(T(std::nextafter(middle, high)).bits, sign | (bits + 1));
    }
  }
}

TEST(Float16, EveryValueIsExact) { CheckEveryValue<Float16>(10); }
TEST(Float16, RoundsToNearestEven) { CheckRounding<Float16>(0x7c00); }
TEST(Float16, Overflows) {
  EXPECT_EQ(Float16(65519.996f).bits, 0x7bff);
  EXPECT_EQ(Float16(65520.0f).bits, 0x7c00);  // the middle, and the even one is infinity
  EXPECT_EQ(Float16(-std::numeric_limits<float>::max()).bits, 0xfc00);
  EXPECT_EQ(Float16(std::numeric_limits<float>::denorm_min()).bits, 0);
  EXPECT_EQ(Float16(-1e-30f).bits, 0x8000);
}

TEST(BFloat16, EveryValueIsExact) { CheckEveryValue<BFloat16>(7); }
TEST(BFloat16, RoundsToNearestEven) { CheckRounding<BFloat16>(0x7f80); }
TEST(BFloat16, Overflows) {
  EXPECT_EQ(BFloat16(std::numeric_limits<float>::max()).bits, 0x7f80);
  EXPECT_EQ(BFloat16(-std::numeric_limits<float>::max()).bits, 0xff80);
}

TEST(Bool8, AnyByteButZeroIsTrue) {
  for (uint32_t bits = 0; bits < 256; ++bits) {
    Bool8 value;
    value.bits = static_cast<uint8_t>(bits);
    EXPECT_EQ(bool{value}, bits != 0);
  }
  EXPECT_EQ(Bool8(true).bits, 1);
}

}  // namespace
}  // namespace rushlight
