// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// What a CPU can do that some of its kind cannot, as bits: what platform::CpuFeatures() answers and
// kernels are chosen by.  A bit is set only if the operating system keeps the registers too.
#pragma once

#include <cstdint>

namespace rushlight {

inline constexpr uint32_t kCpuAvx2 = 1u << 0;        // with FMA and F16C
inline constexpr uint32_t kCpuAvxVnni = 1u << 1;     // the 256-bit form
inline constexpr uint32_t kCpuAvx512 = 1u << 2;      // F, BW, DQ, VL
inline constexpr uint32_t kCpuAvx512Vnni = 1u << 3;  //
inline constexpr uint32_t kCpuAvx512Bf16 = 1u << 4;  //
inline constexpr uint32_t kCpuAmx = 1u << 5;         // tiles, int8 and bf16
inline constexpr uint32_t kCpuNeon = 1u << 6;        //
inline constexpr uint32_t kCpuNeonDot = 1u << 7;     // sdot, udot
inline constexpr uint32_t kCpuNeonI8mm = 1u << 8;    // smmla, usdot
inline constexpr uint32_t kCpuNeonBf16 = 1u << 9;    //

}  // namespace rushlight
