// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// e^x without calls or branches, so that a loop over it vectorises.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace rushlight::kernels {

// Requires: a normal number, -126 <= k <= 127; other k give any number.
inline float PowerOfTwo(int32_t k) {
  const uint32_t bits = (static_cast<uint32_t>(k) + 127u) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return power;
}

// e^x within 2 units in the last place; subnormal and then 0 below -87.3.
// Requires: x <= 88, or NaN.
inline float ExpBounded(float x) {
  // x = k ln 2 + r with |r| <= ln 2 / 2.  Adding 1.5 * 2^23 rounds to an integer, which then lies
  // in the low bits.  The bound keeps k small; NaN passes it.
  constexpr float kRound = 12582912.0f;
  x = x < -104.0f ? -104.0f : x;
  const float shifted = x * 1.44269504f + kRound;
  uint32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  const auto k = static_cast<int32_t>(bits - 0x4b400000u);
  const float whole = shifted - kRound;
  const float r = (x - whole * 0.693145752f) - whole * 1.42860677e-6f;  // ln 2 in two parts

  float p = 1.0f / 5040;  // the series of e^r
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;

  // 2^k in two factors, each of them a normal number.
  const int32_t half = k >> 1;
  return p * PowerOfTwo(half) * PowerOfTwo(k - half);
}

inline double ExpBounded(double x) { return std::exp(x); }

}  // namespace rushlight::kernels
