// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/delegates/cpu/cpu.h"

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
  size_t begin = 0;
  while (begin < batch.size()) {
    RL_ASSIGN_OR_RETURN(size_t rows, Call::CountRows(plan, batch[begin]));
    size_t end = begin + 1;
    for (; end < batch.size(); ++end) {
      RL_ASSIGN_OR_RETURN(const size_t more, Call::CountRows(plan, batch[end]));
      if (rows + more > plan.max_rows) break;
      rows += more;
    }
    const size_t mark = context.scratch.used();
    RL_RETURN_IF_ERROR(Call(context, plan, batch.subspan(begin, end - begin), rows).Run());
    context.scratch.Release(mark);
    begin = end;
  }
  return kOk;
}

}  // namespace

const Delegate kDelegate = {"RushlightCpu", Load, Info, Run};

}  // namespace rushlight::delegates::cpu
