// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Plain loops: the reference, and what runs where there is nothing better.

#include "src/kernels/packed/matmul_integer.h"
#include "src/kernels/vector/scalar.h"

#define RUSHLIGHT_ISA scalar
namespace rushlight::kernels::scalar {

struct Line {
  uint8_t byte[kLineBytes];
};
struct Quad {
  int8_t activation[4];
};
struct I32x16 {
  uint32_t lane[16];  // wraps around on the way to a sum that fits
};

inline constexpr int kIntegerRows = 1;  // of a tile
inline constexpr size_t kIntegerPanels = 1;
inline constexpr size_t kRowPanels = 1;  // of a tile of one row: streams of memory
inline constexpr bool kPasses = false;
inline constexpr size_t kWidenedRows = 0;   // never
inline constexpr size_t kWidenedSpans = 0;  // none

RUSHLIGHT_INLINE Line LoadLine(const uint8_t* p) {
  Line x;
  std::memcpy(x.byte, p, sizeof x.byte);
  return x;
}
RUSHLIGHT_INLINE Line LowNibbles(Line x) {
  for (uint8_t& byte : x.byte) byte &= 15;
  return x;
}
RUSHLIGHT_INLINE Line HighNibbles(Line x) {
  for (uint8_t& byte : x.byte) byte >>= 4;
  return x;
}
RUSHLIGHT_INLINE Line Bytes(const Line& x) { return x; }
RUSHLIGHT_INLINE Quad LoadQuad(const int8_t* p) { return {{p[0], p[1], p[2], p[3]}}; }

RUSHLIGHT_INLINE I32x16 SetInteger(int32_t x) {
  I32x16 r;
  for (uint32_t& lane : r.lane) lane = static_cast<uint32_t>(x);
  return r;
}
RUSHLIGHT_INLINE I32x16 StartNibbles(int32_t sum) { return SetInteger(-8 * sum); }
RUSHLIGHT_INLINE I32x16 StartBytes(int32_t sum) { return SetInteger(-128 * sum); }
// A function of its own: it is most of the code.
__attribute__((noinline)) static I32x16 DotBytes(I32x16 sum, const Line& w, Quad a) {
  for (size_t i = 0; i < 16; ++i) {
    int32_t dot = 0;
    for (size_t j = 0; j < 4; ++j) dot += w.byte[4 * i + j] * a.activation[j];
    sum.lane[i] += static_cast<uint32_t>(dot);
  }
  return sum;
}
RUSHLIGHT_INLINE I32x16 DotNibbles(const I32x16& sum, const Line& low, const Line& high, Quad a,
                                   Quad b) {
  return DotBytes(DotBytes(sum, low, a), high, b);
}
RUSHLIGHT_INLINE I32x16 operator+(I32x16 a, const I32x16& b) {
  for (size_t i = 0; i < 16; ++i) a.lane[i] += b.lane[i];
  return a;
}
RUSHLIGHT_INLINE F32x16 ToFloat(const I32x16& x) {
  F32x16 r;
  for (size_t i = 0; i < 16; ++i) r.lane[i] = static_cast<float>(static_cast<int32_t>(x.lane[i]));
  return r;
}
// Of whole numbers below 2^31.
RUSHLIGHT_INLINE I32x16 ToInteger(const F32x16& x) {
  I32x16 r;
  for (size_t i = 0; i < 16; ++i) {
    r.lane[i] = static_cast<uint32_t>(static_cast<int32_t>(x.lane[i]));
  }
  return r;
}
RUSHLIGHT_INLINE void StoreLowBytes(int8_t* p, const F32x16& x) {
  for (size_t i = 0; i < 16; ++i) {
    uint32_t bits;
    std::memcpy(&bits, &x.lane[i], sizeof bits);
    p[i] = static_cast<int8_t>(bits & 255);
  }
}

}  // namespace rushlight::kernels::scalar

#include "src/kernels/packed/matmul_integer-inl.h"
