// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/value.h"

#include <gtest/gtest.h>

#include <cmath>

namespace rushlight {
namespace {

TEST(Value, RemembersWhatItIs) {
  EXPECT_TRUE(Value().is_none());
  EXPECT_EQ(Value(7).as_int(), 7);
  EXPECT_EQ(Value(0.5).as_double(), 0.5);
  EXPECT_EQ(Value(true).tag(), Tag::kBool);
  Tensor tensor;
  EXPECT_EQ(&Value(&tensor).as_tensor(), &tensor);
  const std::string_view text = "text";
  EXPECT_EQ(Value(&text).as_string(), "text");
}

TEST(Value, TagsHaveNames) {
  EXPECT_STREQ(TagName(Tag::kInt), "int");
  EXPECT_STREQ(TagName(Tag::kOptionalTensorList), "optional tensor list");
  EXPECT_STREQ(TagName(static_cast<Tag>(10)), "?");
  EXPECT_STREQ(TagName(static_cast<Tag>(200)), "?");
}

TEST(Scalar, ConvertsEitherWay) {
  EXPECT_EQ(Scalar(int64_t{-3}).to_double(), -3.0);
  EXPECT_EQ(Scalar(Value(true)).to_int(), 1);
  EXPECT_EQ(Scalar(Value(true)).to_double(), 1.0);
  EXPECT_EQ(Scalar(2.9).to_int(), 2);
  EXPECT_EQ(Scalar(-2.9).to_int(), -2);
}

TEST(Scalar, SaturatesWhereADoubleDoesNotFit) {
  EXPECT_EQ(Scalar(1e300).to_int(), INT64_MAX);
  EXPECT_EQ(Scalar(9223372036854775808.0).to_int(), INT64_MAX);
  EXPECT_EQ(Scalar(-9223372036854775808.0).to_int(), INT64_MIN);
  EXPECT_EQ(Scalar(-INFINITY).to_int(), INT64_MIN);
  EXPECT_EQ(Scalar(NAN).to_int(), INT64_MIN);
}

TEST(Scalar, HasTheDTypeThatPyTorchGivesIt) {
  EXPECT_EQ(Scalar(1.0).dtype(), DType::kFloat32);
  EXPECT_EQ(Scalar(int64_t{1}).dtype(), DType::kInt64);
  EXPECT_EQ(Scalar(Value(false)).dtype(), DType::kBool);
}

}  // namespace
}  // namespace rushlight
