// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/delegates/cpu/cpu.h"

#include <algorithm>

#include "src/delegates/cpu/call.h"

namespace rushlight::delegates::cpu {
namespace {

Result<const void*> Load(const PlanSource& source, Arena& arena) {
  Result<const Plan*> plan = LoadPlan(source, arena);
  if (!plan.ok()) return plan.error();
  return static_cast<const void*>(*plan);
}

PlanInfo Info(const void* opaque) {
  const Plan& plan = *static_cast<const Plan*>(opaque);
  return {ScratchBytes(plan, plan.max_rows), plan.states, plan.weights};
}

// As many sequences at once as there is scratch for.
Error Run(Context& context, const void* opaque, Span<const DelegateRow> batch) {
  const Plan& plan = *static_cast<const Plan*>(opaque);
  size_t next = 0;
  while (next < batch.size()) {
    const size_t mark = context.scratch.used(), most = std::min(batch.size() - next, plan.max_rows);
    auto* const sequences = context.scratch.AllocateArray<Sequence>(most);
    RL_CHECK(sequences != nullptr, Reason::kScratchArena, Error::kNone,
             static_cast<int64_t>(context.scratch.capacity()),
             static_cast<int64_t>(ScratchBytes(plan, most)));
    size_t count = 0, rows = 0;
    for (; count < most; ++count) {
      const DelegateRow& row = batch[next + count];
      RL_ASSIGN_OR_RETURN(const size_t own, CountRows(plan, row));
      if (own > plan.max_rows - rows) break;
      sequences[count] = {&row, rows, own, 0};
      rows += own;
    }
    RL_RETURN_IF_ERROR(Call(context, plan, {sequences, count}, rows).Run());
    context.scratch.Release(mark);
    next += count;
  }
  return kOk;
}

}  // namespace

const Delegate kDelegate = {"RushlightCpu", Load, Info, Run};

}  // namespace rushlight::delegates::cpu
