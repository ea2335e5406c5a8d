// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// DType: the element types of a tensor, numbered as in the program file (and as in PyTorch).
#pragma once

#include <cstddef>
#include <cstdint>

namespace rushlight {

enum class DType : int8_t {
  kUInt8 = 0,
  kInt8 = 1,
  kInt16 = 2,
  kInt32 = 3,
  kInt64 = 4,
  kFloat16 = 5,
  kFloat32 = 6,
  kFloat64 = 7,
  kComplexFloat16 = 8,
  kComplexFloat32 = 9,
  kComplexFloat64 = 10,
  kBool = 11,
  kQInt8 = 12,
  kQUInt8 = 13,
  kQInt32 = 14,
  kBFloat16 = 15,
  kQUInt4x2 = 16,
  kQUInt2x4 = 17,
  kBits1x8 = 18,
  kBits2x4 = 19,
  kBits4x2 = 20,
  kBits8 = 21,
  kBits16 = 22,
  kFloat8E5M2 = 23,
  kFloat8E4M3FN = 24,
  kFloat8E5M2FNUZ = 25,
  kFloat8E4M3FNUZ = 26,
  kUInt16 = 27,
  kUInt32 = 28,
  kUInt64 = 29,
};
inline constexpr int kDTypeCount = 30;

constexpr bool IsValidDType(int value) { return value >= 0 && value < kDTypeCount; }

// Bytes of one element.  Requires: a valid dtype.
constexpr size_t ElementSize(DType t) {
  constexpr uint8_t kSizes[kDTypeCount] = {1, 1, 2, 4, 8, 2, 4, 8, 4, 8, 16, 1, 1, 1, 4,
                                           2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1,  1, 2, 4, 8};
  return kSizes[static_cast<int>(t)];
}

constexpr bool IsFloating(DType t) {
  return t == DType::kFloat32 || t == DType::kFloat16 || t == DType::kBFloat16 ||
         t == DType::kFloat64;
}
constexpr bool IsInteger(DType t) {  // bool is not one
  return (t >= DType::kUInt8 && t <= DType::kInt64) || (t >= DType::kUInt16 && t <= DType::kUInt64);
}

// The dtype that PyTorch computes in for two tensors of these dtypes (both with dimensions).
DType PromoteTypes(DType a, DType b);

// "float32", "int64", ...; "?" where not a dtype.
const char* DTypeName(DType t);

}  // namespace rushlight
