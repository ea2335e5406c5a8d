// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The functions of matmul_integer-inl.h for each instruction set, and what they are written with.
// Callers choose from kIntegerKernels.
#pragma once

#include <cstring>

#include "rushlight/half.h"
#include "src/kernels/packed/matmul.h"
#include "src/kernels/vector/target.h"

#define RUSHLIGHT_INTEGER_KERNELS(isa)          \
  namespace isa {                               \
  void QuantizeRows(const QuantizeArgs& args);  \
  void MatmulU4(const IntegerMatmulArgs& args); \
  void MatmulU8(const IntegerMatmulArgs& args); \
  }

namespace rushlight::kernels {

RUSHLIGHT_INTEGER_KERNELS(scalar)
#if defined(__x86_64__)
RUSHLIGHT_INTEGER_KERNELS(avx2)
RUSHLIGHT_INTEGER_KERNELS(avx2vnni)
RUSHLIGHT_INTEGER_KERNELS(avx512vnni)
RUSHLIGHT_INTEGER_KERNELS(amx)
#elif defined(__aarch64__)
RUSHLIGHT_INTEGER_KERNELS(neon)
RUSHLIGHT_INTEGER_KERNELS(neondot)
RUSHLIGHT_INTEGER_KERNELS(neoni8mm)
#endif

// How a group's dot products are scaled.
enum class Scaling : uint8_t { kPlain, kMinimum, kTwoLevels };
constexpr Scaling ScalingOf(const PackedMatrix& w) {
  if (HasTwoLevels(w)) return Scaling::kTwoLevels;
  return w.has_minimum ? Scaling::kMinimum : Scaling::kPlain;
}
// What a format may have beside the others.
template <PackedFormat kFormat>
inline constexpr Scaling kMostScaling =
    kFormat == PackedFormat::kU4 ? Scaling::kTwoLevels : Scaling::kMinimum;

// Groups whose sums are exact in floats; with other scales all.
constexpr size_t ExactGroups(const PackedMatrix& w) {
  return HasTwoLevels(w) ? kExactInputs / w.group : GroupCount(w);
}

// The product of the rows from `row` on.
RUSHLIGHT_INLINE IntegerMatmulArgs RowsFrom(IntegerMatmulArgs args, size_t row) {
  const size_t groups = GroupCount(args.weight);
  args.rows.values += row * QuantizedStride(args.weight.k);
  args.rows.scales += row * groups;
  args.rows.sums += row * groups;
  args.rows.totals += row * groups;
  args.m -= row;
  args.out.data += row * args.out.stride;
  Epilogue& e = args.out.epilogue;
  if (e.residual != nullptr) e.residual += row * e.residual_stride;
  return args;
}

// Rows whose activations stay in the cache while all panels pass: a multiple of `unit`.
RUSHLIGHT_INLINE size_t RowsAtOnce(const PackedMatrix& w, size_t unit) {
  constexpr size_t kBytes = 256 * 1024;
  const size_t rows = kBytes / QuantizedStride(w.k) / unit * unit;
  return rows > 0 ? rows : unit;
}

}  // namespace rushlight::kernels
