// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/dtype.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace rushlight {
namespace {

constexpr DType kNumbers[] = {DType::kBool,    DType::kUInt8,    DType::kInt8,    DType::kInt16,
                              DType::kUInt16,  DType::kInt32,    DType::kUInt32,  DType::kInt64,
                              DType::kFloat16, DType::kBFloat16, DType::kFloat32, DType::kFloat64};

TEST(DType, SizesAreThoseOfTheTypes) {
  EXPECT_EQ(ElementSize(DType::kBool), 1u);
  EXPECT_EQ(ElementSize(DType::kBFloat16), 2u);
  EXPECT_EQ(ElementSize(DType::kUInt32), 4u);
  EXPECT_EQ(ElementSize(DType::kComplexFloat64), 16u);
}

TEST(DType, NamesAreDistinct) {
  std::set<std::string> names;
  for (int t = 0; t < kDTypeCount; ++t) names.insert(DTypeName(static_cast<DType>(t)));
  EXPECT_EQ(names.size(), size_t{kDTypeCount});
  EXPECT_STREQ(DTypeName(DType::kFloat8E4M3FN), "float8_e4m3fn");
  EXPECT_STREQ(DTypeName(static_cast<DType>(-1)), "?");
  EXPECT_STREQ(DTypeName(static_cast<DType>(kDTypeCount)), "?");
}

TEST(DType, KindsDoNotOverlap) {
  for (const DType t : kNumbers) {
    EXPECT_EQ(int{t == DType::kBool} + int{IsInteger(t)} + int{IsFloating(t)}, 1) << DTypeName(t);
  }
}

TEST(PromoteTypes, DoesNotDependOnTheOrder) {
  for (const DType a : kNumbers) {
    EXPECT_EQ(PromoteTypes(a, a), a);
    for (const DType b : kNumbers) EXPECT_EQ(PromoteTypes(a, b), PromoteTypes(b, a));
  }
}

TEST(PromoteTypes, AsInPyTorch) {
  EXPECT_EQ(PromoteTypes(DType::kBool, DType::kInt8), DType::kInt8);
  EXPECT_EQ(PromoteTypes(DType::kUInt8, DType::kInt8), DType::kInt16);
  EXPECT_EQ(PromoteTypes(DType::kUInt8, DType::kInt32), DType::kInt32);
  EXPECT_EQ(PromoteTypes(DType::kInt64, DType::kFloat16), DType::kFloat16);
  EXPECT_EQ(PromoteTypes(DType::kFloat16, DType::kBFloat16), DType::kFloat32);
  EXPECT_EQ(PromoteTypes(DType::kBFloat16, DType::kFloat32), DType::kFloat32);
  EXPECT_EQ(PromoteTypes(DType::kFloat32, DType::kFloat64), DType::kFloat64);
}

}  // namespace
}  // namespace rushlight
