// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// What a machine can do at this moment, one thread: for benchmarks that state a share of it.
#pragma once

#include <time.h>

#include <algorithm>
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

// The shortest time of a call, in seconds: noise only ever adds.
template <class Function>
double Fastest(Function function) {
  double fastest = 1e9;
  const double begin = Now();
  for (int i = 0; i < 5 || Now() - begin < 0.25; ++i) {
    const double start = Now();
    function();
    fastest = std::min(fastest, Now() - start);
  }
  return fastest;
}

// Chains(n): n steps of kChains independent multiply-adds of sixteen.  ReadAll: n floats.
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
    F32x16 sum[4] = {Set(0), Set(0), Set(0), Set(0)};                      \
    for (size_t i = 0; i + 64 <= n; i += 64) {                             \
      RUSHLIGHT_UNROLL                                                     \
      for (int j = 0; j < 4; ++j) sum[j] = sum[j] + Load(p + i + 16 * j);  \
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

inline volatile float sink;

struct Roofline {
  double gflops;     // 10^9 additions and multiplications a second in registers
  double gigabytes;  // read from a buffer, a second
};

// Over the n floats of a buffer that is larger than the caches, or as large as what it is
// compared with.
inline Roofline MeasureRoofline(Isa isa, const float* p, size_t n) {
  constexpr size_t kSteps = 100000;
  Roofline result;
#define RUSHLIGHT_MEASURE(name)                                                                  \
  result.gflops = kSteps * 32e-9 * name::kChains / Fastest([] { sink = name::Chains(kSteps); }); \
  result.gigabytes = n * 4e-9 / Fastest([=] { sink = name::ReadAll(p, n); })
#if defined(__x86_64__)
  if (isa >= Isa::kAvx512 && isa <= Isa::kAmx) {
    RUSHLIGHT_MEASURE(avx512);
    return result;
  }
  if (isa >= Isa::kAvx2 && isa <= Isa::kAmx) {
    RUSHLIGHT_MEASURE(avx2);
    return result;
  }
#elif defined(__aarch64__)
  if (isa >= Isa::kNeon) {
    RUSHLIGHT_MEASURE(neon);
    return result;
  }
#endif
  (void)isa;
  RUSHLIGHT_MEASURE(scalar);
#undef RUSHLIGHT_MEASURE
  return result;
}

}  // namespace rushlight::kernels
