// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// What our kernels use of <immintrin.h> for AVX-512, its VNNI and BF16, and AMX, in plain C++,
// after Intel's description of the instructions: with this header in front of the compiler's, tests
// compile the same kernels a second time, for CPUs that have none of them.  What the hardware
// answers with a fault aborts.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "rushlight/half.h"
#include "src/kernels/vector/target.h"

// Nothing is compiled for another instruction set.
#undef RUSHLIGHT_TARGET
#undef RUSHLIGHT_TARGET_END
#define RUSHLIGHT_TARGET(features)
#define RUSHLIGHT_TARGET_END
#define RUSHLIGHT_IN_PLACE(x) static_cast<void>(0)

namespace rushlight::kernels {
namespace emulated {

template <class T, size_t kCount>
struct Lanes {
  T v[kCount];
};

}  // namespace emulated

using __m128 = emulated::Lanes<float, 4>;
using __m256 = emulated::Lanes<float, 8>;
using __m512 = emulated::Lanes<float, 16>;
using __m128i = emulated::Lanes<uint8_t, 16>;
using __m256i = emulated::Lanes<uint8_t, 32>;
using __m512i = emulated::Lanes<uint8_t, 64>;
using __m512bh = emulated::Lanes<BFloat16, 32>;
using __mmask16 = uint16_t;
inline constexpr int _CMP_LT_OQ = 17;

namespace emulated {

// The same bits as lanes of another type.
template <class To, class From>
inline To As(const From& x) {
  static_assert(sizeof(To) == sizeof(From));
  To y;
  std::memcpy(&y, &x, sizeof y);
  return y;
}
template <class T, class Register>
using LanesOf = Lanes<T, sizeof(Register) / sizeof(T)>;

template <class Register>
inline Register Load(const void* p) {
  Register x;
  std::memcpy(&x, p, sizeof x);
  return x;
}
template <class Register, class T>
inline Register Broadcast(T value) {
  LanesOf<T, Register> x;
  for (T& lane : x.v) lane = value;
  return As<Register>(x);
}

// f of lanes of T.
template <class T, class Register, class Function>
inline Register Map(const Register& a, const Register& b, Function f) {
  auto x = As<LanesOf<T, Register>>(a);
  const auto y = As<LanesOf<T, Register>>(b);
  for (size_t i = 0; i < sizeof(Register) / sizeof(T); ++i) {
    x.v[i] = static_cast<T>(f(x.v[i], y.v[i]));
  }
  return As<Register>(x);
}
template <class T, class Register, class Function>
inline Register Map(const Register& a, Function f) {
  return Map<T>(a, a, [f](T x, T) { return f(x); });
}
// Lanes of From become as many of To.
template <class Register, class To, class From, class Source>
inline Register Convert(const Source& source) {
  const auto x = As<LanesOf<From, Source>>(source);
  LanesOf<To, Register> y;
  static_assert(sizeof(Register) / sizeof(To) == sizeof(Source) / sizeof(From));
  for (size_t i = 0; i < sizeof(Register) / sizeof(To); ++i) y.v[i] = static_cast<To>(x.v[i]);
  return As<Register>(y);
}
template <class Register, class Source>
inline Register Part(const Source& x, int index) {
  return Load<Register>(reinterpret_cast<const uint8_t*>(&x) +
                        static_cast<size_t>(index) * sizeof(Register));
}

// Products of bf16 know no subnormal numbers.
inline float Flush(float x) { return std::fabs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x; }
inline float AddProduct(float sum, float a, float b) {
  return Flush(std::fma(Flush(a), Flush(b), Flush(sum)));
}

inline void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace emulated

// 128 and 256 bits, where kernels for 512 use them.
inline __m128 _mm_add_ps(__m128 a, __m128 b) {
  return emulated::Map<float>(a, b, [](float x, float y) { return x + y; });
}
inline __m128 _mm_max_ps(__m128 a, __m128 b) {
  return emulated::Map<float>(a, b, [](float x, float y) { return x > y ? x : y; });
}
inline __m128 _mm_add_ss(__m128 a, __m128 b) {
  a.v[0] += b.v[0];
  return a;
}
inline __m128 _mm_max_ss(__m128 a, __m128 b) {
  a.v[0] = a.v[0] > b.v[0] ? a.v[0] : b.v[0];
  return a;
}
inline __m128 _mm_movehl_ps(__m128 a, __m128 b) { return {{b.v[2], b.v[3], a.v[2], a.v[3]}}; }
inline __m128 _mm_movehdup_ps(__m128 a) { return {{a.v[1], a.v[1], a.v[3], a.v[3]}}; }
inline float _mm_cvtss_f32(__m128 a) { return a.v[0]; }
inline __m128i _mm_cvtsi32_si128(int a) {
  __m128i r = {};
  std::memcpy(&r, &a, sizeof a);
  return r;
}
inline __m128i _mm_loadu_si128(const __m128i* p) { return emulated::Load<__m128i>(p); }
inline void _mm_storeu_si128(__m128i* p, __m128i a) { std::memcpy(p, &a, sizeof a); }
inline __m256 _mm256_add_ps(__m256 a, __m256 b) {
  return emulated::Map<float>(a, b, [](float x, float y) { return x + y; });
}
inline __m256 _mm256_max_ps(__m256 a, __m256 b) {
  return emulated::Map<float>(a, b, [](float x, float y) { return x > y ? x : y; });
}
inline __m128 _mm256_castps256_ps128(__m256 a) { return emulated::Part<__m128>(a, 0); }
inline __m128 _mm256_extractf128_ps(__m256 a, int part) { return emulated::Part<__m128>(a, part); }
inline __m256i _mm256_loadu_si256(const __m256i* p) { return emulated::Load<__m256i>(p); }
inline void _mm256_storeu_si256(__m256i* p, __m256i a) { std::memcpy(p, &a, sizeof a); }

// Loads and stores.
inline __m512 _mm512_loadu_ps(const void* p) { return emulated::Load<__m512>(p); }
inline __m512i _mm512_loadu_si512(const void* p) { return emulated::Load<__m512i>(p); }
inline void _mm512_storeu_ps(void* p, __m512 a) { std::memcpy(p, &a, sizeof a); }
inline void _mm512_storeu_si512(void* p, __m512i a) { std::memcpy(p, &a, sizeof a); }
inline __m512 _mm512_mask_loadu_ps(__m512 a, __mmask16 mask, const void* p) {
  for (size_t i = 0; i < 16; ++i) {
    if (mask >> i & 1) std::memcpy(&a.v[i], static_cast<const float*>(p) + i, sizeof(float));
  }
  return a;
}
inline void _mm512_mask_storeu_ps(void* p, __mmask16 mask, __m512 a) {
  for (size_t i = 0; i < 16; ++i) {
    if (mask >> i & 1) std::memcpy(static_cast<float*>(p) + i, &a.v[i], sizeof(float));
  }
}
inline __m512 _mm512_set1_ps(float x) { return emulated::Broadcast<__m512>(x); }
inline __m512i _mm512_set1_epi32(int32_t x) { return emulated::Broadcast<__m512i>(x); }
inline __m512i _mm512_set1_epi8(int8_t x) { return emulated::Broadcast<__m512i>(x); }

// The same bits, and other types.
inline __m512i _mm512_castps_si512(__m512 a) { return emulated::As<__m512i>(a); }
inline __m512 _mm512_castsi512_ps(__m512i a) { return emulated::As<__m512>(a); }
inline __m256 _mm512_castps512_ps256(__m512 a) { return emulated::Part<__m256>(a, 0); }
inline __m256 _mm512_extractf32x8_ps(__m512 a, int part) { return emulated::Part<__m256>(a, part); }
inline __m512 _mm512_cvtepi32_ps(__m512i a) { return emulated::Convert<__m512, float, int32_t>(a); }
inline __m512i _mm512_cvtps_epi32(__m512 a) {
  return emulated::Convert<__m512i, int32_t, float>(
      emulated::Map<float>(a, [](float x) { return std::nearbyint(x); }));
}
inline __m512i _mm512_cvtepi8_epi32(__m128i a) {
  return emulated::Convert<__m512i, int32_t, int8_t>(a);
}
inline __m512i _mm512_cvtepu16_epi32(__m256i a) {
  return emulated::Convert<__m512i, uint32_t, uint16_t>(a);
}
inline __m256i _mm512_cvtepi32_epi16(__m512i a) {
  return emulated::Convert<__m256i, uint16_t, uint32_t>(a);
}
inline __m128i _mm512_cvtepi32_epi8(__m512i a) {
  return emulated::Convert<__m128i, uint8_t, uint32_t>(a);
}
inline __m512 _mm512_cvtph_ps(__m256i a) { return emulated::Convert<__m512, float, Float16>(a); }

// Quarters of a, two of them, then of b; so of each quarter its lanes.
inline __m512 _mm512_shuffle_f32x4(__m512 a, __m512 b, int order) {
  __m512 r;
  for (size_t i = 0; i < 16; ++i) {
    r.v[i] = (i < 8 ? a : b).v[static_cast<size_t>(order >> i / 4 * 2 & 3) * 4 + i % 4];
  }
  return r;
}
inline __m512 _mm512_shuffle_ps(__m512 a, __m512 b, int order) {
  __m512 r;
  for (size_t i = 0; i < 16; ++i) {
    r.v[i] = (i % 4 < 2 ? a : b).v[i / 4 * 4 + static_cast<size_t>(order >> i % 4 * 2 & 3)];
  }
  return r;
}

// Floats.  The second operand wins where one is NaN or both are zero.
inline __m512 _mm512_add_ps(__m512 a, __m512 b) {
  return emulated::Map<float>(a, b, [](float x, float y) { return x + y; });
}
inline __m512 _mm512_sub_ps(__m512 a, __m512 b) {
  return emulated::Map<float>(a, b, [](float x, float y) { return x - y; });
}
inline __m512 _mm512_mul_ps(__m512 a, __m512 b) {
  return emulated::Map<float>(a, b, [](float x, float y) { return x * y; });
}
inline __m512 _mm512_div_ps(__m512 a, __m512 b) {
  return emulated::Map<float>(a, b, [](float x, float y) { return x / y; });
}
inline __m512 _mm512_max_ps(__m512 a, __m512 b) {
  return emulated::Map<float>(a, b, [](float x, float y) { return x > y ? x : y; });
}
inline __m512 _mm512_min_ps(__m512 a, __m512 b) {
  return emulated::Map<float>(a, b, [](float x, float y) { return x < y ? x : y; });
}
inline __m512 _mm512_fmadd_ps(__m512 a, __m512 b, __m512 c) {
  for (size_t i = 0; i < 16; ++i) c.v[i] = std::fma(a.v[i], b.v[i], c.v[i]);
  return c;
}
inline __m512 _mm512_scalef_ps(__m512 a, __m512 b) {
  return emulated::Map<float>(a, b, [](float x, float y) {
    return std::isnan(y) ? y : std::scalbn(x, static_cast<int>(std::floor(y)));
  });
}
inline __mmask16 _mm512_cmp_ps_mask(__m512 a, __m512 b, int predicate) {
  emulated::Require(predicate == _CMP_LT_OQ);
  unsigned mask = 0;
  for (size_t i = 0; i < 16; ++i) mask |= static_cast<unsigned>(a.v[i] < b.v[i]) << i;
  return static_cast<__mmask16>(mask);
}
inline __m512 _mm512_mask_blend_ps(__mmask16 mask, __m512 a, __m512 b) {
  for (size_t i = 0; i < 16; ++i) a.v[i] = mask >> i & 1 ? b.v[i] : a.v[i];
  return a;
}

// Bits and integers.
inline __m512 _mm512_and_ps(__m512 a, __m512 b) {
  return emulated::Map<uint32_t>(a, b, [](uint32_t x, uint32_t y) { return x & y; });
}
inline __m512 _mm512_or_ps(__m512 a, __m512 b) {
  return emulated::Map<uint32_t>(a, b, [](uint32_t x, uint32_t y) { return x | y; });
}
inline __m512 _mm512_andnot_ps(__m512 a, __m512 b) {
  return emulated::Map<uint32_t>(a, b, [](uint32_t x, uint32_t y) { return ~x & y; });
}
inline __m512i _mm512_and_si512(__m512i a, __m512i b) {
  return emulated::Map<uint32_t>(a, b, [](uint32_t x, uint32_t y) { return x & y; });
}
inline __m512i _mm512_or_si512(__m512i a, __m512i b) {
  return emulated::Map<uint32_t>(a, b, [](uint32_t x, uint32_t y) { return x | y; });
}
inline __m512i _mm512_add_epi32(__m512i a, __m512i b) {
  return emulated::Map<uint32_t>(a, b, [](uint32_t x, uint32_t y) { return x + y; });
}
inline __m512i _mm512_add_epi8(__m512i a, __m512i b) {
  return emulated::Map<uint8_t>(a, b, [](uint8_t x, uint8_t y) { return x + y; });
}
inline __m512i _mm512_mullo_epi16(__m512i a, __m512i b) {
  return emulated::Map<uint16_t>(a, b, [](uint32_t x, uint32_t y) { return x * y; });
}
inline __m512i _mm512_sub_epi8(__m512i a, __m512i b) {
  return emulated::Map<uint8_t>(a, b, [](uint8_t x, uint8_t y) { return x - y; });
}
inline __m512i _mm512_slli_epi32(__m512i a, unsigned count) {
  return emulated::Map<uint32_t>(a, [=](uint32_t x) { return count < 32 ? x << count : 0; });
}
inline __m512i _mm512_srli_epi32(__m512i a, unsigned count) {
  return emulated::Map<uint32_t>(a, [=](uint32_t x) { return count < 32 ? x >> count : 0; });
}
inline __m512i _mm512_srli_epi16(__m512i a, unsigned count) {
  return emulated::Map<uint16_t>(a, [=](uint16_t x) { return count < 16 ? x >> count : 0; });
}
inline __mmask16 _mm512_test_epi32_mask(__m512i a, __m512i b) {
  const auto bits = emulated::As<emulated::Lanes<uint32_t, 16>>(_mm512_and_si512(a, b));
  unsigned mask = 0;
  for (size_t i = 0; i < 16; ++i) mask |= static_cast<unsigned>(bits.v[i] != 0) << i;
  return static_cast<__mmask16>(mask);
}
inline __m512i _mm512_srl_epi32(__m512i a, __m128i count) {
  const auto words = emulated::As<emulated::Lanes<uint64_t, 2>>(count);
  return _mm512_srli_epi32(a, words.v[0] < 32 ? static_cast<unsigned>(words.v[0]) : 32);
}

// VNNI: unsigned bytes times signed ones.
inline __m512i _mm512_dpbusd_epi32(__m512i sum, __m512i a, __m512i b) {
  auto r = emulated::As<emulated::Lanes<uint32_t, 16>>(sum);
  for (size_t i = 0; i < 64; ++i) {
    r.v[i / 4] += static_cast<uint32_t>(a.v[i] * static_cast<int8_t>(b.v[i]));
  }
  return emulated::As<__m512i>(r);
}

// BF16.  The input with the odd number is added first.
inline __m512 _mm512_dpbf16_ps(__m512 sum, __m512bh a, __m512bh b) {
  for (size_t i = 0; i < 16; ++i) {
    const float odd = emulated::AddProduct(sum.v[i], a.v[2 * i + 1], b.v[2 * i + 1]);
    sum.v[i] = emulated::AddProduct(odd, a.v[2 * i], b.v[2 * i]);
  }
  return sum;
}

// AMX: eight tiles of up to 16 rows of up to 64 bytes, of each thread.
namespace emulated {

struct Tiles {
  bool configured = false;
  uint16_t row_bytes[8];
  uint8_t rows[8];
  uint8_t data[8][16][64];
};
inline thread_local Tiles tiles;

inline void RequireTile(int tile) {
  Require(tiles.configured && tile >= 0 && tile < 8 && tiles.rows[tile] > 0);
}

// sum[m][n] += dot(a[m][k], b[k][n]) of elements of four bytes.
template <class Dot>
void TileProduct(int sum, int a, int b, Dot dot) {
  RequireTile(sum);
  RequireTile(a);
  RequireTile(b);
  Require(sum != a && sum != b && a != b);
  Require(tiles.rows[sum] == tiles.rows[a] && tiles.row_bytes[sum] == tiles.row_bytes[b]);
  Require(tiles.row_bytes[a] == 4 * tiles.rows[b]);
  for (size_t m = 0; m < tiles.rows[sum]; ++m) dot(m);
}
template <class A, class B>
void TileProductOfBytes(int sum, int a, int b) {
  TileProduct(sum, a, b, [=](size_t m) {
    for (size_t n = 0; n < tiles.row_bytes[b] / 4u; ++n) {
      uint32_t total;
      std::memcpy(&total, tiles.data[sum][m] + 4 * n, sizeof total);
      for (size_t i = 0; i < tiles.row_bytes[a]; ++i) {
        const auto x = static_cast<A>(tiles.data[a][m][i]);
        const auto y = static_cast<B>(tiles.data[b][i / 4][4 * n + i % 4]);
        total += static_cast<uint32_t>(x * y);
      }
      std::memcpy(tiles.data[sum][m] + 4 * n, &total, sizeof total);
    }
  });
}

}  // namespace emulated

inline void _tile_loadconfig(const void* config) {
  using emulated::Require;
  using emulated::tiles;
  const auto* bytes = static_cast<const uint8_t*>(config);
  Require(bytes[0] == 1 && bytes[1] == 0);  // the palette; the row to go on with
  for (int i = 2; i < 16; ++i) Require(bytes[i] == 0);
  for (int i = 32; i < 48; ++i) Require(bytes[i] == 0);  // of tiles that are not
  for (int i = 56; i < 64; ++i) Require(bytes[i] == 0);
  tiles = {};
  tiles.configured = true;
  std::memcpy(tiles.row_bytes, bytes + 16, sizeof tiles.row_bytes);
  std::memcpy(tiles.rows, bytes + 48, sizeof tiles.rows);
  for (int i = 0; i < 8; ++i) {
    Require(tiles.rows[i] <= 16 && tiles.row_bytes[i] <= 64);
    Require((tiles.rows[i] == 0) == (tiles.row_bytes[i] == 0));
  }
}
inline void _tile_release() { emulated::tiles.configured = false; }
inline void _tile_zero(int tile) {
  emulated::RequireTile(tile);
  std::memset(emulated::tiles.data[tile], 0, sizeof emulated::tiles.data[tile]);
}
inline void _tile_loadd(int tile, const void* base, size_t stride) {
  _tile_zero(tile);
  for (size_t i = 0; i < emulated::tiles.rows[tile]; ++i) {
    std::memcpy(emulated::tiles.data[tile][i], static_cast<const uint8_t*>(base) + i * stride,
                emulated::tiles.row_bytes[tile]);
  }
}
inline void _tile_stored(int tile, void* base, size_t stride) {
  emulated::RequireTile(tile);
  for (size_t i = 0; i < emulated::tiles.rows[tile]; ++i) {
    std::memcpy(static_cast<uint8_t*>(base) + i * stride, emulated::tiles.data[tile][i],
                emulated::tiles.row_bytes[tile]);
  }
}
inline void _tile_dpbssd(int sum, int a, int b) {
  emulated::TileProductOfBytes<int8_t, int8_t>(sum, a, b);
}
inline void _tile_dpbsud(int sum, int a, int b) {
  emulated::TileProductOfBytes<int8_t, uint8_t>(sum, a, b);
}

// Chains of the even and of the odd numbers, from 0; their sum is added to what is there.
inline void _tile_dpbf16ps(int sum, int a, int b) {
  using emulated::tiles;
  emulated::TileProduct(sum, a, b, [=](size_t m) {
    for (size_t n = 0; n < tiles.row_bytes[b] / 4u; ++n) {
      float part[2] = {0, 0};
      for (size_t i = 0; i < tiles.row_bytes[a] / 2u; ++i) {
        BFloat16 x, y;
        std::memcpy(&x, tiles.data[a][m] + 2 * i, sizeof x);
        std::memcpy(&y, tiles.data[b][i / 2] + 4 * n + 2 * (i % 2), sizeof y);
        part[i % 2] = emulated::AddProduct(part[i % 2], x, y);
      }
      float total;
      std::memcpy(&total, tiles.data[sum][m] + 4 * n, sizeof total);
      total = emulated::Flush(emulated::Flush(total) + emulated::Flush(part[0] + part[1]));
      std::memcpy(tiles.data[sum][m] + 4 * n, &total, sizeof total);
    }
  });
}

}  // namespace rushlight::kernels
