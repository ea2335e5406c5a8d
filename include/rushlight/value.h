// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Value: one slot of a method's value table, and the form in which inputs and outputs travel.
//
// Sixteen bytes, copied freely; tensors, strings and lists are pointed to, not owned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "rushlight/half.h"
#include "rushlight/span.h"
#include "rushlight/tensor.h"

namespace rushlight {

enum class Tag : uint8_t {
  kNone = 0,
  kTensor = 1,
  kString = 2,
  kDouble = 3,
  kInt = 4,
  kBool = 5,
  kBoolList = 6,
  kDoubleList = 7,
  kIntList = 8,
  kTensorList = 9,
  kOptionalTensorList = 11,
};

// "tensor", "int", ...
const char* TagName(Tag tag);

// Lists of a method name other values; the items are looked up each time the list is used, since
// an instruction may have written them.
struct IntListValue {
  const int64_t* items;  // [count] positions in the value table
  int64_t* ints;         // [count] filled at each use
  uint32_t count;
};
struct TensorListValue {
  const int32_t* items;  // [count] positions in the value table, -1 for none
  Tensor** tensors;      // [count] filled at each use
  uint32_t count;
};

class Value {
 public:
  constexpr Value() : tag_(Tag::kNone), int_(0) {}
  constexpr explicit Value(int64_t v) : tag_(Tag::kInt), int_(v) {}
  constexpr explicit Value(int v) : tag_(Tag::kInt), int_(v) {}
  constexpr explicit Value(double v) : tag_(Tag::kDouble), double_(v) {}
  constexpr explicit Value(bool v) : tag_(Tag::kBool), bool_(v) {}
  Value(Tensor* v) : tag_(Tag::kTensor), tensor_(v) {}
  explicit Value(const std::string_view* v) : tag_(Tag::kString), string_(v) {}
  explicit Value(const Span<const double>* v) : tag_(Tag::kDoubleList), doubles_(v) {}
  explicit Value(const Span<const Bool8>* v) : tag_(Tag::kBoolList), bools_(v) {}
  explicit Value(const IntListValue* v) : tag_(Tag::kIntList), int_list_(v) {}
  Value(const TensorListValue* v, Tag tag) : tag_(tag), tensor_list_(v) {}

  Tag tag() const { return tag_; }
  bool is_none() const { return tag_ == Tag::kNone; }
  bool is_tensor() const { return tag_ == Tag::kTensor; }

  // Each requires: the tag of its name.
  int64_t as_int() const { return int_; }
  double as_double() const { return double_; }
  bool as_bool() const { return bool_; }
  Tensor& as_tensor() const { return *tensor_; }
  std::string_view as_string() const { return *string_; }
  Span<const double> as_double_list() const { return *doubles_; }
  Span<const Bool8> as_bool_list() const { return *bools_; }
  const IntListValue& as_int_list() const { return *int_list_; }
  const TensorListValue& as_tensor_list() const { return *tensor_list_; }

 private:
  Tag tag_;
  union {
    int64_t int_;
    double double_;
    bool bool_;
    Tensor* tensor_;
    const std::string_view* string_;
    const Span<const double>* doubles_;
    const Span<const Bool8>* bools_;
    const IntListValue* int_list_;
    const TensorListValue* tensor_list_;
  };
};
static_assert(sizeof(Value) == 16);

// A number of either kind, as operators take it.
class Scalar {
 public:
  constexpr Scalar() : value_(int64_t{0}) {}
  constexpr explicit Scalar(Value v) : value_(v) {}
  constexpr explicit Scalar(double v) : value_(v) {}
  constexpr explicit Scalar(int64_t v) : value_(v) {}

  Tag tag() const { return value_.tag(); }
  bool is_floating() const { return tag() == Tag::kDouble; }
  double to_double() const;
  int64_t to_int() const;  // truncates; saturates where a double does not fit
  // The dtype PyTorch gives a tensor made of it: float32, int64 or bool.
  DType dtype() const;

 private:
  Value value_;
};

}  // namespace rushlight
