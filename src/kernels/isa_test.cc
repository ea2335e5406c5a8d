// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/isa.h"

#include <gtest/gtest.h>

#include "rushlight/platform.h"

namespace rushlight::kernels {
namespace {

constexpr uint32_t kIceLake = kCpuAvx2 | kCpuAvx512 | kCpuAvx512Vnni;
constexpr uint32_t kZen5 = kCpuAvx2 | kCpuAvxVnni | kCpuAvx512 | kCpuAvx512Vnni | kCpuAvx512Bf16;

TEST(Isa, TheBestThatTheCpuHas) {
  EXPECT_EQ(ChooseIsa(0, nullptr), Isa::kScalar);
  EXPECT_EQ(ChooseIsa(kCpuAvx2, nullptr), Isa::kAvx2);
  EXPECT_EQ(ChooseIsa(kCpuAvx2 | kCpuAvxVnni, nullptr), Isa::kAvx2Vnni);
  EXPECT_EQ(ChooseIsa(kCpuAvx2 | kCpuAvx512, nullptr), Isa::kAvx512);
  EXPECT_EQ(ChooseIsa(kIceLake, nullptr), Isa::kAvx512Vnni);
  EXPECT_EQ(ChooseIsa(kZen5, nullptr), Isa::kAvx512Bf16);
  EXPECT_EQ(ChooseIsa(kZen5 | kCpuAmx, nullptr), Isa::kAmx);
  EXPECT_EQ(ChooseIsa(kCpuNeon, nullptr), Isa::kNeon);
  EXPECT_EQ(ChooseIsa(kCpuNeon | kCpuNeonDot | kCpuNeonI8mm, nullptr), Isa::kNeonI8mm);
  EXPECT_EQ(ChooseIsa(kCpuAvx512Vnni, nullptr), Isa::kScalar);  // nothing that it builds on
}

TEST(Isa, NoneAboveTheCap) {
  EXPECT_EQ(ChooseIsa(kZen5, "avx512vnni"), Isa::kAvx512Vnni);
  EXPECT_EQ(ChooseIsa(kZen5, "avx512"), Isa::kAvx512);
  EXPECT_EQ(ChooseIsa(kZen5, "avx2"), Isa::kAvx2);
  EXPECT_EQ(ChooseIsa(kZen5, "scalar"), Isa::kScalar);
  EXPECT_EQ(ChooseIsa(kCpuAvx2, "amx"), Isa::kAvx2);
  EXPECT_EQ(ChooseIsa(kCpuNeon | kCpuNeonDot, "neon"), Isa::kNeon);
  EXPECT_EQ(ChooseIsa(kZen5, "none of them"), Isa::kAvx512Bf16);
  EXPECT_EQ(ChooseIsa(kZen5, ""), Isa::kAvx512Bf16);
}

TEST(Isa, ThisCpu) {
  const uint32_t features = platform::CpuFeatures();
  EXPECT_TRUE(CanRun(ChooseIsa(features, nullptr), features));
#if defined(__aarch64__)
  EXPECT_TRUE(features & kCpuNeon);
#elif !defined(__x86_64__)
  EXPECT_EQ(features, 0u);
#endif
}

}  // namespace
}  // namespace rushlight::kernels
