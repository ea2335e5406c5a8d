// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Included once for each instruction set (RUSHLIGHT_ISA), in its target region.

namespace rushlight::kernels::RUSHLIGHT_ISA {
namespace {

// Scales, or minimums, of a group.
RUSHLIGHT_INLINE F32x16 LoadScales(ScaleType type, const uint8_t* p) {
  if (type == ScaleType::kBF16) return Load(reinterpret_cast<const BFloat16*>(p));
  if (type == ScaleType::kF16) return Load(reinterpret_cast<const Float16*>(p));
  if (type == ScaleType::kI8) return Load(reinterpret_cast<const int8_t*>(p));
  return Load(reinterpret_cast<const float*>(p));
}
// Of the outputs of a panel with scales of two levels.
RUSHLIGHT_INLINE F32x16 OutputScales(const uint8_t* panel) {
  return Load(reinterpret_cast<const float*>(panel));
}

}  // namespace
}  // namespace rushlight::kernels::RUSHLIGHT_ISA
