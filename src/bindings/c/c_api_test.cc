// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause
#include "rushlight/c_api.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "src/compiler/program_builder.h"

namespace {

using rushlight::compiler::MethodBuilder;
using rushlight::compiler::ProgramBuilder;
using rushlight::compiler::TensorSpec;

constexpr int8_t kFloat32 = 6;

TensorSpec Planned(std::vector<int32_t> sizes, uint64_t offset) {
  TensorSpec spec;
  spec.scalar_type = kFloat32;
  spec.sizes = std::move(sizes);
  spec.dynamic = true;
  spec.memory_id = 1;
  spec.memory_offset = offset;
  return spec;
}

// forward(x [<= 4], y [<= 4]) -> x + y;  spin() never ends;  version() -> 7, 0.5, true, "text".
std::vector<uint8_t> File() {
  ProgramBuilder program;
  MethodBuilder forward = program.AddMethod("forward");
  const int32_t x = forward.AddTensor(Planned({4}, 0));
  const int32_t y = forward.AddTensor(Planned({4}, 16));
  const int32_t one = forward.AddInt(1);
  const int32_t sum = forward.AddTensor(Planned({4}, 32));
  forward.AddKernelCall(forward.AddOperator("aten::add", "out"), {x, y, one, sum, sum});
  forward.SetInputs({x, y});
  forward.SetOutputs({sum});
  forward.SetMemory({48});

  MethodBuilder spin = program.AddMethod("spin");
  spin.AddJumpFalse(spin.AddBool(false), 0);
  spin.SetMemory({});

  MethodBuilder version = program.AddMethod("version");
  version.SetOutputs({version.AddInt(7), version.AddDouble(0.5), version.AddBool(true),
                      version.AddString("text")});
  version.SetMemory({});
  return program.ToBytes();
}

struct Free {
  void operator()(RlModule* m) const { rl_module_free(m); }
};
using ModulePtr = std::unique_ptr<RlModule, Free>;

class CApi : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector<uint8_t> file = File();
    memory_.reset(static_cast<uint8_t*>(std::aligned_alloc(16, (file.size() + 15) & ~size_t{15})));
    std::copy(file.begin(), file.end(), memory_.get());
    module_.reset(rl_module_from_bytes(memory_.get(), file.size(), nullptr, &error_));
    ASSERT_NE(module_, nullptr) << error_.message;
  }

  bool Run(RlModule* module, const std::vector<RlValue>& inputs, RlValue* output) {
    size_t count = 1;
    return rl_module_execute(module, "forward", inputs.data(), inputs.size(), output, &count,
                             nullptr, &error_);
  }

  struct FreeMemory {
    void operator()(uint8_t* p) const { std::free(p); }
  };
  std::unique_ptr<uint8_t, FreeMemory> memory_;
  ModulePtr module_;
  RlError error_;
};

TEST_F(CApi, Runs) {
  float x[] = {1, 2, 3};
  float y[] = {10, 20, 30};
  const int32_t sizes[] = {3};
  RlValue out;
  ASSERT_TRUE(Run(module_.get(),
                  {rl_tensor(RL_FLOAT32, 1, sizes, x), rl_tensor(RL_FLOAT32, 1, sizes, y)}, &out))
      << error_.message;
  ASSERT_EQ(out.kind, RL_TENSOR);
  EXPECT_EQ(out.u.as_tensor.dtype, RL_FLOAT32);
  ASSERT_EQ(out.u.as_tensor.nbytes, sizeof x);
  const auto* sum = static_cast<const float*>(out.u.as_tensor.data);
  EXPECT_EQ(std::vector<float>(sum, sum + 3), (std::vector<float>{11, 22, 33}));
}

TEST_F(CApi, Describes) {
  EXPECT_STREQ(rl_version(), "0.1.0");
  ASSERT_EQ(rl_module_method_count(module_.get()), 3u);
  EXPECT_STREQ(rl_module_method_name(module_.get(), 1), "spin");
  EXPECT_EQ(rl_module_method_name(module_.get(), 3), nullptr);
  size_t inputs = 0, outputs = 0;
  ASSERT_TRUE(rl_module_method_arity(module_.get(), "forward", &inputs, &outputs, &error_));
  EXPECT_EQ(inputs, 2u);
  EXPECT_EQ(outputs, 1u);
  RlValue info;
  ASSERT_TRUE(rl_module_input_info(module_.get(), "forward", 1, &info, &error_));
  EXPECT_EQ(info.kind, RL_TENSOR);
  EXPECT_EQ(info.u.as_tensor.sizes[0], 4);
  EXPECT_EQ(info.u.as_tensor.nbytes, 16u);
  EXPECT_TRUE(info.u.as_tensor.dynamic);
  EXPECT_FALSE(rl_module_output_info(module_.get(), "forward", 1, &info, &error_));
  EXPECT_NE(std::string(error_.message).find("there is no output 1"), std::string::npos)
      << error_.message;
}

