// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause
#include "linear_relu.h"

#include <cstring>
#include <string_view>

namespace example {
namespace {

using namespace rushlight;

constexpr uint32_t kVersion = 1;

// The Plan: immutable, shared by threads.  Weights stay where they are mapped.
struct Plan {
  const float* weight;  // [outputs, inputs]
  const float* bias;    // [outputs] or null
  uint32_t inputs;
  uint32_t outputs;
};

// A payload may come from anywhere: everything is checked here, once.
Result<const void*> Load(const PlanSource& source, Arena& arena) {
  uint32_t header[4];
  RL_CHECK(source.payload.size() > sizeof header, Reason::kDelegatePayload, Error::kNone,
           static_cast<int64_t>(source.payload.size()), sizeof header);
  std::memcpy(header, source.payload.data(), sizeof header);
  const auto [version, inputs, outputs, has_bias] = header;
  RL_CHECK(version == kVersion, Reason::kDelegateVersion, Error::kNone, version, kVersion);
  RL_CHECK(inputs <= INT32_MAX && outputs <= INT32_MAX && has_bias <= 1, Reason::kDelegatePayload);
  RL_CHECK(source.arguments == 2, Reason::kDelegateArguments, Error::kNone,
           static_cast<int64_t>(source.arguments), 2);
  const std::string_view key(reinterpret_cast<const char*>(source.payload.data()) + sizeof header,
                             source.payload.size() - sizeof header);
  NamedBytes data;
  RL_RETURN_IF_ERROR(source.data.Find(key, &data));
  const uint64_t floats = uint64_t{outputs} * (uint64_t{inputs} + has_bias);
  RL_CHECK(data.bytes.size() % sizeof(float) == 0 && data.bytes.size() / sizeof(float) == floats,
           Reason::kDelegatePayload, Error::kNone, static_cast<int64_t>(data.bytes.size()));
  RL_CHECK(reinterpret_cast<uintptr_t>(data.bytes.data()) % alignof(float) == 0,
           Reason::kDelegatePayload);

  Plan* plan = arena.AllocateArray<Plan>(1);
  RL_CHECK(plan != nullptr, Reason::kMethodArena, Error::kNone, sizeof(Plan));
  plan->weight = reinterpret_cast<const float*>(data.bytes.data());
  plan->bias = has_bias != 0 ? plan->weight + uint64_t{outputs} * inputs : nullptr;
  plan->inputs = inputs;
  plan->outputs = outputs;
  return static_cast<const void*>(plan);
}

PlanInfo Info(const void*) { return {}; }  // neither state nor scratch

Error RunRow(Context& context, const Plan& plan, const Args& args) {
  RL_CHECK(args.count == 2 && args[0].is_tensor() && args[1].is_tensor(),
           Reason::kDelegateArguments);
  const Tensor& x = args[0].as_tensor();
  Tensor& y = args[1].as_tensor();
  RL_CHECK(x.dtype() == DType::kFloat32 && y.dtype() == DType::kFloat32, Reason::kArgumentDType);
  RL_CHECK(x.rank() > 0 && y.rank() == x.rank(), Reason::kArgumentRank);
  RL_CHECK(x.IsContiguous() && y.IsContiguous(), Reason::kArgumentDimOrder);
  const size_t last = x.rank() - 1;
  RL_CHECK(static_cast<uint32_t>(x.size(last)) == plan.inputs, Reason::kArgumentSize, Error::kNone,
           x.size(last), plan.inputs);
  int32_t sizes[kMaxRank];
  for (size_t d = 0; d < last; ++d) sizes[d] = x.size(d);
  sizes[last] = static_cast<int32_t>(plan.outputs);
  RL_RETURN_IF_ERROR(y.Resize({sizes, x.rank()}));

  const size_t rows = plan.outputs == 0 ? 0 : y.numel() / plan.outputs;
  return context.ParallelFor(rows, /*grain=*/1, [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) {
      const float* in = x.data<float>() + r * plan.inputs;
      float* out = y.mutable_data<float>() + r * plan.outputs;
      for (uint32_t o = 0; o < plan.outputs; ++o) {
        const float* w = plan.weight + size_t{o} * plan.inputs;
        float sum = plan.bias != nullptr ? plan.bias[o] : 0;
        for (uint32_t i = 0; i < plan.inputs; ++i) sum += in[i] * w[i];
        out[o] = sum > 0 ? sum : 0;
      }
    }
  });
}

// One row for each conversation of a batch; a call of a method is one row.
Error Run(Context& context, const void* plan, Span<const DelegateRow> rows) {
  for (const DelegateRow& row : rows) {
    RL_RETURN_IF_ERROR(RunRow(context, *static_cast<const Plan*>(plan), row.args));
  }
  return kOk;
}

constexpr Delegate kDelegates[] = {{"LinearReluBackend", Load, Info, Run}};

}  // namespace

Span<const Delegate> Delegates() { return kDelegates; }

}  // namespace example
