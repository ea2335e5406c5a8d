// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Instruction sets that kernels are written for.  A family of kernels has a constexpr table with a
// row for each (PerIsa); whoever owns the kernels' callers chooses once:
//
//   const Isa isa = ChooseIsa(platform::CpuFeatures(), platform::Setting("RUSHLIGHT_ISA"));
//   const Matmul& matmul = kMatmuls[isa];
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "rushlight/cpu_features.h"

namespace rushlight::kernels {

// From what always works to what is best, for one architecture at a time.
enum class Isa : uint8_t {
  kScalar,
  kAvx2,
  kAvx2Vnni,
  kAvx512,
  kAvx512Vnni,
  kAvx512Bf16,
  kAmx,
  kNeon,
  kNeonDot,
  kNeonI8mm,
};

struct IsaInfo {
  const char* name;
  uint32_t needs;  // bits of rushlight/cpu_features.h
};

inline constexpr IsaInfo kIsas[] = {
    {"scalar", 0},
    {"avx2", kCpuAvx2},
    {"avx2vnni", kCpuAvx2 | kCpuAvxVnni},
    {"avx512", kCpuAvx2 | kCpuAvx512},
    {"avx512vnni", kCpuAvx2 | kCpuAvx512 | kCpuAvx512Vnni},
    {"avx512bf16", kCpuAvx2 | kCpuAvx512 | kCpuAvx512Vnni | kCpuAvx512Bf16},
    {"amx", kCpuAvx2 | kCpuAvx512 | kCpuAvx512Vnni | kCpuAvx512Bf16 | kCpuAmx},
    {"neon", kCpuNeon},
    {"neondot", kCpuNeon | kCpuNeonDot},
    {"neoni8mm", kCpuNeon | kCpuNeonDot | kCpuNeonI8mm},
};
inline constexpr size_t kIsaCount = sizeof(kIsas) / sizeof(kIsas[0]);
static_assert(kIsaCount == static_cast<size_t>(Isa::kNeonI8mm) + 1);

constexpr const IsaInfo& Info(Isa isa) { return kIsas[static_cast<size_t>(isa)]; }

constexpr bool CanRun(Isa isa, uint32_t features) {
  return (features & Info(isa).needs) == Info(isa).needs;
}

// The place in kIsas of a name; kIsaCount if it is none.
inline size_t PlaceOfIsa(const char* name) {
  size_t i = 0;
  while (i < kIsaCount && std::strcmp(name, kIsas[i].name) != 0) ++i;
  return i;
}

// The best that the CPU can run and that is not above `cap`, a name; null or a name that is none:
// no cap.
inline Isa ChooseIsa(uint32_t features, const char* cap) {
  size_t last = cap == nullptr ? kIsaCount : PlaceOfIsa(cap);
  if (last == kIsaCount) --last;
  while (!CanRun(static_cast<Isa>(last), features)) --last;  // scalar needs nothing
  return static_cast<Isa>(last);
}

// A row of a family's table for each instruction set.
template <class Row>
struct PerIsa {
  Row rows[kIsaCount];

  constexpr const Row& operator[](Isa isa) const { return rows[static_cast<size_t>(isa)]; }
};

}  // namespace rushlight::kernels
