// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// What Context::ParallelFor leaves to operators: stopping inside a long piece, and pieces that need
// scratch memory of their own.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "rushlight/context.h"

namespace rushlight::ops {

// The caller's budget, seen by all tasks of one loop.
class BudgetWatch {
 public:
  explicit BudgetWatch(const Context& context) : context_(context) {}

  // True where the tasks are to stop.  Reads the clock.
  bool Expired() {
    if (reason_.load(std::memory_order_relaxed) != 0) return true;
    const Error budget = context_.CheckBudget();
    if (budget.ok()) return false;
    reason_.store(static_cast<uint16_t>(budget.reason), std::memory_order_relaxed);
    return true;
  }
  Error error() const {
    return Error(static_cast<Reason>(reason_.load(std::memory_order_relaxed)));
  }

 private:
  const Context& context_;
  std::atomic<uint16_t> reason_{0};
};

// Bytes of scratch; SIZE_MAX, which no arena has, where the product does not fit.
inline size_t ScratchProduct(size_t a, size_t b) {
  size_t product;
  return __builtin_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}

// Calls body(task, begin, end) over [0, count) in pieces of `grain` elements.  At most `tasks` run
// at once, each with its own number below `tasks`, which names its scratch memory.
template <class F>
Error ParallelTasks(Context& context, size_t tasks, size_t count, size_t grain, F body) {
  if (count <= grain) {
    if (count > 0) body(size_t{0}, size_t{0}, count);
    return kOk;
  }
  const size_t pieces = count / grain + (count % grain != 0);
  if (tasks > pieces) tasks = pieces;
  BudgetWatch watch(context);
  const Error error = context.ParallelFor(tasks, 1, [&](size_t first, size_t last) {
    for (size_t task = first; task < last; ++task) {
      const size_t end = pieces * (task + 1) / tasks;
      for (size_t p = pieces * task / tasks; p < end; ++p) {
        if (watch.Expired()) return;
        body(task, p * grain, p + 1 == pieces ? count : (p + 1) * grain);
      }
    }
  });
  RL_RETURN_IF_ERROR(error);
  return watch.error();
}

}  // namespace rushlight::ops
