// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Modules on threads.  Run under the thread sanitizer as well (cmake --preset tsan).

#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

#include "rushlight/describe.h"
#include "rushlight/memory_estimate.h"
#include "rushlight/module.h"
#include "src/compiler/program_builder.h"

namespace rushlight {
namespace {

using compiler::MethodBuilder;
using compiler::ProgramBuilder;
using compiler::TensorSpec;

constexpr int32_t kRows = 300, kColumns = 257;
constexpr uint64_t kBytes = uint64_t{kRows} * kColumns * sizeof(float);

TensorSpec Matrix(uint32_t memory_id, uint64_t offset) {
  TensorSpec spec;
  spec.scalar_type = static_cast<int8_t>(DType::kFloat32);
  spec.sizes = {kRows, kColumns};
  spec.memory_id = memory_id;
  spec.memory_offset = offset;
  return spec;
}

// forward(x): total += x + weight; returns softmax(total, dim 0), whose lines need scratch.
std::vector<uint8_t> MakeProgram() {
  ProgramBuilder builder;
  MethodBuilder m = builder.AddMethod("forward");
  std::vector<float> values(size_t{kRows} * kColumns);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 1013) / 500.0f;
  const Span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(values.data()), kBytes);
  TensorSpec weight = Matrix(0, 0);
  weight.constant = builder.AddConstant(bytes);
  TensorSpec total = Matrix(2, 0);
  total.constant = builder.AddInitialState(bytes);
  total.name = "total";
  const int32_t x = m.AddTensor(Matrix(1, 0));
  const int32_t w = m.AddTensor(weight);
  const int32_t t = m.AddTensor(total);
  const int32_t sum = m.AddTensor(Matrix(1, kBytes + 12));
  const int32_t y = m.AddTensor(Matrix(1, 2 * (kBytes + 12)));
  const int32_t add = m.AddOperator("aten::add", "out");
  m.AddKernelCall(add, {x, w, m.AddInt(1), sum, sum});
  m.AddKernelCall(add, {t, sum, m.AddInt(1), t, t});
  m.AddKernelCall(m.AddOperator("aten::_softmax", "out"), {t, m.AddInt(0), m.AddBool(false), y, y});
  m.SetInputs({x});
  m.SetOutputs({y});
  m.SetMemory({3 * (kBytes + 12), kBytes});
  return builder.ToBytes();
}

using Floats = std::vector<float>;

class ModuleThreads : public testing::Test {
 protected:
  ModuleThreads() : file_(MakeProgram()), team_({3, 3}) {}

  Result<Module> Load(size_t threads) {
    ModuleOptions options;
    options.threads = threads;
    options.team = &team_;
    return Module::FromBytes(file_, options);
  }
  // The outputs of some calls, each on another number of threads if `changing`.
  static Floats Run(Module& module, bool changing = false) {
    Floats all;
    HostTensor x(DType::kFloat32, {kRows, kColumns});
    for (size_t call = 0; call < 6; ++call) {
      float* const values = x.tensor().mutable_data<float>();
      for (size_t i = 0; i < x.tensor().numel(); ++i) {
        values[i] = static_cast<float>((i * (call + 7)) % 613) / 300.0f;
      }
      const Value inputs[] = {x};
      ExecuteOptions options;
      if (changing) options.threads = call % 5;  // 0, and more than there are
      const auto outputs = module.Execute("forward", inputs, options);
      EXPECT_TRUE(outputs.ok()) << Describe(outputs.error(), &module.program());
      if (!outputs.ok()) return all;
      const Tensor& y = (*outputs)[0].as_tensor();
      all.insert(all.end(), y.data<float>(), y.data<float>() + y.numel());
    }
    return all;
  }
  static bool Same(const Floats& a, const Floats& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
  }

  const std::vector<uint8_t> file_;
  ThreadTeam team_;
};

TEST_F(ModuleThreads, ResultsDoNotDependOnThem) {
  auto serial = Load(1);
  ASSERT_TRUE(serial.ok()) << Describe(serial.error());
  const Floats expected = Run(*serial);
  ASSERT_EQ(expected.size(), size_t{6} * kRows * kColumns);
  for (const size_t threads : {1, 2, 3}) {
    for (const bool changing : {false, true}) {
      auto module = Load(threads);
      ASSERT_TRUE(module.ok());
      EXPECT_EQ(module->options().threads, threads);
      EXPECT_TRUE(Same(Run(*module, changing), expected)) << threads;
    }
  }
}

TEST_F(ModuleThreads, NumberIsAtMostTheTeams) {
  auto many = Load(SIZE_MAX);
  ASSERT_TRUE(many.ok());
  EXPECT_EQ(many->options().threads, 3u);
  auto fitting = Load(0);
  ASSERT_TRUE(fitting.ok());
  EXPECT_GE(fitting->options().threads, 1u);
  EXPECT_LE(fitting->options().threads, 3u);
}

TEST_F(ModuleThreads, ScratchIsForThatMany) {
  auto module = Load(3);
  ASSERT_TRUE(module.ok());
  EstimateOptions options;
  const Result<MemoryEstimate> own = EstimateMemory(*module, "forward", options);
  options.threads = 1;
  const Result<MemoryEstimate> one = EstimateMemory(*module, "forward", options);
  ASSERT_TRUE(own.ok() && one.ok());
  EXPECT_EQ(own->scratch, 3 * one->scratch);
  EXPECT_GT(one->scratch, 0u);
}

// Conversations with one program, each on its own thread, all of them using the team.
TEST_F(ModuleThreads, ConversationsAtOnce) {
  auto module = Load(3);
  ASSERT_TRUE(module.ok());
  Module reference = module->Share();
  const Floats expected = Run(reference);
  Floats results[3];
  {
    std::vector<std::thread> threads;
    for (Floats& result : results) {
      threads.emplace_back([&] {
        Module mine = module->Share();
        result = Run(mine, true);
      });
    }
    for (std::thread& t : threads) t.join();
  }
  for (const Floats& result : results) EXPECT_TRUE(Same(result, expected));
}

}  // namespace
}  // namespace rushlight
