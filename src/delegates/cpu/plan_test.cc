// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Plans that no compiler wrote: refused when they are loaded, or when their arguments do not fit.

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <iterator>
#include <memory>
#include <vector>

#include "src/delegates/cpu/cpu.h"
#include "src/delegates/cpu/schema.h"
#include "src/kernels/attention/attention.h"
#include "src/kernels/packed/layout.h"

namespace rushlight::delegates::cpu {
namespace {

namespace fb = rushlight::fb::cpu;

constexpr uint32_t kTokens = 20, kWidth = 16, kMaxRows = 4, kPositions = 8;
constexpr size_t kPanelFloats = 2 * kernels::kPanelOutputs * kWidth;  // of 20 tokens

std::unique_ptr<fb::Rows> At(bool argument, uint32_t index, uint32_t column = 0) {
  return std::make_unique<fb::Rows>(argument, index, column);
}

template <class T>
void AddStep(fb::PlanT* plan, T step) {
  plan->steps.push_back(std::make_unique<fb::StepT>());
  plan->steps.back()->operation.Set(std::move(step));
}

std::unique_ptr<fb::ArgumentT> Argument(fb::ArgumentKind kind, uint32_t width,
                                        std::vector<int32_t> leading = {}) {
  auto argument = std::make_unique<fb::ArgumentT>();
  argument->kind = kind;
  argument->width = width;
  argument->leading = std::move(leading);
  return argument;
}

// (tokens [S], positions [S]) -> embedding, turned, attended [1, S, 16]
fb::PlanT MakePlan() {
  fb::PlanT plan;
  plan.version = 2;
  plan.max_rows = kMaxRows;
  plan.position_argument = 1;
  plan.vectors_key = "vectors";
  plan.vectors.emplace_back(0, kPositions * kWidth / 2);
  plan.arguments.push_back(Argument(fb::ArgumentKind_TOKENS, 0));
  plan.arguments.push_back(Argument(fb::ArgumentKind_POSITIONS, 0));
  plan.arguments.push_back(Argument(fb::ArgumentKind_ROWS_OUT, kWidth, {1, -1}));
  auto matrix = std::make_unique<fb::MatrixT>();
  matrix->key = "embedding";
  matrix->outputs = kTokens;
  matrix->inputs = kWidth;
  plan.matrices.push_back(std::move(matrix));
  auto cache = std::make_unique<fb::CacheT>();
  cache->keys = "keys";
  cache->values = "values";
  cache->heads = 1;
  cache->key_size = cache->value_size = kWidth;
  cache->positions = kPositions;
  plan.caches.push_back(std::move(cache));
  plan.buffers.emplace_back(0, kWidth, false);
  fb::EmbedT embed;
  embed.out = At(false, 0);
  AddStep(&plan, std::move(embed));
  fb::RopeT rope;
  rope.rows = At(false, 0);
  rope.heads = 1;
  rope.size = rope.rotary = kWidth;
  AddStep(&plan, std::move(rope));
  fb::AttentionT attention;
  attention.query = At(false, 0);
  attention.key = At(false, 0);
  attention.value = At(false, 0);
  attention.out = At(true, 2);
  attention.heads = 1;
  attention.scale = 1;
  AddStep(&plan, std::move(attention));
  return plan;
}

// A plan, and what it is called with.
class CpuPlan : public testing::Test {
 protected:
  Error Load(const fb::PlanT& plan) {
    flatbuffers::FlatBufferBuilder builder;
    fb::FinishPlanBuffer(builder, fb::Plan::Pack(builder, &plan));
    payload_.assign((builder.GetSize() + 15) / 16 * 2, 0);
    std::memcpy(payload_.data(), builder.GetBufferPointer(), builder.GetSize());
    return LoadPayload(builder.GetSize());
  }

