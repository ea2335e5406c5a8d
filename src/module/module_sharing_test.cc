// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "rushlight/describe.h"
#include "rushlight/module.h"
#include "tests/hostile/cpu_plans.h"
#include "tests/hostile/seeds.h"
#include "tests/hostile/test_delegate.h"

namespace rushlight {
namespace {

using Floats = std::vector<float>;

Floats FloatsOf(const Value& value) {
  const Tensor& t = value.as_tensor();
  return {t.data<float>(), t.data<float>() + t.numel()};
}

std::string WriteFile(const std::string& name, const std::vector<uint8_t>& bytes) {
  const std::string path = testing::TempDir() + "/module_sharing_test_" + name;
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  return path;
}

// The seed of that name, as files.
Result<Module> Load(const std::string& name, ModuleOptions options = {}) {
  const hostile::Seed seed = hostile::MakeSeed(name);
  if (!seed.data.empty()) options.data_files = {WriteFile(name + ".ptd", seed.data)};
  options.delegates = hostile::TestDelegates();
  return Module::Load(WriteFile(name + ".pte", seed.program), options);
}

Floats Execute(Module& module, const std::string& method, Span<const Value> inputs) {
  const auto outputs = module.Execute(method, inputs);
  EXPECT_TRUE(outputs.ok()) << Describe(outputs.error(), &module.program());
  return outputs.ok() ? FloatsOf((*outputs)[0]) : Floats();
}

TEST(ModuleSharing, MethodsShareNamedState) {
  auto module = Load("two_methods");
  ASSERT_TRUE(module.ok()) << Describe(module.error());
  const HostTensor x(DType::kFloat32, {2}, {1.0f, 1.0f});
  const HostTensor rows(DType::kFloat32, {3, 2}, {1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f});
  const Value one[] = {x};
  const Value three[] = {rows};
  // The counter begins at (1, 2); weights are (2, 3), and prefill adds (0.5, 0.25) once.
  EXPECT_EQ(Execute(*module, "decode", one), (Floats{3.0f, 5.0f}));
  EXPECT_EQ(Execute(*module, "prefill", three), (Floats{9.5f, 14.25f}));
  EXPECT_EQ(Execute(*module, "decode", one), (Floats{11.5f, 17.25f}));
  EXPECT_EQ((*module->Execute("get_max_seq_len", {}))[0].as_int(), 128);

  // Another module of the file has state of its own, and begins anew.
  Module other = module->Share();
  EXPECT_EQ(Execute(other, "decode", one), (Floats{3.0f, 5.0f}));
  EXPECT_EQ(Execute(*module, "decode", one), (Floats{13.5f, 20.25f}));

  // State is the module's, not the method's.
  module->UnloadMethod("decode");
  EXPECT_EQ(Execute(*module, "decode", one), (Floats{15.5f, 23.25f}));
  ASSERT_TRUE(module->ResetState().ok());
  EXPECT_EQ(Execute(*module, "prefill", three), (Floats{7.5f, 11.25f}));
}

TEST(ModuleSharing, StateOfDelegates) {
  auto module = Load("delegates");
  ASSERT_TRUE(module.ok()) << Describe(module.error());
  const HostTensor x(DType::kFloat32, {4}, {1.0f, 2.0f, 3.0f, 4.0f});
  const Value inputs[] = {x};
  const Floats first = Execute(*module, "forward", inputs);
  const Floats second = Execute(*module, "forward", inputs);
  EXPECT_EQ(second[0], first[0] + 2);  // called twice an execution
  ASSERT_TRUE(module->ResetState().ok());
  EXPECT_EQ(Execute(*module, "forward", inputs), first);
}

TEST(ModuleSharing, DelegatesTellOfTheirSteps) {
  auto module = Load("delegates");
  ASSERT_TRUE(module.ok()) << Describe(module.error());
  const HostTensor x(DType::kFloat32, {4}, {1.0f, 2.0f, 3.0f, 4.0f});
  const Value inputs[] = {x};
  std::vector<std::pair<EventKind, uint32_t>> events;
  ExecuteOptions options;
  options.events.self = &events;
  options.events.notify = [](void* self, const Event& event) {
    static_cast<std::vector<std::pair<EventKind, uint32_t>>*>(self)->emplace_back(event.kind,
                                                                                  event.index);
  };
  ASSERT_TRUE(module->Execute("forward", inputs, options).ok());
  const auto step = std::pair(EventKind::kDelegateStep, 7u);
  EXPECT_GT(std::count(events.begin(), events.end(), step), 1);
  events.clear();
  ASSERT_TRUE(module->Execute("forward", inputs).ok());  // nobody listens any more
  EXPECT_TRUE(events.empty());
}

TEST(ModuleSharing, RefusesWhatIsNotThere) {
  EXPECT_EQ(Module::Load("/no/such/file").error().reason, Reason::kOpen);
  EXPECT_EQ(Module::Load(testing::TempDir()).error().reason, Reason::kOpen);
  ModuleOptions options;
  options.data_files = {"/no/such/file"};
  const std::string path = WriteFile("add.pte", hostile::MakeSeed("add").program);
  EXPECT_EQ(Module::Load(path, options).error().reason, Reason::kOpen);
  auto module = Module::Load(path);
  ASSERT_TRUE(module.ok());
  EXPECT_EQ(module->LoadMethod("backward").reason, Reason::kMethodNotFound);
  EXPECT_EQ(module->Execute("forward", {}).error().reason, Reason::kInputCount);
  // Weights that nobody gave.
  auto without = Module::Load(WriteFile("x.pte", hostile::MakeSeed("two_methods").program));
  ASSERT_TRUE(without.ok());
  EXPECT_EQ(without->LoadMethod("decode").reason, Reason::kNoExternalData);
}

TEST(ModuleSharing, KeepsToItsMemory) {
  ModuleOptions options;
  options.memory_limit = 64;
  auto module = Load("perceptron", options);
  ASSERT_TRUE(module.ok());
  EXPECT_EQ(module->LoadMethod("forward").reason, Reason::kMemoryBudget);
  options.memory_limit = 1 << 20;
  auto enough = Load("perceptron", options);
  ASSERT_TRUE(enough.ok());
  for (int i = 0; i < 1000; ++i) {  // what is unloaded counts no more
    ASSERT_TRUE(enough->LoadMethod("forward").ok());
    enough->UnloadMethod("forward");
  }
}

TEST(Method, NamedBuffersHaveTheirMemoryBetweenExecutions) {
  auto module = Load("kv_cache");
  ASSERT_TRUE(module.ok());
  const Result<Method*> method = module->method("forward");
  ASSERT_TRUE(method.ok());
  const Result<Tensor*> keys = (*method)->NamedBuffer("keys");
  ASSERT_TRUE(keys.ok());
  EXPECT_NE((*keys)->raw(), nullptr);
  (*keys)->Borrow(Tensor());  // as an instruction that frees it does
  EXPECT_EQ((*keys)->raw(), nullptr);
  const Result<Tensor*> again = (*method)->NamedBuffer("keys");
  ASSERT_TRUE(again.ok());
  EXPECT_NE((*again)->raw(), nullptr);
  EXPECT_EQ((*again)->numel(), 32u);
  EXPECT_EQ((*method)->NamedBuffer("").error().reason, Reason::kBufferNotFound);
  EXPECT_EQ((*method)->NamedBuffer("queries").error().reason, Reason::kBufferNotFound);
}

// Run under the thread sanitizer as well (cmake --preset tsan).
TEST(ModuleSharing, SharedModulesRunAtOnce) {
  auto module = Load("kv_cache");
  ASSERT_TRUE(module.ok());
  const auto work = [](Module& m) {
    Floats all;
    for (int64_t position = 0; position < 40; ++position) {
      const HostTensor token(DType::kInt64, {1}, {position % 10});
      const HostTensor place(DType::kInt64, {1}, {position % 8});
      const Value inputs[] = {token, place};
      for (const float f : Execute(m, "forward", inputs)) all.push_back(f);
      if (position == 20) {
        EXPECT_TRUE(m.ResetState().ok());
        m.UnloadMethod("forward");
      }
    }
    return all;
  };
  Module reference = module->Share();
  const Floats expected = work(reference);
  Floats results[3];
  {
    std::vector<std::thread> threads;
    for (Floats& result : results) {
      threads.emplace_back([&] {
        Module mine = module->Share();
        result = work(mine);
      });
    }
    for (std::thread& t : threads) t.join();
  }
  for (const Floats& result : results) EXPECT_EQ(result, expected);
}

// Two conversations with a language model, each on its own thread, over one file that nothing
// copies: each gets the logits that it gets alone, to the bit.
TEST(ModuleSharing, ConversationsOnThreadsOverOneFile) {
  hostile::DecoderShape shape;
  shape.layers = 2;
  const std::vector<uint8_t> bytes = hostile::MakeDecoderProgram(shape);
  std::vector<uint8_t> memory(bytes.size() + 63);
  void* place = memory.data();
  size_t space = memory.size();
  auto* const file = static_cast<uint8_t*>(std::align(64, bytes.size(), place, space));
  std::copy(bytes.begin(), bytes.end(), file);
  ModuleOptions options;
  options.threads = 2;
  auto module = Module::FromBytes({file, bytes.size()}, options);
  ASSERT_TRUE(module.ok()) << Describe(module.error());
  const auto converse = [](Module& m, int64_t seed) {
    Floats all;
    const auto feed = [&](const std::vector<int64_t>& tokens, int64_t first) {
      HostTensor ids(DType::kInt64, {static_cast<int32_t>(tokens.size())});
      HostTensor positions(DType::kInt64, {static_cast<int32_t>(tokens.size())});
      for (size_t i = 0; i < tokens.size(); ++i) {
        ids.tensor().mutable_data<int64_t>()[i] = tokens[i];
        positions.tensor().mutable_data<int64_t>()[i] = first + static_cast<int64_t>(i);
      }
      const Value inputs[] = {ids, positions};
      for (const float f : Execute(m, "forward", inputs)) all.push_back(f);
    };
    feed({seed, 2, 3, 5, 7}, 0);
    for (int64_t position = 5; position < 40; ++position) feed({position * seed % 48}, position);
    return all;
  };
  Floats alone[2], together[2];
  for (const int64_t i : {0, 1}) {
    Module own = module->Share();
    alone[i] = converse(own, 11 + i);
  }
  EXPECT_NE(alone[0], alone[1]);
  {
    std::vector<std::thread> threads;
    for (const int64_t i : {0, 1}) {
      threads.emplace_back([&, i] {
        Module own = module->Share();
        together[i] = converse(own, 11 + i);
      });
    }
    for (std::thread& t : threads) t.join();
  }
  for (const int64_t i : {0, 1}) EXPECT_EQ(alone[i], together[i]);
}

}  // namespace
}  // namespace rushlight
