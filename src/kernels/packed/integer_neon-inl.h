// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Lines of codes and sixteen 32-bit sums as four registers of NEON.  Nibbles are signed bytes as
// they are, bytes when their highest bit is turned over.  Included once for each instruction set
// that has its own dot product, Dot(), in its target region (RUSHLIGHT_ISA).

namespace rushlight::kernels::RUSHLIGHT_ISA {

using F32x16 = neon::F32x16;
using Quad = int8x16_t;  // four activations, for four outputs
struct Line {
  int8x16_t v[4];
};
struct I32x16 {
  int32x4_t v[4];
};

inline constexpr int kIntegerRows = 4;  // of a tile
inline constexpr size_t kIntegerPanels = 1;
inline constexpr size_t kRowPanels = 1;  // of a tile of one row: streams of memory
inline constexpr bool kPasses = false;
inline constexpr size_t kWidenedRows = 0;   // never
inline constexpr size_t kWidenedSpans = 0;  // none

RUSHLIGHT_INLINE Line LoadLine(const uint8_t* p) {
  Line x;
  for (int i = 0; i < 4; ++i) x.v[i] = vreinterpretq_s8_u8(vld1q_u8(p + 16 * i));
  return x;
}
RUSHLIGHT_INLINE Line LowNibbles(Line x) {
  for (int i = 0; i < 4; ++i) x.v[i] = vandq_s8(x.v[i], vdupq_n_s8(15));
  return x;
}
RUSHLIGHT_INLINE Line HighNibbles(Line x) {
  for (int i = 0; i < 4; ++i) {
    x.v[i] = vreinterpretq_s8_u8(vshrq_n_u8(vreinterpretq_u8_s8(x.v[i]), 4));
  }
  return x;
}
RUSHLIGHT_INLINE Line Bytes(Line x) {
  for (int i = 0; i < 4; ++i) x.v[i] = veorq_s8(x.v[i], vdupq_n_s8(-128));
  return x;
}
RUSHLIGHT_INLINE Quad LoadQuad(const int8_t* p) {
  int32_t four;
  std::memcpy(&four, p, sizeof four);
  return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

RUSHLIGHT_INLINE I32x16 SetInteger(int32_t x) {
  const int32x4_t v = vdupq_n_s32(x);
  return {{v, v, v, v}};
}
RUSHLIGHT_INLINE I32x16 StartNibbles(int32_t sum) { return SetInteger(-8 * sum); }
RUSHLIGHT_INLINE I32x16 StartBytes(int32_t) { return SetInteger(0); }
RUSHLIGHT_INLINE I32x16 DotBytes(I32x16 sum, Line w, Quad a) {
  for (int i = 0; i < 4; ++i) sum.v[i] = Dot(sum.v[i], w.v[i], a);
  return sum;
}
RUSHLIGHT_INLINE I32x16 DotNibbles(I32x16 sum, Line low, Line high, Quad a, Quad b) {
  return DotBytes(DotBytes(sum, low, a), high, b);
}
RUSHLIGHT_INLINE I32x16 operator+(I32x16 a, I32x16 b) {
  for (int i = 0; i < 4; ++i) a.v[i] = vaddq_s32(a.v[i], b.v[i]);
  return a;
}
RUSHLIGHT_INLINE F32x16 ToFloat(I32x16 x) {
  F32x16 r;
  for (int i = 0; i < 4; ++i) r.v[i] = vcvtq_f32_s32(x.v[i]);
  return r;
}
RUSHLIGHT_INLINE I32x16 ToInteger(F32x16 x) {
  I32x16 r;
  for (int i = 0; i < 4; ++i) r.v[i] = vcvtq_s32_f32(x.v[i]);
  return r;
}
RUSHLIGHT_INLINE void StoreLowBytes(int8_t* p, F32x16 x) {
  uint16x4_t words[4];
  for (int i = 0; i < 4; ++i) words[i] = vmovn_u32(vreinterpretq_u32_f32(x.v[i]));
  const uint8x8_t low = vmovn_u16(vcombine_u16(words[0], words[1]));
  const uint8x8_t high = vmovn_u16(vcombine_u16(words[2], words[3]));
  vst1q_s8(p, vreinterpretq_s8_u8(vcombine_u8(low, high)));
}

}  // namespace rushlight::kernels::RUSHLIGHT_ISA
