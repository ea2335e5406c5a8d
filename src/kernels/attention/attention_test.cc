// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/attention/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "rushlight/half.h"
#include "src/kernels/packed/matmul.h"
#include "src/kernels/vector/kernel_test.h"

namespace rushlight::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Case {
  DType type;
  size_t kv_heads, group, key_size, value_size, m, length, first_position;
  bool causal;
  size_t window;
  float soft_cap;
  bool sinks, mask;
};

// A cache, queries and what else there may be; Run attends with all or some of the rows.
struct Problem {
  Case c;
  std::vector<float> k, v, q, sinks, mask;  // k, v: [length, kv_heads, size]
  std::vector<float> stored_k, stored_v;    // as the cache has them
  std::vector<uint8_t> keys, values;
  AttentionArgs args = {};

  Problem(const Case& a, std::mt19937& random, bool hostile = false) : c(a) {
    const auto make = hostile ? HostileFloats : RandomFloats;
    const size_t capacity = BlockPositions(c.length + 5), heads = c.kv_heads * c.group;
    k = make(c.length * c.kv_heads * c.key_size, random);
    v = make(c.length * c.kv_heads * c.value_size, random);
    stored_k = Stored(k, c.key_size);
    stored_v = Stored(v, c.value_size);
    q = make(c.m * heads * c.key_size, random);
    sinks = make(heads, random);
    mask = make(c.m * (c.length + 1), random);
    for (size_t i = 0; i < mask.size(); i += 5) mask[i] = -kInfinity;
    // What nobody wrote is NaN.
    args.cache = {c.type, nullptr, nullptr, c.kv_heads, c.key_size, c.value_size};
    keys.assign(capacity * KeyBytes(args.cache), 0xff);
    values.assign(capacity * ValueBytes(args.cache), 0xff);
    args.cache.keys = keys.data();
    args.cache.values = values.data();
    args.heads = heads;
    args.length = c.length;
    args.causal = c.causal;
    args.window = c.window;
    args.scale = 0.3f;
    args.soft_cap = c.soft_cap;
    args.sinks = c.sinks ? sinks.data() : nullptr;
    args.mask_stride = c.length + 1;
    args.q_stride = heads * c.key_size;
    args.out_stride = heads * c.value_size;
    // In two pieces, heads apart.
    const size_t half = c.length / 2;
    for (size_t head = 0; head < c.kv_heads; ++head) {
      Append(0, half, head);
      Append(half, c.length - half, head);
    }
  }
  void Append(size_t position, size_t rows, size_t head) {
    const size_t ks = c.kv_heads * c.key_size, vs = c.kv_heads * c.value_size;
    std::vector<int8_t> quantized(QuantizedStride(std::max(c.key_size, c.value_size)));
    AppendToCache({args.cache, position, rows, k.data() + position * ks, ks,
                   v.data() + position * vs, vs, head, head + 1,
                   kIntegerKernels[Isa::kScalar].quantize, quantized.data()});
  }
  // Rows [row, row + m), the items one by one from the last.
  std::vector<float> Run(Isa isa, size_t row, size_t m) {
    std::vector<float> out(m * args.out_stride, -7), scratch(AttentionScratch(args.cache));
    AttentionArgs a = args;
    a.q = q.data() + row * a.q_stride;
    a.out = out.data();
    a.m = m;
    a.first_position = c.first_position + row;
    a.mask = c.mask ? mask.data() + row * a.mask_stride : nullptr;
    a.scratch = scratch.data();
    for (size_t item = AttentionItems(a); item-- > 0;) {
      std::fill(scratch.begin(), scratch.end(), std::nanf(""));
      a.begin = item;
      a.end = item + 1;
      kTiledAttention[isa](a);  // kAttention's, but for AMX
    }
    return out;
  }
  // Rows of `size` as a cache keeps them.
  std::vector<float> Stored(std::vector<float> x, size_t size) const {
    for (size_t row = 0; row < x.size(); row += size) {
      float largest = 0;
      for (size_t d = 0; d < size; ++d) largest = std::max(largest, std::abs(x[row + d]));
      const double inverse = 127.0f / largest;
      for (size_t d = 0; d < size; ++d) {
        float& y = x[row + d];
        y = c.type == DType::kBFloat16  ? static_cast<float>(BFloat16(y))
            : c.type == DType::kFloat16 ? static_cast<float>(Float16(y))
            : c.type == DType::kInt8
                ? static_cast<float>(std::nearbyint(y * inverse)) * (largest / 127.0f)
                : y;
      }
    }
    return x;
  }
  std::vector<float> Reference() const {
    std::vector<float> out(c.m * args.out_stride);
    for (size_t row = 0; row < c.m; ++row) {
      for (size_t head = 0; head < args.heads; ++head) {
        const size_t kv = head / c.group, position = c.first_position + row;
        size_t begin = 0, end = c.causal ? std::min(c.length, position + 1) : c.length;
        if (c.window != 0 && position + 1 > c.window) begin = position + 1 - c.window;
        std::vector<double> sum(c.value_size), weights(c.length);
        double highest = c.sinks ? sinks[head] : -kInfinity, total = 0;
        for (size_t i = begin; i < end; ++i) {
          double score = 0;
          for (size_t d = 0; d < c.key_size; ++d) {
            score += static_cast<double>(q[(row * args.heads + head) * c.key_size + d]) *
                     stored_k[(i * c.kv_heads + kv) * c.key_size + d];
          }
          score *= args.scale;
          if (c.soft_cap != 0) score = c.soft_cap * std::tanh(score / c.soft_cap);
          if (c.mask) score += mask[row * args.mask_stride + i];
          weights[i] = score;
          highest = std::max(highest, score);
        }
        if (c.sinks) total = std::exp(sinks[head] - highest);
        for (size_t i = begin; i < end; ++i) {
          const double weight = std::isinf(highest) ? 0 : std::exp(weights[i] - highest);
          total += weight;
          for (size_t d = 0; d < c.value_size; ++d) {
            sum[d] += weight * stored_v[(i * c.kv_heads + kv) * c.value_size + d];
          }
        }
        for (size_t d = 0; d < c.value_size; ++d) {
          out[(row * args.heads + head) * c.value_size + d] =
              static_cast<float>(total == 0 ? 0 : sum[d] / total);
        }
      }
    }
    return out;
  }
};

