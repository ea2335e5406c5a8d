// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Run under the thread sanitizer as well (cmake --preset tsan).

#include "rushlight/thread_team.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>
#include <vector>

#include "rushlight/platform.h"

namespace rushlight {
namespace {

// A team that uses all its threads, whatever the machine has.
ThreadTeamOptions Always(size_t threads) {
  ThreadTeamOptions options;
  options.threads = threads;
  options.cpus = threads;
  return options;
}

// A Context on a team.
struct OnTeam {
  OnTeam(ThreadTeam& team, size_t threads) : lease(team, threads) {
    context.parallel = &ThreadTeam::Lease::ParallelFor;
    context.team = &lease;
    context.threads = threads;
  }
  ThreadTeam::Lease lease;
  Context context;
};

using Visits = std::vector<std::atomic<int>>;

testing::AssertionResult AllOnce(const Visits& visits) {
  for (size_t i = 0; i < visits.size(); ++i) {
    if (visits[i] != 1) return testing::AssertionFailure() << "index " << i << ": " << visits[i];
  }
  return testing::AssertionSuccess();
}

TEST(ThreadTeam, VisitsEveryIndexOnce) {
  std::mt19937 random(5);
  for (const size_t threads : {1, 2, 3, 8}) {
    ThreadTeam team(Always(threads));
    EXPECT_EQ(team.max_threads(), threads);
    for (int round = 0; round < 300; ++round) {
      const size_t count = random() % (round % 3 == 0 ? 20 : 5000);
      const size_t grain = 1 + random() % (round % 2 == 0 ? 10 : 2000);
      const size_t used = 1 + random() % 9;  // also more than there are
      OnTeam on(team, used);
      Visits visits(count);
      Visits running(used);
      std::atomic<bool> exclusive{true};
      const Error error =
          on.context.ParallelFor(count, grain, [&](size_t thread, size_t begin, size_t end) {
            if (running.at(thread)++ != 0) exclusive = false;
            if (end - begin > grain) exclusive = false;
            for (size_t i = begin; i < end; ++i) ++visits.at(i);
            --running.at(thread);
          });
      ASSERT_TRUE(error.ok());
      ASSERT_TRUE(exclusive);
      ASSERT_TRUE(AllOnce(visits)) << count << " by " << grain << " on " << used;
    }
  }
}

TEST(ThreadTeam, CountsNearTheLimits) {
  ThreadTeam team(Always(3));
  OnTeam on(team, 3);
  std::atomic<size_t> total{0};
  // Called directly: the context's loop would look at the budget before every element.
  const Context::Task task = [](void* arg, size_t, size_t begin, size_t end) {
    *static_cast<std::atomic<size_t>*>(arg) += end - begin;
  };
  for (const auto& [count, grain] :
       std::vector<std::pair<size_t, size_t>>{{SIZE_MAX, 1},
                                              {SIZE_MAX, SIZE_MAX},
                                              {SIZE_MAX, 7},
                                              {0, 1},
                                              {1, SIZE_MAX},
                                              {SIZE_MAX - 1, SIZE_MAX - 2}}) {
    total = 0;
    ThreadTeam::Lease::ParallelFor(&on.lease, count, grain, task, &total);
    EXPECT_EQ(total, count);
  }
}

// What a loop wrote, the next one sees; plain memory, so that a sanitizer would object.
TEST(ThreadTeam, ManyShortLoopsSeeEachOther) {
  ThreadTeam team(Always(3));
  OnTeam on(team, 3);
  std::vector<int> a(64), b(64);
  for (int round = 0; round < 5000; ++round) {
    const auto shift = [](const std::vector<int>& from, std::vector<int>& to) {
      return [&](size_t begin, size_t end) {
        for (size_t i = begin; i < end; ++i) to[i] = from[(i + 17) % from.size()] + 1;
      };
    };
    ASSERT_TRUE(on.context.ParallelFor(a.size(), 4, shift(a, b)).ok());
    ASSERT_TRUE(on.context.ParallelFor(a.size(), 4, shift(b, a)).ok());
  }
  EXPECT_TRUE(std::all_of(a.begin(), a.end(), [](int n) { return n == 10000; }));
}

TEST(ThreadTeam, SleepsAndWakes) {
  ThreadTeam team(Always(3));
  for (int round = 0; round < 20; ++round) {
    OnTeam on(team, 3);
    Visits visits(100);
    ASSERT_TRUE(on.context.ParallelFor(100, 1, [&](size_t i, size_t) { ++visits[i]; }).ok());
    ASSERT_TRUE(AllOnce(visits));
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
}

// More threads than CPUs, so that some are put aside while they look for work, and loops of other
// lengths by the time that they are back: they take nothing of those by the old loop's bounds.
TEST(ThreadTeam, ThreadsThatComeLateTakeNothing) {
  ThreadTeam team(Always(8));
  OnTeam on(team, 8);
  Visits visits(512);
  for (size_t round = 0; round < 150'000; ++round) {
    const size_t count = round % 2 == 0 ? 17 + round % 400 : 16;
    for (auto& v : visits) v.store(0, std::memory_order_relaxed);
    ASSERT_TRUE(on.context.ParallelFor(count, 1, [&](size_t i, size_t) { ++visits[i]; }).ok());
    for (size_t i = 0; i < visits.size(); ++i) {
      ASSERT_EQ(visits[i], i < count ? 1 : 0) << "index " << i << " in round " << round;
    }
  }
}

// All threads take part: each waits in its first piece for the others.
TEST(ThreadTeam, ThreadsWorkAtOnce) {
  ThreadTeam team(Always(4));
  OnTeam on(team, 4);
  Visits seen(4);
  std::atomic<int> arrived{0};
  ASSERT_TRUE(on.context
                  .ParallelFor(4, 1,
                               [&](size_t thread, size_t, size_t) {
                                 ++seen[thread];
                                 ++arrived;
                                 while (arrived < 4) std::this_thread::yield();
                               })
                  .ok());
  EXPECT_TRUE(AllOnce(seen));
}

TEST(ThreadTeam, NestedLoopsAreSerial) {
  ThreadTeam team(Always(3));
  OnTeam on(team, 3);
  Visits visits(600);
  std::atomic<bool> same_thread{true};
  ASSERT_TRUE(on.context
                  .ParallelFor(20, 1,
                               [&](size_t outer, size_t) {
                                 const auto me = std::this_thread::get_id();
                                 const Error error = on.context.ParallelFor(
                                     30, 1, [&](size_t thread, size_t inner, size_t) {
                                       if (std::this_thread::get_id() != me || thread != 0) {
                                         same_thread = false;
                                       }
                                       ++visits[outer * 30 + inner];
                                     });
                                 EXPECT_TRUE(error.ok());
                               })
                  .ok());
  EXPECT_TRUE(same_thread);
  EXPECT_TRUE(AllOnce(visits));
}

TEST(ThreadTeam, StopsWhenCancelled) {
  ThreadTeam team(Always(3));
  for (const size_t threads : {1, 2, 3}) {
    OnTeam on(team, threads);
    std::atomic<bool> cancel{false};
    on.context.cancel = &cancel;
    std::atomic<size_t> pieces{0};
    const Error error = on.context.ParallelFor(1'000'000, 1, [&](size_t, size_t) {
      if (++pieces == 10) cancel = true;
    });
    EXPECT_EQ(error.reason, Reason::kCancelFlag);
    EXPECT_LT(pieces, 1'000'000u);
    cancel = false;
    EXPECT_TRUE(on.context.ParallelFor(100, 1, [&](size_t, size_t) {}).ok());
    on.context.deadline = platform::MonotonicNanos();
    EXPECT_EQ(on.context.ParallelFor(100, 1, [&](size_t, size_t) {}).reason, Reason::kTimeBudget);
  }
}

// Which of a team's threads took part in a loop on `context`.
size_t ThreadsSeen(Context& context) {
  Visits seen(context.threads);
  EXPECT_TRUE(context
                  .ParallelFor(64, 1,
                               [&](size_t thread, size_t, size_t) {
                                 seen[thread] = 1;
                                 std::this_thread::sleep_for(std::chrono::microseconds(50));
                               })
                  .ok());
  return static_cast<size_t>(std::count(seen.begin(), seen.end(), 1));
}

TEST(ThreadTeam, CallersShareTheCpus) {
  ThreadTeam team(Always(2));
  OnTeam first(team, 2);
  {
    const OnTeam second(team, 2);  // takes a CPU, although it runs no loop
    EXPECT_EQ(ThreadsSeen(first.context), 1u);
  }
  OnTeam third(team, 2);
  EXPECT_EQ(ThreadsSeen(third.context), 1u);
}

TEST(ThreadTeam, CallersOnManyThreads) {
  ThreadTeam team(Always(3));
  std::vector<std::thread> callers;
  std::atomic<bool> good{true};
  for (size_t c = 0; c < 4; ++c) {
    callers.emplace_back([&, c] {
      std::mt19937 random(static_cast<unsigned>(c));
      for (int round = 0; round < 200; ++round) {
        OnTeam on(team, 1 + random() % 3);
        for (int loop = 0; loop < 5; ++loop) {
          Visits visits(random() % 200);
          const Error error =
              on.context.ParallelFor(visits.size(), 1 + random() % 20, [&](size_t b, size_t e) {
                for (size_t i = b; i < e; ++i) ++visits[i];
              });
          if (!error.ok() || !AllOnce(visits)) good = false;
        }
      }
    });
  }
  for (std::thread& t : callers) t.join();
  EXPECT_TRUE(good);
}

TEST(ThreadTeam, NumberOfThreadsChanges) {
  ThreadTeam team(Always(4));
  for (const size_t threads : {4, 1, 2, 3, 2, 4}) {
    OnTeam on(team, threads);
    for (int round = 0; round < 20; ++round) EXPECT_LE(ThreadsSeen(on.context), threads);
  }
}

TEST(ThreadTeam, KeepsToTheCpus) {
  ThreadTeamOptions options = Always(4);
  options.cpus = 1;
  ThreadTeam team(options);
  OnTeam on(team, 4);
  EXPECT_EQ(ThreadsSeen(on.context), 1u);
}

// A thread that the system has put aside: it was told of a loop and does not come.
class Held {
 public:
  ThreadTeamOptions Options(size_t threads) {
    ThreadTeamOptions options = Always(threads);
    options.before_loop_self = this;
    options.before_loop = [](void* self, size_t thread) {
      Held& held = *static_cast<Held*>(self);
      if (thread != 1) return;
      held.here = true;
      while (held.hold) std::this_thread::yield();
      held.here = false;
    };
    return options;
  }
  std::atomic<bool> hold{true};
  std::atomic<bool> here{false};
};

struct ReleaseAtEnd {
  ~ReleaseAtEnd() { held.hold = false; }
  Held& held;
};

TEST(ThreadTeam, AThreadThatDoesNotComeDelaysNobody) {
  for (const size_t threads : {2, 3}) {
    Held held;
    ThreadTeam team(held.Options(threads));
    {
      const ReleaseAtEnd release{held};
      OnTeam on(team, threads);
      int rounds = 0;
      for (; rounds < 200 || !held.here; ++rounds) {
        Visits visits(97);
        std::atomic<bool> came{false};
        ASSERT_TRUE(on.context
                        .ParallelFor(97, 2,
                                     [&](size_t thread, size_t begin, size_t end) {
                                       if (thread == 1) came = true;
                                       for (size_t i = begin; i < end; ++i) ++visits[i];
                                     })
                        .ok());
        ASSERT_TRUE(AllOnce(visits));
        ASSERT_FALSE(came);
      }
      // Back from far behind, it does no work of loops that are over.
      held.hold = false;
      for (int round = 0; round < 200; ++round) {
        Visits visits(97);
        ASSERT_TRUE(on.context
                        .ParallelFor(97, 2,
                                     [&](size_t b, size_t e) {
                                       for (size_t i = b; i < e; ++i) ++visits[i];
                                     })
                        .ok());
        ASSERT_TRUE(AllOnce(visits));
      }
    }
  }
}

// In the middle of a piece it must be waited for; afterwards the team does without it for a while.
TEST(ThreadTeam, DoesWithoutThreadsThatCostTime) {
  ThreadTeam team(Always(2));
  OnTeam on(team, 2);
  bool alone = false;
  // More than one attempt: the caller may be put aside too, and then its own loss hides the
  // other's.
  for (int attempt = 0; attempt < 100 && !alone; ++attempt) {
    std::atomic<bool> came{false};
    const auto piece = [&](size_t thread, size_t, size_t) {
      if (thread == 0) {
        // Not for ever: the team may be without the other thread already.
        for (int i = 0; i < 1000 && !came; ++i) {
          std::this_thread::sleep_for(std::chrono::microseconds(50));
        }
      } else {
        came = true;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    };
    ASSERT_TRUE(on.context.ParallelFor(2, 1, piece).ok());
    alone = ThreadsSeen(on.context) == 1;
  }
  EXPECT_TRUE(alone);
}

// A forked process has none of the threads.
TEST(ThreadTeam, AForkedProcessWorksAlone) {
  ThreadTeam team(Always(3));
  {
    OnTeam on(team, 3);
    EXPECT_GE(ThreadsSeen(on.context), 1u);
  }
  const pid_t pid = fork();
  if (pid == 0) {
    bool good = true;
    OnTeam on(team, 3);
    for (int round = 0; round < 100; ++round) {
      size_t sum = 0;
      good &= on.context.ParallelFor(100, 1, [&](size_t i, size_t) { sum += i; }).ok();
      good &= sum == 4950;
    }
    _exit(good ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
}

TEST(ThreadTeam, Default) {
  EXPECT_EQ(&ThreadTeam::Default(), &ThreadTeam::Default());
  EXPECT_GE(ThreadTeam::Default().max_threads(), platform::UsableCpus());
}

TEST(ThreadTeam, EndsWithoutHavingStarted) {
  const ThreadTeam team;
  EXPECT_GE(team.max_threads(), 1u);
}

}  // namespace
}  // namespace rushlight