  Error LoadPayload(size_t size) {
    PlanSource source{};
    source.payload = {reinterpret_cast<const uint8_t*>(payload_.data()), size};
    source.arguments = 3;
    source.threads = 1;
    source.data = DataMap(this, [](const void* self, std::string_view key, NamedBytes* out) {
      const auto& test = *static_cast<const CpuPlan*>(self);
      if (key == "embedding") {
        out->bytes = {reinterpret_cast<const uint8_t*>(test.panels_), sizeof test.panels_};
      } else if (key == "vectors") {
        out->bytes = {reinterpret_cast<const uint8_t*>(test.vectors_), sizeof test.vectors_};
      } else {
        return Error(Reason::kKeyNotFound);
      }
      return Error(kOk);
    });
    Arena arena(arena_, sizeof arena_);
    Result<const void*> loaded = kDelegate.load(source, arena);
    if (!loaded.ok()) return loaded.error();
    plan_ = *loaded;
    return kOk;
  }

  Error Run() {
    const PlanInfo info = kDelegate.info(plan_);
    std::vector<uint64_t> scratch(info.scratch_bytes / 8 + 8);
    Context context;
    context.scratch = Arena(scratch.data(), scratch.size() * 8);
    context.cancel = &cancel_;
    context.listener = &steps_;
    context.on_step = [](void* self, uint32_t step) {
      static_cast<std::vector<uint32_t>*>(self)->push_back(step);
    };
    constexpr size_t kFloats = kernels::BlockPositions(kPositions) * kWidth;
    std::vector<float> keys(kFloats), values(kFloats);
    void* const state[] = {keys.data(), values.data()};
    Tensor tokens(DType::kInt64, tokens_, {token_sizes_, 1});
    Tensor positions(DType::kInt64, positions_, {position_sizes_, 1});
    Tensor out(DType::kFloat32, output_, {out_sizes_, 3});
    out.set_read_only(read_only_);
    Value table[] = {&tokens, &positions, &out};
    const int32_t operands[] = {0, 1, 2};
    DelegateRow row;
    row.state = state;
    row.capacity = kPositions;
    row.args = {table, operands, 3};
    return kDelegate.run(context, plan_, {&row, 1});
  }

  Error LoadChanged(const std::function<void(fb::PlanT*)>& change) {
    fb::PlanT plan = MakePlan();
    change(&plan);
    return Load(plan);
  }