TEST_F(CApi, ValuesOfEveryKind) {
  RlValue out[4];
  size_t count = 4;
  ASSERT_TRUE(
      rl_module_execute(module_.get(), "version", nullptr, 0, out, &count, nullptr, &error_))
      << error_.message;
  ASSERT_EQ(count, 4u);
  EXPECT_EQ(out[0].u.as_int, 7);
  EXPECT_EQ(out[1].u.as_double, 0.5);
  EXPECT_EQ(out[2].kind, RL_BOOLEAN);
  EXPECT_TRUE(out[2].u.as_bool);
  EXPECT_EQ(std::string(out[3].u.as_string.data, out[3].u.as_string.size), "text");
  count = 1;  // less room than outputs
  ASSERT_TRUE(
      rl_module_execute(module_.get(), "version", nullptr, 0, out, &count, nullptr, &error_));
  EXPECT_EQ(count, 4u);
}

TEST_F(CApi, Refuses) {
  float x[] = {1, 2, 3, 4, 5};
  const int32_t five[] = {5};
  const int32_t negative[] = {-1};
  RlValue out;
  const RlValue good = rl_tensor(RL_FLOAT32, 1, (const int32_t[]){2}, x);
  EXPECT_FALSE(Run(module_.get(), {good}, &out));
  EXPECT_FALSE(Run(module_.get(), {good, rl_tensor(RL_FLOAT32, 1, five, x)}, &out));
  EXPECT_FALSE(Run(module_.get(), {good, rl_tensor(RL_FLOAT32, 1, negative, x)}, &out));
  EXPECT_FALSE(Run(module_.get(), {good, rl_tensor(RL_INT64, 1, (const int32_t[]){2}, x)}, &out));
  EXPECT_FALSE(Run(module_.get(), {good, rl_tensor(99, 1, five, x)}, &out));
  EXPECT_FALSE(Run(module_.get(), {good, rl_tensor(RL_FLOAT32, 99, nullptr, x)}, &out));
  EXPECT_FALSE(Run(module_.get(), {good, rl_tensor(RL_FLOAT32, 1, five, nullptr)}, &out));
  EXPECT_FALSE(Run(module_.get(), {good, rl_int(3)}, &out));
  RlValue order = good;
  order.u.as_tensor.dim_order[0] = 7;
  EXPECT_FALSE(Run(module_.get(), {good, order}, &out));
  RlValue other = good;
  other.kind = RL_OTHER;
  EXPECT_FALSE(Run(module_.get(), {good, other}, &out));
  EXPECT_NE(error_.code, 0);
  EXPECT_NE(error_.executorch_code, 0);
  EXPECT_FALSE(rl_module_load_method(module_.get(), "nothing", nullptr));
  EXPECT_EQ(rl_module_load("/nowhere.pte", nullptr, &error_), nullptr);
  EXPECT_EQ(rl_module_from_bytes(memory_.get(), 20, nullptr, &error_), nullptr);
  EXPECT_TRUE(Run(module_.get(), {good, good}, &out)) << error_.message;
}

TEST_F(CApi, Budgets) {
  RlExecuteOptions options = {};
  options.max_instructions = 100;
  EXPECT_FALSE(
      rl_module_execute(module_.get(), "spin", nullptr, 0, nullptr, nullptr, &options, &error_));
  EXPECT_NE(std::string(error_.message).find("100"), std::string::npos) << error_.message;
  options.max_instructions = UINT64_MAX;
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    rl_module_cancel(module_.get());
  });
  EXPECT_FALSE(
      rl_module_execute(module_.get(), "spin", nullptr, 0, nullptr, nullptr, &options, &error_));
  canceller.join();
}

TEST_F(CApi, Threads) {
  RlOptions load = {};
  load.threads = 2;
  const auto file = File();
  const ModulePtr module(rl_module_from_bytes(memory_.get(), file.size(), &load, &error_));
  ASSERT_NE(module, nullptr) << error_.message;
  float x[] = {1, 2}, y[] = {10, 20};
  const int32_t sizes[] = {2};
  const RlValue inputs[] = {rl_tensor(RL_FLOAT32, 1, sizes, x), rl_tensor(RL_FLOAT32, 1, sizes, y)};
  for (const size_t threads : {size_t{0}, size_t{1}, size_t{2}, SIZE_MAX}) {
    RlExecuteOptions options = {};
    options.threads = threads;
    RlValue out;
    size_t count = 1;
    ASSERT_TRUE(
        rl_module_execute(module.get(), "forward", inputs, 2, &out, &count, &options, &error_))
        << error_.message;
    EXPECT_EQ(static_cast<float*>(out.u.as_tensor.data)[1], 22);
  }
}

TEST_F(CApi, Shares) {
  const ModulePtr other(rl_module_share(module_.get(), &error_));
  ASSERT_NE(other, nullptr);
  float x[] = {1}, y[] = {2}, z[] = {40};
  const int32_t one[] = {1};
  const RlValue a = rl_tensor(RL_FLOAT32, 1, one, x), b = rl_tensor(RL_FLOAT32, 1, one, y),
                c = rl_tensor(RL_FLOAT32, 1, one, z);
  RlValue first, second;
  ASSERT_TRUE(Run(module_.get(), {a, b}, &first));
  ASSERT_TRUE(Run(other.get(), {b, c}, &second));
  EXPECT_EQ(*static_cast<float*>(first.u.as_tensor.data), 3);
  EXPECT_EQ(*static_cast<float*>(second.u.as_tensor.data), 42);
}

}  // namespace