constexpr DType kF32 = DType::kFloat32, kBF16 = DType::kBFloat16, kF16 = DType::kFloat16,
                kI8 = DType::kInt8;

constexpr Case kCases[] = {
    // type, kv_heads, group, key, value, m, length, first, causal, window, cap, sinks, mask
    {kF32, 3, 3, 64, 64, 1, 200, 199, true, 0, 0, false, false},    // decode
    {kBF16, 2, 7, 64, 64, 1, 129, 128, true, 0, 0, false, false},   //
    {kF16, 1, 4, 128, 128, 1, 64, 63, true, 0, 0, false, false},    //
    {kF32, 2, 3, 64, 64, 70, 70, 0, true, 0, 0, false, false},      // prefill
    {kBF16, 2, 2, 32, 32, 50, 150, 100, true, 0, 0, false, false},  // behind a prefix
    {kF16, 1, 4, 64, 64, 30, 130, 100, true, 20, 0, false, false},  // sliding window
    {kF32, 1, 1, 256, 256, 9, 100, 91, true, 70, 50, true, false},  // all there is
    {kBF16, 1, 8, 64, 64, 20, 180, 160, true, 0, 0, true, true},
    {kF32, 4, 1, 48, 80, 17, 90, 0, false, 0, 0, false, false},  // an encoder
    {kF16, 2, 1, 80, 48, 17, 90, 0, false, 0, 5, false, true},
    {kF32, 2, 3, 20, 13, 5, 70, 65, true, 0, 0, false, true},  // odd sizes
    {kBF16, 2, 3, 21, 7, 5, 70, 65, true, 0, 0, false, false},
    {kF16, 1, 1, 1, 1, 3, 3, 0, true, 0, 0, false, false},
    {kF32, 1, 2, 16, 16, 4, 10, 20, true, 5, 0, false, false},  // windows behind the end: 0
    {kF32, 1, 2, 16, 16, 4, 0, 0, true, 0, 0, true, false},     // nothing to see
    {kI8, 3, 3, 64, 64, 1, 200, 199, true, 0, 0, false, false},
    {kI8, 2, 3, 64, 64, 70, 70, 0, true, 0, 0, false, false},
    {kI8, 1, 4, 128, 128, 30, 130, 100, true, 20, 0, false, false},
    {kI8, 1, 1, 256, 256, 9, 100, 91, true, 70, 50, true, false},
    {kI8, 2, 2, 80, 48, 17, 190, 160, false, 0, 5, false, true},
    {kI8, 2, 3, 21, 13, 5, 70, 65, true, 0, 0, true, true},
    {kI8, 3, 1, 1, 1, 3, 3, 0, true, 0, 0, false, false},
};

