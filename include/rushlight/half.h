// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Storage types that C++ lacks.  Float16 and BFloat16: arithmetic is done in float; conversion
// rounds to nearest, ties to even, and keeps NaN a NaN.  Bool8: a bool as files and callers hand it
// over, where any byte but 0 is true (a C++ bool may only be 0 or 1).
#pragma once

#include <cstdint>
#include <cstring>

namespace rushlight {

struct Bool8 {
  uint8_t bits;

  Bool8() = default;
  explicit Bool8(bool value) : bits(value ? 1 : 0) {}
  operator bool() const { return bits != 0; }
};

struct BFloat16 {
  uint16_t bits;

  BFloat16() = default;
  explicit BFloat16(float value) {
    uint32_t u;
    std::memcpy(&u, &value, sizeof u);
    const uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    bits = static_cast<uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : rounded);
  }
  operator float() const {
    const uint32_t u = static_cast<uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &u, sizeof value);
    return value;
  }
};

struct Float16 {
  uint16_t bits;

  Float16() = default;
  explicit Float16(float value) {
    uint32_t u;
    std::memcpy(&u, &value, sizeof u);
    const uint32_t sign = (u >> 16) & 0x8000u;
    u &= 0x7fffffffu;
    uint32_t h;
    if (u >= 0x47800000u) {  // 65536 and above, infinity, NaN
      h = u > 0x7f800000u ? 0x7e00u : 0x7c00u;
    } else if (u >= 0x38800000u) {  // normal: rebias by 112, round; may carry into infinity
      h = (u - 0x38000000u + 0xfffu + ((u >> 13) & 1u)) >> 13;
    } else {  // subnormal: adding 0.5 puts the rounded mantissa in the low bits
      float f;
      std::memcpy(&f, &u, sizeof f);
      f += 0.5f;
      std::memcpy(&h, &f, sizeof h);
      h -= 0x3f000000u;
    }
    bits = static_cast<uint16_t>(sign | h);
  }
  // Written with masks, not conditions: loops of it are vectorised.
  operator float() const {
    const uint32_t magnitude = (bits & 0x7fffu) << 13;
    // Normal numbers are rebiased by 112, infinities and NaN by 224.
    const uint32_t special = 0u - static_cast<uint32_t>(magnitude >= 0x0f800000u);
    const uint32_t normal = magnitude + 0x38000000u + (special & 0x38000000u);
    // A subnormal number m * 2^-24 is the mantissa of 2^-14, which is then taken away.
    uint32_t u = magnitude + 0x38800000u;
    float value;
    std::memcpy(&value, &u, sizeof value);
    value -= 6.103515625e-5f;
    std::memcpy(&u, &value, sizeof u);
    const uint32_t is_normal = 0u - static_cast<uint32_t>(magnitude >= 0x00800000u);
    u = (u & ~is_normal) | (normal & is_normal) | (bits & 0x8000u) << 16;
    std::memcpy(&value, &u, sizeof value);
    return value;
  }
};

}  // namespace rushlight
