// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/context.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "rushlight/platform.h"
#include "rushlight/span.h"

namespace rushlight {
namespace {

// A team of one that hands out pieces last to first.
void Backwards(void*, size_t count, size_t grain, Context::Task task, void* arg) {
  for (size_t end = count; end > 0;) {
    const size_t begin = (end - 1) / grain * grain;
    task(arg, 0, begin, end);
    end = begin;
  }
}

TEST(ParallelFor, CoversEveryIndexOnce) {
  for (const Context::Parallel parallel : {Context::Parallel{nullptr}, &Backwards}) {
    for (const size_t count : {0, 1, 7, 8, 9, 100}) {
      Context context;
      context.parallel = parallel;
      std::vector<int> visits(count);
      const Error error = context.ParallelFor(count, 8, [&](size_t begin, size_t end) {
        EXPECT_LE(end - begin, 8u);
        for (size_t i = begin; i < end; ++i) ++visits[i];
      });
      EXPECT_TRUE(error.ok());
      EXPECT_TRUE(std::all_of(visits.begin(), visits.end(), [](int n) { return n == 1; })) << count;
    }
  }
}

TEST(ParallelFor, StopsBetweenPiecesWhenCancelled) {
  for (const Context::Parallel parallel : {Context::Parallel{nullptr}, &Backwards}) {
    std::atomic<bool> cancel{false};
    Context context;
    context.parallel = parallel;
    context.cancel = &cancel;
    size_t pieces = 0;
    const Error error = context.ParallelFor(100, 10, [&](size_t, size_t) {
      if (++pieces == 3) cancel = true;
    });
    EXPECT_EQ(error.reason, Reason::kCancelFlag);
    EXPECT_EQ(pieces, 3u);
  }
}

TEST(Context, TimeIsABudget) {
  Context context;
  EXPECT_TRUE(context.CheckBudget().ok());
  context.deadline = platform::MonotonicNanos();  // now
  EXPECT_EQ(context.CheckBudget().reason, Reason::kTimeBudget);
  context.deadline = INT64_MAX;
  EXPECT_TRUE(context.CheckBudget().ok());
}

TEST(Span, ViewsWhatHasDataAndSize) {
  std::vector<int> numbers = {1, 2, 3, 4};
  const Span<const int> all = numbers;
  EXPECT_EQ(all.size(), 4u);
  const Span<const int> middle = all.subspan(1, 2);
  EXPECT_EQ(std::vector<int>(middle.begin(), middle.end()), (std::vector<int>{2, 3}));
  int array[3] = {};
  EXPECT_EQ(Span<int>(array).size(), 3u);
  EXPECT_TRUE(Span<int>().empty());
}

}  // namespace
}  // namespace rushlight
