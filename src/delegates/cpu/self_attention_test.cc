// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Attention within groups against a double reference, and what is refused of groups and masks.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "rushlight/half.h"
#include "src/delegates/cpu/cpu.h"
#include "src/delegates/cpu/schema.h"

namespace rushlight::delegates::cpu {
namespace {

namespace fb = rushlight::fb::cpu;

constexpr uint32_t kMaxRows = 512, kMaxLength = 128;

struct Shape {
  uint32_t heads = 4, kv_heads = 2, key_size = 8, value_size = 5;
  size_t groups = 3, length = 20;
  bool causal = false;
  float soft_cap = 0;
  std::vector<int32_t> mask;  // its sizes
  fb::CacheType type = fb::CacheType_F32;
  uint32_t width() const { return heads * key_size + kv_heads * (key_size + value_size); }
  size_t rows() const { return groups * length; }
};

std::unique_ptr<fb::Rows> At(uint32_t argument, uint32_t column = 0) {
  return std::make_unique<fb::Rows>(true, argument, column);
}

// (queries, keys and values [B, S, width], mask) -> [B, S, heads * value_size]
fb::PlanT MakePlan(const Shape& s) {
  fb::PlanT plan;
  plan.version = 2;
  plan.max_rows = kMaxRows;
  const auto add = [&](fb::ArgumentKind kind, uint32_t width) {
    plan.arguments.push_back(std::make_unique<fb::ArgumentT>());
    plan.arguments.back()->kind = kind;
    plan.arguments.back()->width = width;
  };
  add(fb::ArgumentKind_ROWS_IN, s.width());
  add(fb::ArgumentKind_MASK, 0);
  add(fb::ArgumentKind_ROWS_OUT, s.heads * s.value_size);
  plan.arguments.back()->like = 0;
  fb::SelfAttentionT attention;
  attention.query = At(0);
  attention.key = At(0, s.heads * s.key_size);
  attention.value = At(0, (s.heads + s.kv_heads) * s.key_size);
  attention.out = At(2);
  attention.heads = s.heads;
  attention.kv_heads = s.kv_heads;
  attention.key_size = s.key_size;
  attention.value_size = s.value_size;
  attention.groups = std::make_unique<fb::Groups>(kMaxLength, 0);
  attention.causal = s.causal;
  attention.scale = 0.3f;
  attention.soft_cap = s.soft_cap;
  attention.mask = s.mask.empty() ? -1 : 1;
  attention.type = s.type;
  plan.steps.push_back(std::make_unique<fb::StepT>());
  plan.steps.back()->operation.Set(std::move(attention));
  return plan;
}

std::vector<float> Numbers(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> numbers(count);
  for (float& x : numbers) x = normal(random);
  return numbers;
}

class SelfAttention : public testing::Test {
 protected:
  Error Load(const fb::PlanT& plan) {
    flatbuffers::FlatBufferBuilder builder;
    fb::FinishPlanBuffer(builder, fb::Plan::Pack(builder, &plan));
    payload_.assign((builder.GetSize() + 15) / 16 * 2, 0);
    std::memcpy(payload_.data(), builder.GetBufferPointer(), builder.GetSize());
    PlanSource source{};
    source.payload = {reinterpret_cast<const uint8_t*>(payload_.data()), builder.GetSize()};
    source.arguments = plan.arguments.size();
    source.threads = 1;
    Arena arena(arena_, sizeof arena_);
    const Result<const void*> loaded = kDelegate.load(source, arena);
    if (!loaded.ok()) return loaded.error();
    plan_ = *loaded;
    return kOk;
  }

