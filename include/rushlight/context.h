// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Context: what an operator or a delegate may use while it runs.
//
// A Context belongs to one execution on one thread; the tasks that ParallelFor hands out may run on
// others, and touch only what is passed to them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "rushlight/arena.h"
#include "rushlight/error.h"

namespace rushlight {

// Bounds of one execution.  The clock is read between instructions and between the chunks of a
// long loop, never inside an inner loop.
struct Budget {
  uint64_t max_instructions = 10'000'000;
  int64_t max_nanoseconds = 0;                // 0: no limit
  const std::atomic<bool>* cancel = nullptr;  // set from any thread to stop
};

class Context {
 public:
  // A range of a loop.  `thread` is below Context::threads, and no two tasks of one loop run with
  // the same number at once: it names a task's own scratch memory.
  using Task = void (*)(void* arg, size_t thread, size_t begin, size_t end);
  // Runs `task` over [0, count), each index once, in ranges of about `grain` or more, and waits.
  // Tasks throw nothing.
  using Parallel = void (*)(void* team, size_t count, size_t grain, Task task, void* arg);

  Parallel parallel = nullptr;  // null: serial.  Set by whoever owns the team.
  void* team = nullptr;
  size_t threads = 1;  // most tasks that run at once
  Arena scratch;       // released after each instruction
  const std::atomic<bool>* cancel = nullptr;
  int64_t deadline = 0;  // platform::MonotonicNanos(), 0: none

  void (*on_step)(void* listener, uint32_t step) = nullptr;  // null: nobody listens
  void* listener = nullptr;

  // A delegate says that a step of its own begins, for those who listen (event.h).
  void BeginStep(uint32_t step) const {
    if (on_step != nullptr) on_step(listener, step);
  }

  // kCancelFlag or kTimeBudget where the execution is to stop.
  Error CheckBudget() const;

  // Calls body(begin, end), or body(thread, begin, end), over [0, count) in pieces of `grain`
  // elements, in parallel where there is a team, and stops between pieces where the budget is
  // spent.  Results must not depend on how the range is split.  Requires: grain > 0.
  //
  // A delegate's plan is a row of such loops, walked by the caller: what one loop wrote, all
  // threads of the next one see, and a loop that follows soon finds the threads still awake.
  template <class F>
  Error ParallelFor(size_t count, size_t grain, F body) {
    if (count <= grain) {  // the common small case: nothing to split, nothing to poll
      if (count > 0) CallPiece(body, 0, 0, count);
      return kOk;
    }
    struct State {
      F& body;
      const Context& context;
      size_t grain;
      std::atomic<uint16_t> stopped{0};  // the Reason
    } state{body, *this, grain};
    const Task task = [](void* arg, size_t thread, size_t begin, size_t end) {
      State& s = *static_cast<State*>(arg);
      for (size_t b = begin; b < end; b += s.grain) {
        const Error budget = s.context.CheckBudget();
        if (!budget.ok()) {
          s.stopped.store(static_cast<uint16_t>(budget.reason), std::memory_order_relaxed);
        }
        if (s.stopped.load(std::memory_order_relaxed) != 0) return;
        CallPiece(s.body, thread, b, end - b < s.grain ? end : b + s.grain);
      }
    };
    if (parallel == nullptr) {
      task(&state, 0, 0, count);
    } else {
      parallel(team, count, grain, task, &state);
    }
    return Error(static_cast<Reason>(state.stopped.load(std::memory_order_relaxed)));
  }

 private:
  template <class F>
  static void CallPiece(F& body, size_t thread, size_t begin, size_t end) {
    if constexpr (std::is_invocable_v<F&, size_t, size_t, size_t>) {
      body(thread, begin, end);
    } else {
      body(begin, end);
    }
  }
};

}  // namespace rushlight
