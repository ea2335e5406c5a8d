// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// What Context::ParallelFor leaves to operators: stopping inside a long piece, and the size of
// scratch memory for each thread.
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

}  // namespace rushlight::ops
