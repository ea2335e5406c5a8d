// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/ops/tasks.h"

#include <gtest/gtest.h>

#include <atomic>

namespace rushlight::ops {
namespace {

TEST(BudgetWatch, RemembersTheReason) {
  std::atomic<bool> cancel{true};
  Context context;
  context.cancel = &cancel;
  BudgetWatch watch(context);
  EXPECT_TRUE(watch.error().ok());
  EXPECT_TRUE(watch.Expired());
  cancel = false;
  EXPECT_TRUE(watch.Expired());
  EXPECT_EQ(watch.error().reason, Reason::kCancelFlag);
}

TEST(ScratchProduct, Saturates) {
  EXPECT_EQ(ScratchProduct(6, 7), 42u);
  EXPECT_EQ(ScratchProduct(SIZE_MAX / 2, 3), SIZE_MAX);
}

}  // namespace
}  // namespace rushlight::ops