// Tiles of AMX sum in an order of their own, floats in two parts.
bool OwnOrder(Isa isa, const Case& c) { return isa == Isa::kAmx && c.type == kBF16; }

TEST(Attention, AgreesWithDouble) {
  std::mt19937 random(1);
  for (const Case& c : kCases) {
    Problem problem(c, random);
    const std::vector<float> want = problem.Reference();
    for (const Isa isa : RunnableIsas()) {
      SCOPED_TRACE(testing::Message() << Info(isa).name << " case " << &c - kCases);
      const std::vector<float> got = problem.Run(isa, 0, c.m);
      const double near = OwnOrder(isa, c) ? 5e-5 : 1e-5;
      for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], near) << i;
    }
  }
}

TEST(Attention, PrefillIsDecodeBitForBit) {
  std::mt19937 random(2);
  for (const Case& c : kCases) {
    for (const bool hostile : {false, true}) {
      Problem problem(c, random, hostile);
      std::vector<float> first;
      for (const Isa isa : RunnableIsas()) {
        SCOPED_TRACE(testing::Message() << Info(isa).name << " case " << &c - kCases << hostile);
        const std::vector<float> all = problem.Run(isa, 0, c.m);
        if (!OwnOrder(isa, c)) {
          if (first.empty()) first = all;
          ExpectSameBits(all, first);
        }
        std::vector<float> rows;
        for (size_t row = 0; row < c.m; ++row) {
          const std::vector<float> one = problem.Run(isa, row, 1);
          rows.insert(rows.end(), one.begin(), one.end());
        }
        ExpectSameBits(rows, all);
      }
    }
  }
}

TEST(Attention, WholeRowOfMinusInfinityIsZero) {
  std::mt19937 random(3);
  Problem problem({kF32, 1, 2, 16, 16, 2, 80, 0, false, 0, 0, false, true}, random);
  std::fill(problem.mask.begin(), problem.mask.begin() + 81, -kInfinity);
  for (const Isa isa : RunnableIsas()) {
    const std::vector<float> out = problem.Run(isa, 0, 2);
    for (int i = 0; i < 32; ++i) ASSERT_EQ(out[i], 0) << Info(isa).name;
    ASSERT_NE(out[32], 0);
  }
}

TEST(Attention, NanInAValueStaysWithThoseWhoSeeIt) {
  std::mt19937 random(4);
  Problem problem({kF32, 1, 1, 16, 16, 3, 3, 0, true, 0, 0, false, false}, random);
  problem.v[1 * 16 + 4] = std::nanf("");
  problem.Append(0, 3, 0);
  for (const Isa isa : RunnableIsas()) {
    const std::vector<float> out = problem.Run(isa, 0, 3);
    EXPECT_FALSE(std::isnan(out[4]));
    EXPECT_TRUE(std::isnan(out[16 + 4]));
    EXPECT_FALSE(std::isnan(out[16 + 5]));
    EXPECT_TRUE(std::isnan(out[32 + 4]));
  }
}

// Quantized, a vector is not finite as a whole, until another one takes its place.
TEST(Attention, WhatIsNotFiniteIsNanInInt8) {
  std::mt19937 random(5);
  Problem problem({kI8, 1, 1, 16, 16, 3, 3, 0, true, 0, 0, false, false}, random);
  for (std::vector<float>* x : {&problem.k, &problem.v}) {
    for (const float wrong : {std::nanf(""), kInfinity, -kInfinity}) {
      float& place = (*x)[1 * 16 + 4];
      const float right = std::exchange(place, wrong);
      problem.Append(1, 1, 0);
      for (const Isa isa : RunnableIsas()) {
        const std::vector<float> out = problem.Run(isa, 0, 3);
        for (int i = 0; i < 48; ++i) ASSERT_EQ(std::isnan(out[i]), i >= 16) << i;
      }
      place = right;
      problem.Append(1, 1, 0);
      for (const float y : problem.Run(Isa::kScalar, 0, 3)) ASSERT_TRUE(std::isfinite(y));
    }
  }
}

TEST(Attention, TinyNumbersAreZeroInInt8) {
  std::mt19937 random(6);
  Problem problem({kI8, 1, 1, 16, 16, 1, 2, 1, true, 0, 0, false, false}, random);
  std::fill(problem.v.begin(), problem.v.end(), 1e-42f);
  problem.Append(0, 2, 0);
  for (const Isa isa : RunnableIsas()) {
    for (const float y : problem.Run(isa, 0, 1)) ASSERT_EQ(y, 0);
  }
}

}  // namespace
}  // namespace rushlight::kernels
