// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/dtype.h"

namespace rushlight {

DType PromoteTypes(DType a, DType b) {
  if (a == b) return a;
  // Bool gives way to integers, integers to floating point, and the wider one wins.
  const auto rank = [](DType t) { return t == DType::kBool ? 0 : IsInteger(t) ? 1 : 2; };
  if (rank(a) != rank(b)) return rank(a) > rank(b) ? a : b;
  if (rank(a) == 2) {
    if (ElementSize(a) != ElementSize(b)) return ElementSize(a) > ElementSize(b) ? a : b;
    return DType::kFloat32;  // float16 with bfloat16
  }
  // A signed and an unsigned integer: the narrowest signed one that holds both.
  const auto is_unsigned = [](DType t) { return t == DType::kUInt8 || t >= DType::kUInt16; };
  const DType wide = ElementSize(a) >= ElementSize(b) ? a : b;
  if (is_unsigned(a) == is_unsigned(b)) return wide;
  const DType narrow = wide == a ? b : a;
  if (!is_unsigned(wide) && ElementSize(wide) > ElementSize(narrow)) return wide;
  switch (ElementSize(wide)) {
    case 1:
      return DType::kInt16;
    case 2:
      return DType::kInt32;
    default:
      return DType::kInt64;
  }
}

const char* DTypeName(DType t) {
  static constexpr const char* kNames[kDTypeCount] = {"uint8",           "int8",
                                                      "int16",           "int32",
                                                      "int64",           "float16",
                                                      "float32",         "float64",
                                                      "complex32",       "complex64",
                                                      "complex128",      "bool",
                                                      "qint8",           "quint8",
                                                      "qint32",          "bfloat16",
                                                      "quint4x2",        "quint2x4",
                                                      "bits1x8",         "bits2x4",
                                                      "bits4x2",         "bits8",
                                                      "bits16",          "float8_e5m2",
                                                      "float8_e4m3fn",   "float8_e5m2fnuz",
                                                      "float8_e4m3fnuz", "uint16",
                                                      "uint32",          "uint64"};
  return IsValidDType(static_cast<int>(t)) ? kNames[static_cast<int>(t)] : "?";
}

}  // namespace rushlight
