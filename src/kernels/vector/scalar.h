// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// F32x16 as an array: the reference, and what runs where there is nothing better.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "rushlight/half.h"
#include "src/kernels/vector/target.h"

namespace rushlight::kernels::scalar {

struct F32x16 {
  float lane[16];
};

inline constexpr int kTileRows = 2;  // of a product: rows x vectors that stay in registers
inline constexpr int kTileVectors = 1;

inline F32x16 Set(float x) {
  F32x16 r;
  for (float& lane : r.lane) lane = x;
  return r;
}
inline F32x16 Load(const float* p) {
  F32x16 r;
  std::memcpy(r.lane, p, sizeof r.lane);
  return r;
}
inline F32x16 LoadFirst(const float* p, size_t n, float fill = 0) {
  F32x16 r = Set(fill);
  std::memcpy(r.lane, p, n * sizeof(float));
  return r;
}
inline void Store(float* p, const F32x16& x) { std::memcpy(p, x.lane, sizeof x.lane); }
inline void StoreFirst(float* p, const F32x16& x, size_t n) {
  std::memcpy(p, x.lane, n * sizeof(float));
}

template <class T>  // BFloat16, Float16, int8_t
inline F32x16 Load(const T* p) {
  F32x16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = static_cast<float>(p[i]);
  return r;
}
// Of pairs: sixteen of p[2 i], of p[2 i + 1].
template <class T>
inline F32x16 Even(const T* p) {
  F32x16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = static_cast<float>(p[2 * i]);
  return r;
}
template <class T>
inline F32x16 Odd(const T* p) {
  return Even(p + 1);
}

// Sixteen words of 32 bits, shifted to the right and masked, as numbers.  Requires: mask < 2^31.
inline F32x16 LoadBits(const uint8_t* p, unsigned shift, uint32_t mask) {
  uint32_t word[16];
  std::memcpy(word, p, sizeof word);
  F32x16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = static_cast<float>(word[i] >> shift & mask);
  return r;
}

#define RUSHLIGHT_LANES(expression) \
  F32x16 r;                         \
  for (int i = 0; i < 16; ++i) {    \
    r.lane[i] = (expression);       \
  }                                 \
  return r
inline F32x16 operator+(const F32x16& a, const F32x16& b) {
  RUSHLIGHT_LANES(a.lane[i] + b.lane[i]);
}
inline F32x16 operator-(const F32x16& a, const F32x16& b) {
  RUSHLIGHT_LANES(a.lane[i] - b.lane[i]);
}
inline F32x16 operator*(const F32x16& a, const F32x16& b) {
  RUSHLIGHT_LANES(a.lane[i] * b.lane[i]);
}
inline F32x16 operator/(const F32x16& a, const F32x16& b) {
  RUSHLIGHT_LANES(a.lane[i] / b.lane[i]);
}
// Not inlined: sixteen calls where there is no instruction for it.
[[maybe_unused]] __attribute__((noinline)) static F32x16 MulAdd(const F32x16& a, const F32x16& b,
                                                                const F32x16& c) {
  RUSHLIGHT_LANES(std::fma(a.lane[i], b.lane[i], c.lane[i]));
}
inline F32x16 SelectLess(const F32x16& a, const F32x16& b, const F32x16& x, const F32x16& y) {
  RUSHLIGHT_LANES(a.lane[i] < b.lane[i] ? x.lane[i] : y.lane[i]);
}
inline F32x16 CopySign(const F32x16& a, const F32x16& b) {
  RUSHLIGHT_LANES(std::copysign(a.lane[i], b.lane[i]));
}
#undef RUSHLIGHT_LANES
inline F32x16 Max(const F32x16& a, const F32x16& b) { return SelectLess(b, a, a, b); }
inline F32x16 Min(const F32x16& a, const F32x16& b) { return SelectLess(a, b, a, b); }
inline F32x16 ShiftBitsLeft23(F32x16 a) {
  for (float& lane : a.lane) {
    uint32_t bits;
    std::memcpy(&bits, &lane, sizeof bits);
    bits <<= 23;
    std::memcpy(&lane, &bits, sizeof bits);
  }
  return a;
}

inline float Sum(F32x16 a) {
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) a.lane[i] += a.lane[i + half];
  }
  return a.lane[0];
}
inline float MaxLane(F32x16 a) {
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) {
      a.lane[i] = a.lane[i] > a.lane[i + half] ? a.lane[i] : a.lane[i + half];
    }
  }
  return a.lane[0];
}

}  // namespace rushlight::kernels::scalar
