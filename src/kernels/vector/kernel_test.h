// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// What the tests of kernels share.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "rushlight/platform.h"
#include "src/kernels/isa.h"

namespace rushlight::kernels {

// The instruction sets that this CPU runs, and those that are emulated; says which are not run.
inline const std::vector<Isa>& RunnableIsas() {
  static const std::vector<Isa> isas = [] {
    uint32_t features = platform::CpuFeatures();
#ifdef RUSHLIGHT_EMULATED  // src/kernels/emulated
    features |= kCpuAvxVnni | kCpuAvx512 | kCpuAvx512Vnni | kCpuAvx512Bf16 | kCpuAmx;
#endif
    std::vector<Isa> runnable;
    for (size_t i = 0; i < kIsaCount; ++i) {
      const Isa isa = static_cast<Isa>(i);
      if (CanRun(isa, features)) {
        runnable.push_back(isa);
      } else {
        std::printf("not run: kernels for %s\n", Info(isa).name);
      }
    }
    return runnable;
  }();
  return isas;
}

inline std::vector<float> RandomFloats(size_t n, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> x(n);
  for (float& v : x) v = normal(random);
  return x;
}

// Any bits: many of them NaN, infinite or subnormal.
inline std::vector<float> HostileFloats(size_t n, std::mt19937& random) {
  std::vector<float> x(n);
  for (float& v : x) {
    uint32_t bits = static_cast<uint32_t>(random());
    switch (random() % 4) {
      case 0:
        bits |= 0x7f800000u;
        break;
      case 1:
        bits = 0x7f800000u | (bits & 0x80000000u);
        break;
      case 2:
        bits &= 0x807fffffu;
        break;
    }
    std::memcpy(&v, &bits, sizeof v);
  }
  return x;
}

// One NaN is as good as another.
inline void ExpectSameBits(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    ASSERT_EQ(std::memcmp(&a[i], &b[i], sizeof a[i]), 0) << i << ": " << a[i] << " " << b[i];
  }
}

}  // namespace rushlight::kernels
