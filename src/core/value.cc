// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/value.h"

namespace rushlight {

const char* TagName(Tag tag) {
  static constexpr const char* kNames[] = {
      "none",      "tensor",      "string",   "double",      "int", "bool",
      "bool list", "double list", "int list", "tensor list", "?",   "optional tensor list"};
  const auto i = static_cast<size_t>(tag);
  return i < sizeof kNames / sizeof *kNames ? kNames[i] : "?";
}

double Scalar::to_double() const {
  switch (tag()) {
    case Tag::kDouble:
      return value_.as_double();
    case Tag::kBool:
      return value_.as_bool() ? 1.0 : 0.0;
    default:
      return static_cast<double>(value_.as_int());
  }
}

int64_t Scalar::to_int() const {
  switch (tag()) {
    case Tag::kDouble: {
      const double d = value_.as_double();
      if (!(d > -9223372036854775808.0)) return INT64_MIN;  // also NaN
      return d < 9223372036854775808.0 ? static_cast<int64_t>(d) : INT64_MAX;
    }
    case Tag::kBool:
      return value_.as_bool() ? 1 : 0;
    default:
      return value_.as_int();
  }
}

DType Scalar::dtype() const {
  switch (tag()) {
    case Tag::kDouble:
      return DType::kFloat32;
    case Tag::kBool:
      return DType::kBool;
    default:
      return DType::kInt64;
  }
}

}  // namespace rushlight