  alignas(64) float panels_[kPanelFloats] = {};
  alignas(64) float vectors_[kPositions * kWidth / 2] = {};
  alignas(64) uint8_t arena_[1 << 12] = {};
  std::vector<uint64_t> payload_;
  const void* plan_ = nullptr;
  int64_t tokens_[kMaxRows * kWidth / 2] = {3, 19, 0};  // as long as the output
  int64_t positions_[3] = {0, 1, 2};
  float results_[3 * kWidth] = {};
  void* output_ = results_;
  int32_t token_sizes_[1] = {3}, position_sizes_[1] = {3}, out_sizes_[3] = {1, 3, kWidth};
  bool read_only_ = false;
  std::atomic<bool> cancel_{false};
  std::vector<uint32_t> steps_;  // that began
};

TEST_F(CpuPlan, Runs) {
  for (float& v : vectors_) v = 1;
  for (float& p : panels_) p = 2;
  ASSERT_TRUE(Load(MakePlan()).ok());
  ASSERT_TRUE(Run().ok());
  EXPECT_NE(results_[3 * kWidth - 1], 0);
}

TEST_F(CpuPlan, CachesOfEveryType) {
  for (float& v : vectors_) v = 1;
  for (float& p : panels_) p = 2;
  const size_t bytes[] = {4 * kWidth, 2 * kWidth, 2 * kWidth, kWidth + sizeof(float)};
  for (int type = 0; type <= fb::CacheType_MAX; ++type) {
    SCOPED_TRACE(type);
    ASSERT_TRUE(LoadChanged([&](fb::PlanT* p) {
                  p->caches[0]->type = static_cast<fb::CacheType>(type);
                }).ok());
    for (const StateSpec& s : kDelegate.info(plan_).states) {
      EXPECT_EQ(s.bytes_per_position, bytes[type]);
      EXPECT_EQ(s.block, kernels::kAttentionBlock);
    }
    ASSERT_TRUE(Run().ok());
    // Both halves of a row of equal numbers, turned by the same angle.
    EXPECT_FLOAT_EQ(results_[3 * kWidth - 1], 4) << results_[0];
  }
}

TEST_F(CpuPlan, RefusesWhatWouldBeReadBeyondItsEnd) {
  const std::function<void(fb::PlanT*)> changes[] = {
      [](fb::PlanT* p) { p->steps.clear(); },
      [](fb::PlanT* p) { p->arguments[0]->single = true; },
      [](fb::PlanT* p) { p->arguments[1]->single = true; },
      [](fb::PlanT* p) {
        p->arguments[2]->leading = {65536, 65536, 65536, 65536};
      },
      [](fb::PlanT* p) {
        p->arguments[2]->leading = {-1, -1};
      },
      [](fb::PlanT* p) { p->arguments[2]->like = 2; },
      [](fb::PlanT* p) { p->arguments.pop_back(); },
      [](fb::PlanT* p) { p->row_argument = 3; },
      [](fb::PlanT* p) { p->position_argument = 0; },
      [](fb::PlanT* p) { p->position_argument = -1; },
      [](fb::PlanT* p) { p->max_rows = 0; },
      [](fb::PlanT* p) { p->max_rows = UINT32_MAX; },
      [](fb::PlanT* p) { p->matrices[0]->inputs = kWidth + 1; },
      [](fb::PlanT* p) { p->matrices[0]->outputs = 33; },
      [](fb::PlanT* p) { p->matrices[0]->key = "other"; },
      [](fb::PlanT* p) { p->vectors[0] = fb::Vector(0, UINT64_MAX); },
      [](fb::PlanT* p) { p->vectors[0] = fb::Vector(4, kPositions * kWidth / 2); },
      [](fb::PlanT* p) { p->vectors[0] = fb::Vector(2, 1); },
      [](fb::PlanT* p) { p->vectors[0] = fb::Vector(0, 7); },
      [](fb::PlanT* p) { p->caches[0]->heads = 0; },
      [](fb::PlanT* p) { p->caches[0]->value_size = 2 * kWidth; },
      [](fb::PlanT* p) { p->caches[0]->type = static_cast<fb::CacheType>(fb::CacheType_MAX + 1); },
      [](fb::PlanT* p) { p->caches[0]->positions = UINT32_MAX; },
      [](fb::PlanT* p) { p->buffers[0] = fb::Buffer(0, kWidth - 1, false); },
      [](fb::PlanT* p) { p->buffers[0] = fb::Buffer(8, kWidth, false); },
      [](fb::PlanT* p) { p->buffers[0] = fb::Buffer(0, kWidth, true); },
      [](fb::PlanT* p) { p->steps[0]->operation.AsEmbed()->out = At(false, 1); },
      [](fb::PlanT* p) { p->steps[0]->operation.AsEmbed()->out = At(false, 0, 1); },
      [](fb::PlanT* p) { p->steps[0]->operation.AsEmbed()->out = At(true, 0); },
      [](fb::PlanT* p) { p->steps[0]->operation.AsEmbed()->out = nullptr; },
      [](fb::PlanT* p) { p->steps[0]->operation.AsEmbed()->tokens = 1; },
      [](fb::PlanT* p) { p->steps[0]->operation.AsEmbed()->matrix = 1; },
      [](fb::PlanT* p) { p->steps[1]->operation.AsRope()->rotary = 3; },
      [](fb::PlanT* p) { p->steps[1]->operation.AsRope()->heads = 2; },
      [](fb::PlanT* p) { p->steps[1]->operation.AsRope()->cos = 1; },
      [](fb::PlanT* p) { p->steps[2]->operation.AsAttention()->cache = 1; },
      [](fb::PlanT* p) { p->steps[2]->operation.AsAttention()->heads = 2; },
      [](fb::PlanT* p) { p->steps[2]->operation.AsAttention()->sinks = -2; },
  };
  ASSERT_TRUE(Load(MakePlan()).ok());
  for (size_t i = 0; i < std::size(changes); ++i) EXPECT_FALSE(LoadChanged(changes[i]).ok()) << i;
  EXPECT_EQ(LoadChanged([](fb::PlanT* p) {
              p->matrices[0]->scale = static_cast<fb::ScaleType>(fb::ScaleType_MAX + 1);
            }).reason,
            Reason::kDelegatePayload);
  EXPECT_EQ(LoadChanged([](fb::PlanT* p) { p->version = 1; }).reason, Reason::kDelegateVersion);
}

TEST_F(CpuPlan, RefusesStepsWithoutTheirOperation) {
  ASSERT_TRUE(Load(MakePlan()).ok());
  const fb::Step& step = *fb::GetPlan(payload_.data())->steps()->Get(0);
  const auto& table = reinterpret_cast<const flatbuffers::Table&>(step);
  const uint16_t nowhere = 0;
  std::memcpy(const_cast<uint8_t*>(table.GetVTable()) + fb::Step::VT_OPERATION, &nowhere,
              sizeof nowhere);
  EXPECT_EQ(LoadPayload(payload_.size() * 8).reason, Reason::kDelegatePayload);
}

TEST_F(CpuPlan, RefusesStructsThatLieAskew) {
  ASSERT_TRUE(Load(MakePlan()).ok());
  const size_t size = payload_.size() * 8;
  payload_.resize(payload_.size() + 4);  // a vector of one, four bytes off, at the end
  auto* const bytes = reinterpret_cast<uint8_t*>(payload_.data());
  const uint32_t one = 1;
  const fb::Vector vector(0, kPositions * kWidth / 2);
  std::memcpy(bytes + size, &one, sizeof one);
  std::memcpy(bytes + size + 4, &vector, sizeof vector);
  const auto& plan = reinterpret_cast<const flatbuffers::Table&>(*fb::GetPlan(bytes));
  uint8_t* const field = const_cast<uint8_t*>(plan.GetAddressOf(fb::Plan::VT_VECTORS));
  const auto offset = static_cast<uint32_t>(bytes + size - field);
  std::memcpy(field, &offset, sizeof offset);
  EXPECT_EQ(LoadPayload(payload_.size() * 8).reason, Reason::kDelegatePayload);
}

TEST_F(CpuPlan, TellsOfItsSteps) {
  ASSERT_TRUE(Load(MakePlan()).ok());
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(steps_, (std::vector<uint32_t>{0, 1, 2}));
}

TEST_F(CpuPlan, StopsBetweenSteps) {
  ASSERT_TRUE(Load(MakePlan()).ok());
  cancel_ = true;
  EXPECT_EQ(Run().reason, Reason::kCancelFlag);
}

TEST_F(CpuPlan, RefusesArgumentsThatDoNotFit) {
  ASSERT_TRUE(Load(MakePlan()).ok());
  tokens_[1] = kTokens;
  EXPECT_EQ(Run().reason, Reason::kIndexOutOfRange);
  tokens_[1] = 0;
  positions_[2] = 1;
  EXPECT_EQ(Run().reason, Reason::kArgumentValue);
  positions_[2] = 2;
  position_sizes_[0] = 2;
  EXPECT_EQ(Run().reason, Reason::kArgumentSize);
  position_sizes_[0] = 3;
  read_only_ = true;
  EXPECT_EQ(Run().reason, Reason::kArgumentReadOnly);
  read_only_ = false;
  output_ = nullptr;
  EXPECT_EQ(Run().reason, Reason::kArgumentNull);
  output_ = tokens_;
  EXPECT_EQ(Run().reason, Reason::kArgumentOverlap);
  output_ = results_;
  EXPECT_TRUE(Run().ok());
}

}  // namespace
}  // namespace rushlight::delegates::cpu
