// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "tests/hostile/test_delegate.h"

#include <cstring>

namespace rushlight::hostile {
namespace {

constexpr uint8_t kVersion = 1;
constexpr StateSpec kStates[] = {{"hostile.calls", 0, sizeof(float), 1}};

struct Plan {
  float scale;
  float addend;
  bool with_state;
};

// Payload: version, whether there is state, scale; at any address.
constexpr size_t kPayloadBytes = 2 + sizeof(float);

Result<const void*> Load(const PlanSource& source, Arena& arena) {
  RL_CHECK(source.payload.size() == kPayloadBytes && source.payload[0] == kVersion,
           Reason::kDelegatePayload, Error::kNone, static_cast<int64_t>(source.payload.size()),
           kPayloadBytes);
  RL_CHECK(source.arguments == 0 || source.arguments == 2, Reason::kDelegateArguments, Error::kNone,
           static_cast<int64_t>(source.arguments), 2);
  Plan* const plan = arena.AllocateArray<Plan>(1);
  RL_CHECK(plan != nullptr, Reason::kMethodArena, Error::kNone, sizeof(Plan));
  plan->with_state = source.payload[1] != 0;
  std::memcpy(&plan->scale, source.payload.data() + 2, sizeof(float));
  for (const CompileSpec& spec : source.specs) {
    if (spec.key != kTestDelegateAddendSpec) continue;
    NamedBytes data;
    RL_RETURN_IF_ERROR(source.data.Find(
        {reinterpret_cast<const char*>(spec.value.data()), spec.value.size()}, &data));
    RL_CHECK(data.bytes.size() >= sizeof(float), Reason::kExternalBytes);
    std::memcpy(&plan->addend, data.bytes.data(), sizeof(float));
  }
  return static_cast<const void*>(plan);
}

PlanInfo Info(const void* plan) {
  PlanInfo info;
  info.scratch_bytes = 64;
  if (static_cast<const Plan*>(plan)->with_state) info.states = kStates;
  return info;
}

Error Run(Context& context, const void* opaque, Span<const DelegateRow> rows) {
  const Plan& plan = *static_cast<const Plan*>(opaque);
  context.BeginStep(7);
  for (const DelegateRow& row : rows) {
    RL_CHECK(row.args.count == 2 && row.args[0].is_tensor() && row.args[1].is_tensor(),
             Reason::kDelegateArguments, Error::kNone, static_cast<int64_t>(row.args.count), 2);
    const Tensor& in = row.args[0].as_tensor();
    Tensor& out = row.args[1].as_tensor();
    RL_CHECK(in.dtype() == DType::kFloat32 && out.dtype() == DType::kFloat32 && !out.read_only(),
             Reason::kDelegateRun, Error::kNone, 1);
    RL_RETURN_IF_ERROR(out.Resize(in.sizes()));
    if (in.numel() == 0) return kOk;
    RL_CHECK(in.raw() != nullptr && out.raw() != nullptr, Reason::kDelegateRun, Error::kNone, 2);
    RL_CHECK(context.scratch.Allocate(64, 16) != nullptr, Reason::kScratchArena);
    float calls = 0;
    if (plan.with_state) {
      std::memcpy(&calls, row.state[0], sizeof calls);
      ++calls;
      std::memcpy(row.state[0], &calls, sizeof calls);
    }
    for (size_t i = 0; i < in.numel(); ++i) {
      out.mutable_data<float>()[i] = in.data<float>()[i] * plan.scale + plan.addend + calls;
    }
  }
  return kOk;
}

constexpr Delegate kDelegates[] = {{kTestDelegateId, Load, Info, Run}};

}  // namespace

std::vector<uint8_t> TestDelegatePayload(float scale, bool with_state) {
  std::vector<uint8_t> payload(kPayloadBytes);
  payload[0] = kVersion;
  payload[1] = with_state ? 1 : 0;
  std::memcpy(payload.data() + 2, &scale, sizeof scale);
  return payload;
}

Span<const Delegate> TestDelegates() { return kDelegates; }

}  // namespace rushlight::hostile
