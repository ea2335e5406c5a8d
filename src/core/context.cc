// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/context.h"

#include "rushlight/platform.h"

namespace rushlight {

Error Context::CheckBudget() const {
  RL_CHECK(cancel == nullptr || !cancel->load(std::memory_order_relaxed), Reason::kCancelFlag);
  RL_CHECK(deadline == 0 || platform::MonotonicNanos() < deadline, Reason::kTimeBudget);
  return kOk;
}

}  // namespace rushlight