  // The result of rows and a mask of any sizes, in out_.
  Error Run(const Shape& s, std::vector<int32_t> row_sizes) {
    const PlanInfo info = kDelegate.info(plan_);
    std::vector<uint64_t> scratch(info.scratch_bytes / 8 + 8,
                                  0x7fc000007fc00000);  // what is not written is NaN
    Context context;
    context.scratch = Arena(scratch.data(), scratch.size() * 8);
    row_sizes.push_back(static_cast<int32_t>(s.width()));
    std::vector<int32_t> mask_sizes = s.mask.empty() ? std::vector<int32_t>{1} : s.mask;
    std::vector<int32_t> out_sizes = row_sizes;
    out_sizes.back() = static_cast<int32_t>(s.heads * s.value_size);
    rows_ = Numbers(s.rows() * s.width(), 1);
    if (s.type == fb::CacheType_BF16) {  // so that nothing is lost
      for (float& x : rows_) x = BFloat16(x);
    }
    size_t masked = 1;
    for (const int32_t size : mask_sizes) masked *= static_cast<size_t>(size);
    mask_ = Numbers(masked, 2);
    for (size_t i = 0; i < masked; i += 3) mask_[i] = -std::numeric_limits<float>::infinity();
    out_.assign(s.rows() * s.heads * s.value_size, 7);
    void *rows_data = rows_.data(), *mask_data = mask_.data(), *out_data = out_.data();
    Tensor rows(DType::kFloat32, rows_data, {row_sizes.data(), row_sizes.size()});
    Tensor mask(DType::kFloat32, mask_data, {mask_sizes.data(), mask_sizes.size()});
    Tensor out(DType::kFloat32, out_data, {out_sizes.data(), out_sizes.size()});
    Value table[] = {&rows, &mask, &out};
    const int32_t operands[] = {0, 1, 2};
    DelegateRow row;
    row.args = {table, operands, 3};
    return kDelegate.run(context, plan_, {&row, 1});
  }

  Error RunGroups(const Shape& s) {
    return Run(s, {static_cast<int32_t>(s.groups), static_cast<int32_t>(s.length)});
  }

  double MaskAt(const Shape& s, size_t group, size_t head, size_t row, size_t position) const {
    if (s.mask.empty()) return 0;
    const size_t at[] = {position, row, head, group};
    size_t index = 0, step = 1;
    for (size_t i = 0; i < s.mask.size(); ++i) {
      const auto size = static_cast<size_t>(s.mask[s.mask.size() - 1 - i]);
      index += (size == 1 ? 0 : at[i]) * step;
      step *= size;
    }
    return mask_[index];
  }

  void ExpectReference(const Shape& s) const {
    const auto row_of = [&](size_t group, size_t i) {
      return rows_.data() + (group * s.length + i) * s.width();
    };
    for (size_t group = 0; group < s.groups; ++group) {
      for (size_t h = 0; h < s.heads; ++h) {
        const size_t kv = h / (s.heads / s.kv_heads);
        for (size_t i = 0; i < s.length; ++i) {
          std::vector<double> sum(s.value_size);
          double total = 0;
          const size_t seen = s.causal ? i + 1 : s.length;
          for (size_t j = 0; j < seen; ++j) {
            double score = 0;
            for (size_t d = 0; d < s.key_size; ++d) {
              score += double{row_of(group, i)[h * s.key_size + d]} *
                       row_of(group, j)[(s.heads + kv) * s.key_size + d];
            }
            score *= 0.3f;
            if (s.soft_cap != 0) score = s.soft_cap * std::tanh(score / s.soft_cap);
            const double weight = std::exp(score + MaskAt(s, group, h, i, j));
            total += weight;
            for (size_t d = 0; d < s.value_size; ++d) {
              sum[d] +=
                  weight *
                  row_of(group, j)[(s.heads + s.kv_heads) * s.key_size + kv * s.value_size + d];
            }
          }
          for (size_t d = 0; d < s.value_size; ++d) {
            const size_t at = (group * s.length + i) * s.heads + h;
            ASSERT_NEAR(out_[at * s.value_size + d], total == 0 ? 0 : sum[d] / total, 2e-5)
                << group << " " << h << " " << i << " " << d;
          }
        }
      }
    }
  }

