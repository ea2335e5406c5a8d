// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/tensor.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace rushlight {
namespace {

constexpr uint8_t kChannelsLast[] = {0, 2, 3, 1};

TEST(CheckedNumel, RefusesWhatDoesNotFit) {
  size_t n = 0;
  EXPECT_TRUE(CheckedNumel(std::vector<int32_t>{}, &n));
  EXPECT_EQ(n, 1u);
  EXPECT_TRUE(CheckedNumel(std::vector<int32_t>{3, 0, 5}, &n));
  EXPECT_EQ(n, 0u);
  EXPECT_FALSE(CheckedNumel(std::vector<int32_t>{2, -1}, &n));
  EXPECT_FALSE(CheckedNumel(std::vector<int32_t>{INT32_MAX, INT32_MAX, INT32_MAX}, &n));
}

TEST(Tensor, CountsElementsAndBytes) {
  int32_t sizes[] = {2, 3, 4};
  const Tensor t(DType::kInt16, nullptr, sizes);
  EXPECT_EQ(t.rank(), 3u);
  EXPECT_EQ(t.numel(), 24u);
  EXPECT_EQ(t.nbytes(), 48u);
  EXPECT_EQ(t.capacity(), 24u);
  EXPECT_TRUE(t.dim_order().empty());
}

TEST(Tensor, AStaticOneKeepsItsShape) {
  int32_t sizes[] = {2, 3};
  Tensor t(DType::kFloat32, nullptr, sizes);
  EXPECT_TRUE(t.Resize(std::array<int32_t, 2>{2, 3}).ok());
  const Error error = t.Resize(std::array<int32_t, 2>{2, 4});
  EXPECT_EQ(error.reason, Reason::kOutputShape);
  EXPECT_EQ(error.argument, 1);
  EXPECT_EQ(error.found, 4);
  EXPECT_EQ(error.limit, 3);
  EXPECT_EQ(t.Resize(std::array<int32_t, 1>{6}).reason, Reason::kOutputRank);
}

TEST(Tensor, ADynamicOneIsResizedUpToItsCapacity) {
  int32_t sizes[] = {2, 3};
  Tensor t(DType::kFloat32, nullptr, sizes);
  t.set_dynamic(true);
  EXPECT_TRUE(t.Resize(std::array<int32_t, 2>{6, 1}).ok());
  EXPECT_EQ(t.size(0), 6);
  EXPECT_TRUE(t.Resize(std::array<int32_t, 2>{0, 1000}).ok());
  EXPECT_EQ(t.Resize(std::array<int32_t, 2>{7, 1}).reason, Reason::kOutputTooSmall);
  EXPECT_EQ(t.Resize(std::array<int32_t, 2>{-1, 1}).reason, Reason::kArgumentSize);
  EXPECT_EQ(t.Resize(std::array<int32_t, 2>{INT32_MAX, INT32_MAX}).reason, Reason::kOutputTooSmall);
  EXPECT_EQ(t.size(1), 1000);  // what failed changed nothing
}

TEST(Tensor, StridesFollowTheOrderOfDimensions) {
  int32_t sizes[] = {2, 3, 4, 5};
  int64_t strides[4];
  ComputeStrides(Tensor(DType::kFloat32, nullptr, sizes), strides);
  EXPECT_EQ((std::vector<int64_t>(strides, strides + 4)), (std::vector<int64_t>{60, 20, 5, 1}));
  const Tensor last(DType::kFloat32, nullptr, sizes, kChannelsLast);
  ComputeStrides(last, strides);
  EXPECT_EQ((std::vector<int64_t>(strides, strides + 4)), (std::vector<int64_t>{60, 1, 15, 3}));
  EXPECT_FALSE(last.IsContiguous());
}

TEST(Tensor, DimensionsOfSizeOneHaveNoOrder) {
  int32_t sizes[] = {2, 1, 4, 5};
  const Tensor last(DType::kFloat32, nullptr, sizes, kChannelsLast);
  const Tensor first(DType::kFloat32, nullptr, sizes);
  EXPECT_TRUE(last.IsContiguous());
  EXPECT_TRUE(SameDimOrder(last, first));
  int32_t channels[] = {2, 3, 4, 5};
  EXPECT_FALSE(SameDimOrder(Tensor(DType::kFloat32, nullptr, channels, kChannelsLast),
                            Tensor(DType::kFloat32, nullptr, channels)));
}

TEST(Tensor, OverlapIsOfBytes) {
  alignas(8) uint8_t memory[64];
  int32_t four[] = {4};
  const Tensor a(DType::kFloat32, memory, four);
  const Tensor beside(DType::kFloat32, memory + 16, four);
  const Tensor across(DType::kFloat32, memory + 12, four);
  EXPECT_FALSE(Overlap(a, beside));
  EXPECT_TRUE(Overlap(a, across));
  EXPECT_TRUE(Overlap(across, a));
  EXPECT_TRUE(Overlap(a, a));
}

TEST(Tensor, BorrowsMemoryAndItsRights) {
  alignas(8) uint8_t memory[16] = {};
  int32_t four[] = {4};
  Tensor constant(DType::kFloat32, memory, four);
  constant.set_read_only(true);
  Tensor t(DType::kFloat32, nullptr, four);
  t.Borrow(constant);
  EXPECT_EQ(t.raw(), memory);
  EXPECT_TRUE(t.read_only());
  EXPECT_TRUE(t.borrowed());
}

}  // namespace
}  // namespace rushlight
