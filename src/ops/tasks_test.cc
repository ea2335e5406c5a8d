// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/ops/tasks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace rushlight::ops {
namespace {

// A team that gives each piece a thread.
void RunOnThreads(void*, size_t count, size_t grain, Context::Task task, void* arg) {
  std::vector<std::thread> threads;
  for (size_t begin = 0; begin < count; begin += grain) {
    threads.emplace_back(task, arg, begin, std::min(begin + grain, count));
  }
  for (std::thread& t : threads) t.join();
}

TEST(ParallelTasks, CoversTheRangeOnce) {
  for (const bool parallel : {false, true}) {
    for (const size_t tasks : {1, 2, 5}) {
      for (const size_t count : {0, 1, 3, 4, 5, 29, 30, 31, 1000}) {
        for (const size_t grain : {1, 3, 30, 2000}) {
          Context context;
          if (parallel) context.parallel = &RunOnThreads;
          std::vector<std::atomic<int>> visits(count);
          std::vector<std::atomic<int>> running(tasks);
          std::atomic<bool> exclusive{true};
          const Error error =
              ParallelTasks(context, tasks, count, grain, [&](size_t task, size_t b, size_t e) {
                if (running.at(task)++ != 0) exclusive = false;
                EXPECT_LE(e - b, grain);
                for (size_t i = b; i < e; ++i) ++visits.at(i);
                --running[task];
              });
          EXPECT_TRUE(error.ok());
          EXPECT_TRUE(exclusive);
          for (const auto& v : visits) EXPECT_EQ(v, 1);
        }
      }
    }
  }
}

TEST(ParallelTasks, StopsWhenCancelled) {
  std::atomic<bool> cancel{false};
  Context context;
  context.cancel = &cancel;
  size_t done = 0;
  const Error error = ParallelTasks(context, 1, 100, 10, [&](size_t, size_t begin, size_t end) {
    done += end - begin;
    cancel = done == 30;
  });
  EXPECT_EQ(error.reason, Reason::kCancelFlag);
  EXPECT_EQ(done, 30u);
}

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
