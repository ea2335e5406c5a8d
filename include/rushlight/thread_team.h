// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// ThreadTeam: the threads that share the long loops of operators and delegates.
//
//   ThreadTeam::Lease lease(ThreadTeam::Default(), 2);  // for one execution, on two threads
//   context.parallel = &ThreadTeam::Lease::ParallelFor;
//   context.team = &lease;
//
// Module does this for every execution, with the team that all modules of the process share.
//
// A loop is cut into a share for each thread.  A thread takes its own share in a few bites, then
// what is left of the others'; the caller works too, and waits only for bites that were taken.  So
// a thread that the system has put aside delays nobody unless it is in the middle of a bite; where
// that happens again and again, the team does with fewer threads for a while.
//
// Waiting costs little: spinning for some tens of microseconds, bounded by the clock, then
// yielding, then sleeping in the kernel.  Threads start when a loop first has work for them.  Where
// none can be started, and in a process that was forked, the caller works alone.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "rushlight/context.h"

namespace rushlight {

struct ThreadTeamOptions {
  size_t threads = 0;  // most that work at once, the caller's included; 0: one for each CPU
  size_t cpus = 0;     // that may be used; 0: what the system allows the caller, asked each time
  // Called by each of the team's own threads before it joins a loop, with its number; for tests.
  void (*before_loop)(void* self, size_t thread) = nullptr;
  void* before_loop_self = nullptr;
};

class ThreadTeam {
 public:
  explicit ThreadTeam(const ThreadTeamOptions& options = {});
  ~ThreadTeam();  // Requires: no Lease is left.
  ThreadTeam(const ThreadTeam&) = delete;

  // The process's, made when first asked for; never destroyed.
  static ThreadTeam& Default();

  size_t max_threads() const;

  // One execution's use of a team, on one thread.  Of several at once, one leads the team and the
  // others run alone: no loop waits for another's, and there are never more threads at work than
  // CPUs may be used.
  class Lease {
   public:
    // For up to `threads` threads.
    Lease(ThreadTeam& team, size_t threads);
    ~Lease();
    Lease(const Lease&) = delete;

    // A Context::Parallel; `lease` is one.  Serial where it is called from inside a task.
    static void ParallelFor(void* lease, size_t count, size_t grain, Context::Task task, void* arg);

   private:
    bool Lead();

    ThreadTeam& team_;
    size_t threads_;
    bool leads_ = false;
    std::atomic<bool> in_loop_{false};
  };

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rushlight