  alignas(64) uint8_t arena_[1 << 12] = {};
  std::vector<uint64_t> payload_;
  const void* plan_ = nullptr;
  std::vector<float> rows_, mask_, out_;
};

TEST_F(SelfAttention, IsWithinGroupsUnderEachMask) {
  const std::vector<int32_t> masks[] = {
      {}, {20}, {20, 20}, {4, 20, 20}, {3, 1, 1, 20}, {1, 4, 1, 20}, {3, 4, 20, 20}, {1, 1, 20, 20},
  };
  for (const std::vector<int32_t>& mask : masks) {
    for (const bool causal : {false, true}) {
      for (const uint32_t kv_heads : {4u, 2u, 1u}) {
        Shape s;
        s.mask = mask;
        s.causal = causal;
        s.kv_heads = kv_heads;
        s.soft_cap = causal ? 2 : 0;
        ASSERT_TRUE(Load(MakePlan(s)).ok());
        ASSERT_TRUE(RunGroups(s).ok());
        ExpectReference(s);
      }
    }
  }
}

TEST_F(SelfAttention, TakesAnyLengths) {
  for (const size_t length : {1, 2, 63, 64, 65, 128}) {
    for (const size_t groups : {1, 4}) {
      Shape s;
      s.length = length;
      s.groups = groups;
      s.mask = {static_cast<int32_t>(length)};
      ASSERT_TRUE(Load(MakePlan(s)).ok());
      ASSERT_TRUE(RunGroups(s).ok());
      ExpectReference(s);
    }
  }
}

TEST_F(SelfAttention, PacksKeysAndValuesInBF16) {
  for (const size_t length : {1, 17, 64, 100, 128}) {
    for (const std::vector<int32_t>& mask : {std::vector<int32_t>{}, {4, 1, 1, 0}}) {
      Shape s;
      s.type = fb::CacheType_BF16;
      s.length = length;
      s.groups = 4;
      s.causal = length == 100;
      s.mask = mask;
      if (!mask.empty()) s.mask.back() = static_cast<int32_t>(length);
      ASSERT_TRUE(Load(MakePlan(s)).ok());
      ASSERT_TRUE(RunGroups(s).ok());
      ExpectReference(s);
    }
  }
}

TEST_F(SelfAttention, RefusesGroupsAndMasksThatDoNotFit) {
  Shape s;
  const std::vector<int32_t> masks[] = {
      {19},          {21},           {1},        {20, 1},       {19, 20},        {2, 20, 20},
      {2, 1, 1, 20}, {3, 3, 20, 20}, {3, 4, 20}, {1, 3, 1, 20}, {1, 3, 1, 1, 20}};
  for (const std::vector<int32_t>& mask : masks) {
    s.mask = mask;
    ASSERT_TRUE(Load(MakePlan(s)).ok());
    EXPECT_FALSE(RunGroups(s).ok()) << testing::PrintToString(mask);
  }
  s.mask.clear();
  s.groups = 1;
  s.length = kMaxLength + 1;
  ASSERT_TRUE(Load(MakePlan(s)).ok());
  EXPECT_FALSE(RunGroups(s).ok());
  EXPECT_FALSE(Run(s, {}).ok());  // no size that would be the length
}

TEST_F(SelfAttention, RefusesPlansThatDoNotFit) {
  const std::function<void(fb::PlanT*, fb::SelfAttentionT*)> changes[] = {
      [](auto*, auto* s) { s->groups = nullptr; },
      [](auto*, auto* s) { s->groups = std::make_unique<fb::Groups>(0, 0); },
      [](auto*, auto* s) { s->groups = std::make_unique<fb::Groups>(kMaxRows + 1, 0); },
      [](auto*, auto* s) { s->groups = std::make_unique<fb::Groups>(8, 2); },
      [](auto*, auto* s) { s->groups = std::make_unique<fb::Groups>(8, 3); },
      [](auto*, auto* s) { s->groups = std::make_unique<fb::Groups>(8, -2); },
      [](auto*, auto* s) { s->heads = 0; },
      [](auto*, auto* s) { s->kv_heads = 0; },
      [](auto*, auto* s) { s->kv_heads = 3; },
      [](auto*, auto* s) { s->key_size = 33; },
      [](auto*, auto* s) { s->value_size = UINT32_MAX; },
      [](auto*, auto* s) { s->mask = 0; },
      [](auto*, auto* s) { s->mask = 3; },
      [](auto*, auto* s) { s->mask = -2; },
      [](auto*, auto* s) { s->sinks = 0; },
      [](auto*, auto* s) { s->type = fb::CacheType_F16; },
      [](auto*, auto* s) { s->type = fb::CacheType_I8; },
      [](auto*, auto* s) { s->out = At(0); },
      [](auto*, auto* s) { s->value = At(1); },
      [](auto* p, auto*) { p->row_argument = 1; },
      [](auto* p, auto*) { p->arguments[0]->single = true; },
      [](auto* p, auto*) { p->arguments[1]->single = true; },
      [](auto* p, auto*) { p->arguments[2]->single = true; },
      [](auto* p, auto*) { p->arguments[2]->like = 1; },
  };
  Shape shape;
  shape.mask = {20};
  ASSERT_TRUE(Load(MakePlan(shape)).ok());
  for (size_t i = 0; i < std::size(changes); ++i) {
    fb::PlanT plan = MakePlan(shape);
    changes[i](&plan, plan.steps[0]->operation.AsSelfAttention());
    EXPECT_FALSE(Load(plan).ok()) << i;
  }
}

}  // namespace
}  // namespace rushlight::delegates::cpu
