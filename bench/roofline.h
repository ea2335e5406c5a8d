// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// What a machine can do at this moment, one thread: for benchmarks that state a share of it.
#pragma once

#include <time.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "src/kernels/isa.h"
#include "src/kernels/vector/scalar.h"
#if defined(__x86_64__)
#include "src/kernels/vector/avx2.h"
#include "src/kernels/vector/avx512.h"
#elif defined(__aarch64__)
#include "src/kernels/vector/neon.h"
#endif

namespace rushlight::kernels {

// Seconds of this thread, without those that others had the CPU.
inline double Now() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// The shortest time of a call of each, in seconds: noise only ever adds.  They are called by turns,
// so that a machine that is slow for a while is slow for all.
template <class... Functions>
std::array<double, sizeof...(Functions)> FastestByTurns(double seconds, Functions... functions) {
  std::array<double, sizeof...(Functions)> fastest;
  fastest.fill(1e9);
  const auto time = [](auto& function, double* best) {
    const double start = Now();
    function();
    *best = std::min(*best, Now() - start);
  };
  const double begin = Now();
  for (int i = 0; i < 3 || Now() - begin < seconds; ++i) {
    double* best = fastest.data();
    (time(functions, best++), ...);
  }
  return fastest;
}

template <class Function>
double Fastest(Function function) {
  return FastestByTurns(0.25, function)[0];
}

// Chains(n): n steps of kChains independent multiply-adds of sixteen.  ReadAll: n floats, as four
// streams: a core takes more from memory than along one.
#define RUSHLIGHT_ROOFLINE(isa, chains)                                    \
  namespace isa {                                                          \
  inline constexpr int kChains = chains;                                   \
  inline float Chains(size_t steps) {                                      \
    F32x16 sum[kChains];                                                   \
    for (int c = 0; c < kChains; ++c) sum[c] = Set(static_cast<float>(c)); \
    const F32x16 a = Set(0.999f), b = Set(0.001f);                         \
    for (size_t i = 0; i < steps; ++i) {                                   \
      RUSHLIGHT_UNROLL                                                     \
      for (int c = 0; c < kChains; ++c) sum[c] = MulAdd(sum[c], a, b);     \
    }                                                                      \
    F32x16 all = sum[0];                                                   \
    for (int c = 1; c < kChains; ++c) all = all + sum[c];                  \
    return Sum(all);                                                       \
  }                                                                        \
  inline float ReadAll(const float* p, size_t n) {                         \
    constexpr size_t kStreams = 4, kStep = 64;                             \
    const size_t part = n / kStreams / kStep * kStep;                      \
    F32x16 sum[kStreams] = {Set(0), Set(0), Set(0), Set(0)};               \
    for (size_t i = 0; i < part; i += kStep) {                             \
      for (size_t s = 0; s < kStreams; ++s) {                              \
        RUSHLIGHT_UNROLL                                                   \
        for (size_t j = 0; j < kStreams; ++j) {                            \
          sum[j] = sum[j] + Load(p + s * part + i + 16 * j);               \
        }                                                                  \
      }                                                                    \
    }                                                                      \
    return Sum((sum[0] + sum[1]) + (sum[2] + sum[3]));                     \
  }                                                                        \
  }

RUSHLIGHT_ROOFLINE(scalar, 1)
#if defined(__x86_64__)
RUSHLIGHT_TARGET_AVX2
RUSHLIGHT_ROOFLINE(avx2, 6)
RUSHLIGHT_TARGET_END
RUSHLIGHT_TARGET_AVX512
RUSHLIGHT_ROOFLINE(avx512, 12)
RUSHLIGHT_TARGET_END
#elif defined(__aarch64__)
RUSHLIGHT_ROOFLINE(neon, 4)
#endif

// IntegerChains(n): n steps of independent chains of dot products of bytes, kIntegerStep
// multiplications and additions a step; `product` takes `bytes` pairs.  The barriers keep the
// compiler from computing anything beforehand.
#define RUSHLIGHT_INTEGER_ROOFLINE(isa, Vector, kind, chains, bytes, product) \
  namespace isa {                                                             \
  inline constexpr double kIntegerStep = 2.0 * chains * bytes;                \
  inline float IntegerChains(size_t steps) {                                  \
    Vector sum[chains], a = {}, b = {};                                       \
    RUSHLIGHT_UNROLL                                                          \
    for (int c = 0; c < chains; ++c) sum[c] = Vector{};                       \
    __asm__("" : "+" kind(a), "+" kind(b));                                   \
    for (size_t i = 0; i < steps; ++i) {                                      \
      RUSHLIGHT_UNROLL                                                        \
      for (int c = 0; c < chains; ++c) {                                      \
        sum[c] = product(sum[c], a, b);                                       \
        __asm__("" : "+" kind(sum[c]), "+" kind(a));                          \
      }                                                                       \
    }                                                                         \
    return static_cast<float>(reinterpret_cast<const char*>(sum)[0]);         \
  }                                                                           \
  }

#if defined(__x86_64__)
RUSHLIGHT_TARGET_AVX2
// Without an instruction for it: pairs to 16 bits, pairs of those to 32.
RUSHLIGHT_INLINE __m256i DotAvx2(__m256i sum, __m256i a, __m256i b) {
  const __m256i pairs = _mm256_maddubs_epi16(a, b);
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
// Products with four bits may be added in 16, eight times before a sum has to be widened.
RUSHLIGHT_INLINE __m256i DotNibblesAvx2(__m256i sum, __m256i a, __m256i b) {
  __m256i pairs = _mm256_maddubs_epi16(a, b);
  RUSHLIGHT_UNROLL
  for (int i = 1; i < 8; ++i) {
    __asm__("" : "+x"(a));
    pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(a, b));
  }
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
RUSHLIGHT_INTEGER_ROOFLINE(avx2, __m256i, "x", 8, 32, DotAvx2)
RUSHLIGHT_INTEGER_ROOFLINE(avx2nibbles, __m256i, "x", 8, 256, DotNibblesAvx2)
RUSHLIGHT_TARGET_END
RUSHLIGHT_TARGET("avx2,avxvnni")
RUSHLIGHT_INTEGER_ROOFLINE(avx2vnni, __m256i, "x", 12, 32, _mm256_dpbusd_avx_epi32)
RUSHLIGHT_TARGET_END
RUSHLIGHT_TARGET("avx2,avx512f,avx512bw,avx512vnni")
RUSHLIGHT_INTEGER_ROOFLINE(avx512vnni, __m512i, "v", 16, 64, _mm512_dpbusd_epi32)
RUSHLIGHT_TARGET_END
RUSHLIGHT_TARGET("amx-tile,amx-int8")
namespace amx {
inline constexpr double kIntegerStep = 4 * 2.0 * 16 * 16 * 64;
// Four sums of two tiles with rows and two with weights.  Requires: tiles are allowed, as
// platform::CpuFeatures() asks for.
inline float IntegerChains(size_t steps) {
  struct alignas(64) {
    uint8_t palette = 1, unused[15] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } const config;
  alignas(64) int32_t sums[16 * 16];
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (size_t i = 0; i < steps; ++i) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
  _tile_stored(0, sums, 64);
  _tile_release();
  return static_cast<float>(sums[0]);
}
}  // namespace amx
RUSHLIGHT_TARGET_END
#elif defined(__aarch64__)
// In assembly, for compilers that declare the intrinsics only where a whole file may use them.
RUSHLIGHT_INLINE int32x4_t DotNeon(int32x4_t sum, int32x4_t a, int32x4_t b) {
  const int8x16_t x = vreinterpretq_s8_s32(a), y = vreinterpretq_s8_s32(b);
  const int16x8_t pairs = vmull_s8(vget_low_s8(x), vget_low_s8(y));
  return vpadalq_s16(sum, vmlal_high_s8(pairs, x, y));
}
RUSHLIGHT_INLINE int32x4_t DotNeonDot(int32x4_t sum, int32x4_t a, int32x4_t b) {
  __asm__(".arch armv8.2-a+dotprod\n\tsdot %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(a), "w"(b));
  return sum;
}
RUSHLIGHT_INLINE int32x4_t DotNeonI8mm(int32x4_t sum, int32x4_t a, int32x4_t b) {
  __asm__(".arch armv8.2-a+i8mm\n\tsmmla %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(a), "w"(b));
  return sum;
}
RUSHLIGHT_INTEGER_ROOFLINE(neon, int32x4_t, "w", 12, 16, DotNeon)
RUSHLIGHT_INTEGER_ROOFLINE(neondot, int32x4_t, "w", 12, 16, DotNeonDot)
RUSHLIGHT_INTEGER_ROOFLINE(neoni8mm, int32x4_t, "w", 12, 32, DotNeonI8mm)
#endif

inline volatile float sink;

// Loops that do nothing but what an instruction set is best at.
struct Chains {
  float (*run)(size_t steps);  // null: there is none
  double step;                 // additions and multiplications
  const char* name;

  static constexpr size_t kSteps = 20000;
  double operations() const { return step * kSteps; }
  void operator()() const { sink = run(kSteps); }
};
struct Limits {
  float (*read)(const float*, size_t);
  Chains floats, bytes, nibbles;
};

#define RUSHLIGHT_FLOATS(isa) \
  { isa::Chains, 32.0 * isa::kChains, "multiply-adds" }
#define RUSHLIGHT_INTEGERS(isa, name) \
  { isa::IntegerChains, isa::kIntegerStep, name }

inline Limits LimitsOf(Isa isa) {
#if defined(__x86_64__)
  if (isa >= Isa::kAvx512Vnni && isa <= Isa::kAmx) {
    Chains dots = RUSHLIGHT_INTEGERS(avx512vnni, "dpbusd");
    if (isa == Isa::kAmx) dots = RUSHLIGHT_INTEGERS(amx, "tdpbusd");
    return {avx512::ReadAll, RUSHLIGHT_FLOATS(avx512), dots, dots};
  }
  if (isa == Isa::kAvx2Vnni) {
    const Chains dots = RUSHLIGHT_INTEGERS(avx2vnni, "dpbusd");
    return {avx2::ReadAll, RUSHLIGHT_FLOATS(avx2), dots, dots};
  }
  if (isa == Isa::kAvx2 || isa == Isa::kAvx512) {  // products of integers are those of AVX2
    const Chains bytes = RUSHLIGHT_INTEGERS(avx2, "maddubs, madd, add");
    const Chains nibbles = RUSHLIGHT_INTEGERS(avx2nibbles, "8 maddubs added, madd, add");
    if (isa == Isa::kAvx2) return {avx2::ReadAll, RUSHLIGHT_FLOATS(avx2), bytes, nibbles};
    return {avx512::ReadAll, RUSHLIGHT_FLOATS(avx512), bytes, nibbles};
  }
#elif defined(__aarch64__)
  if (isa >= Isa::kNeon) {
    Chains dots = RUSHLIGHT_INTEGERS(neon, "smull, smlal, sadalp");
    if (isa == Isa::kNeonDot) dots = RUSHLIGHT_INTEGERS(neondot, "sdot");
    if (isa == Isa::kNeonI8mm) dots = RUSHLIGHT_INTEGERS(neoni8mm, "smmla");
    return {neon::ReadAll, RUSHLIGHT_FLOATS(neon), dots, dots};
  }
#endif
  (void)isa;
  return {scalar::ReadAll, RUSHLIGHT_FLOATS(scalar), {}, {}};
}
#undef RUSHLIGHT_FLOATS
#undef RUSHLIGHT_INTEGERS

struct Roofline {
  double gflops;     // 10^9 additions and multiplications a second in registers
  double gigabytes;  // read from a buffer, a second
};

// Over the n floats of a buffer that is larger than the caches, or as large as what it is
// compared with.
inline Roofline MeasureRoofline(Isa isa, const float* p, size_t n) {
  const Limits limits = LimitsOf(isa);
  const double gflops = limits.floats.operations() * 1e-9 / Fastest(limits.floats);
  return {gflops, n * 4e-9 / Fastest([&] { sink = limits.read(p, n); })};
}

}  // namespace rushlight::kernels
