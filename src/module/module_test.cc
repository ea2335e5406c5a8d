// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/module.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <vector>

#include "rushlight/describe.h"
#include "rushlight/host_tensor.h"
#include "rushlight/memory_estimate.h"
#include "src/compiler/data_file_builder.h"
#include "src/compiler/program_builder.h"

namespace rushlight {
namespace {

using compiler::DataFileBuilder;
using compiler::MethodBuilder;
using compiler::ProgramBuilder;
using compiler::TensorSpec;

constexpr float kWeight[4] = {1, 2, 3, 4};
constexpr float kInitial[4] = {100, 100, 100, 100};

Span<const uint8_t> Bytes(const float (&values)[4]) {
  return {reinterpret_cast<const uint8_t*>(values), sizeof values};
}

TensorSpec Vector() {
  TensorSpec spec;
  spec.scalar_type = static_cast<int8_t>(DType::kFloat32);
  spec.sizes = {4};
  return spec;
}
TensorSpec Planned(uint32_t memory_id, uint64_t offset) {
  TensorSpec spec = Vector();
  spec.memory_id = memory_id;
  spec.memory_offset = offset;
  return spec;
}
// The buffer `total`, alone in memory 2.
TensorSpec Total(ProgramBuilder& builder) {
  TensorSpec spec = Planned(2, 0);
  spec.constant = builder.AddInitialState(Bytes(kInitial));
  spec.name = "total";
  return spec;
}

void Add(MethodBuilder& m, int32_t a, int32_t b, int32_t out) {
  m.AddKernelCall(m.AddOperator("aten::add", "out"), {a, b, m.AddInt(1), out, out});
}

// forward(x) -> x + weight;  count(x) adds x to the buffer `total` and returns it;  peek() returns
// it.
std::vector<uint8_t> MakeProgram(bool external = false) {
  ProgramBuilder builder;
  MethodBuilder forward = builder.AddMethod("forward");
  const int32_t x = forward.AddTensor(Planned(1, 0));
  TensorSpec weight = Vector();
  if (external) {
    weight.external = true;
    weight.name = "layer.weight";
  } else {
    weight.constant = builder.AddConstant(Bytes(kWeight));
  }
  const int32_t w = forward.AddTensor(weight);
  const int32_t y = forward.AddTensor(Vector());
  Add(forward, x, w, y);
  forward.SetInputs({x});
  forward.SetOutputs({y});
  forward.SetMemory({16, 16});

  MethodBuilder count = builder.AddMethod("count");
  const int32_t step = count.AddTensor(Planned(1, 0));
  const int32_t total = count.AddTensor(Total(builder));
  Add(count, total, step, total);
  count.SetInputs({step});
  count.SetOutputs({total});
  count.SetMemory({16, 16});

  MethodBuilder peek = builder.AddMethod("peek");
  peek.SetOutputs({peek.AddTensor(Total(builder))});
  peek.SetMemory({0, 16});
  return builder.ToBytes();
}

std::vector<uint8_t> MakeDataFile(const float (&values)[4], std::vector<int32_t> sizes = {4}) {
  DataFileBuilder builder;
  builder.AddTensor("layer.weight", Bytes(values), DType::kFloat32, std::move(sizes));
  return builder.ToBytes();
}

// A file that is removed at the end of the test.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::vector<uint8_t>& bytes) {
    static int count = 0;
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = testing::TempDir() + "rushlight_" + test->name() + std::to_string(count++);
    std::FILE* file = std::fopen(path_.c_str(), "wb");
    EXPECT_NE(file, nullptr) << path_;
    if (!bytes.empty()) {
      EXPECT_EQ(std::fwrite(bytes.data(), 1, bytes.size(), file), bytes.size());
    }
    std::fclose(file);
  }
  ~TemporaryFile() { std::remove(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::vector<float> Values(const Value& value) {
  const Tensor& t = value.as_tensor();
  return {t.data<float>(), t.data<float>() + t.numel()};
}

// The only output of a method that succeeds.
std::vector<float> Call(Module& module, std::string_view method, float fill = 1) {
  const HostTensor x(DType::kFloat32, {4}, {fill, fill, fill, fill});
  const Value inputs[] = {x};
  const size_t count = method == "peek" ? 0 : 1;
  const Result<std::vector<Value>> outputs = module.Execute(method, {inputs, count});
  EXPECT_TRUE(outputs.ok()) << Describe(outputs.error(), &module.program());
  return outputs.ok() ? Values((*outputs)[0]) : std::vector<float>();
}

std::vector<float> Fours(float value) { return std::vector<float>(4, value); }

TEST(Module, LoadsFilesMappedAndRead) {
  const TemporaryFile file(MakeProgram());
  for (const auto access : {platform::FileAccess::kMap, platform::FileAccess::kRead}) {
    ModuleOptions options;
    options.access = access;
    Result<Module> module = Module::Load(file.path(), options);
    ASSERT_TRUE(module.ok()) << Describe(module.error());
    EXPECT_EQ(module->method_names(), (std::vector<std::string>{"forward", "count", "peek"}));
    EXPECT_EQ(Call(*module, "forward"), (std::vector<float>{2, 3, 4, 5}));
  }
}

TEST(Module, LoadsBytes) {
  const std::vector<uint8_t> bytes = MakeProgram();
  Result<Module> module = Module::FromBytes(bytes);
  ASSERT_TRUE(module.ok());
  EXPECT_EQ(Call(*module, "forward"), (std::vector<float>{2, 3, 4, 5}));
}

TEST(Module, MetadataIsCopied) {
  std::vector<uint8_t> bytes = MakeProgram();
  Result<Module> module = Module::FromBytes(bytes);
  ASSERT_TRUE(module.ok());
  const Span<const uint8_t> metadata = module->program().metadata();
  EXPECT_TRUE(metadata.end() <= bytes.data() || metadata.begin() >= bytes.data() + bytes.size());
}

TEST(Module, WhatCannotBeOpenedIsAnError) {
  const Error missing = Module::Load("/nowhere/at/all.pte").error();
  EXPECT_EQ(missing.reason, Reason::kOpen);
  EXPECT_EQ(missing.found, ENOENT);
  EXPECT_EQ(Module::Load(testing::TempDir()).error().reason, Reason::kOpen);  // a folder
  const TemporaryFile empty({});
  EXPECT_FALSE(Module::Load(empty.path()).ok());
  const TemporaryFile text({'n', 'o', 't', ' ', 'a', ' ', 'p', 'r', 'o', 'g', 'r', 'a', 'm'});
  EXPECT_FALSE(Module::Load(text.path()).ok());
}

TEST(Module, AFileCutAnywhereIsRefused) {
  const std::vector<uint8_t> bytes = MakeProgram();
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::vector<uint8_t> cut(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
    const Result<Module> module = Module::FromBytes(cut);
    // What is cut may be padding behind the last segment: then the module works.
    if (!module.ok()) continue;
    EXPECT_GE(size + 128, bytes.size());
  }
}

TEST(Module, CallsWithOtherInputsAreRefused) {
  const std::vector<uint8_t> bytes = MakeProgram();
  Result<Module> module = Module::FromBytes(bytes);
  ASSERT_TRUE(module.ok());
  EXPECT_EQ(module->Forward({}).error().reason, Reason::kInputCount);
  EXPECT_EQ(module->Execute("absent", {}).error().reason, Reason::kMethodNotFound);
  const HostTensor longs(DType::kInt64, {4});
  EXPECT_EQ(module->Forward({longs}).error().reason, Reason::kInputDType);
}

TEST(Module, MethodsShareTheirState) {
  const std::vector<uint8_t> bytes = MakeProgram();
  Result<Module> module = Module::FromBytes(bytes);
  ASSERT_TRUE(module.ok());
  EXPECT_EQ(Call(*module, "count", 5), Fours(105));
  EXPECT_EQ(Call(*module, "peek"), Fours(105));  // loaded later: the state is not initialised again
  EXPECT_EQ(Call(*module, "count", 5), Fours(110));
  EXPECT_EQ(Call(*module, "peek"), Fours(110));
  ASSERT_TRUE(module->ResetState().ok());
  EXPECT_EQ(Call(*module, "peek"), Fours(100));
}

TEST(Module, StateOutlivesAMethodThatIsUnloaded) {
  const std::vector<uint8_t> bytes = MakeProgram();
  Result<Module> module = Module::FromBytes(bytes);
  ASSERT_TRUE(module.ok());
  EXPECT_EQ(Call(*module, "count", 5), Fours(105));
  EXPECT_EQ(Call(*module, "peek"), Fours(105));
  module->UnloadMethod("count");
  EXPECT_EQ(Call(*module, "count", 5), Fours(110));
}

TEST(Module, SharedModulesHaveStateOfTheirOwn) {
  const std::vector<uint8_t> bytes = MakeProgram();
  Result<Module> module = Module::FromBytes(bytes);
  ASSERT_TRUE(module.ok());
  Module other = module->Share();
  EXPECT_EQ(Call(*module, "count", 5), Fours(105));
  EXPECT_EQ(Call(other, "count", 7), Fours(107));
  EXPECT_EQ(Call(*module, "count", 5), Fours(110));
  EXPECT_EQ(&module->program(), &other.program());
}

TEST(Module, ASharedModuleKeepsTheFile) {
  const TemporaryFile file(MakeProgram());
  std::vector<Module> shared;
  {
    const Result<Module> module = Module::Load(file.path());
    ASSERT_TRUE(module.ok());
    shared.push_back(module->Share());
  }
  EXPECT_EQ(Call(shared[0], "forward"), (std::vector<float>{2, 3, 4, 5}));
}

TEST(Module, WeightsMayLieInOtherFiles) {
  const TemporaryFile program(MakeProgram(/*external=*/true));
  const float others[4] = {10, 20, 30, 40};
  const TemporaryFile weights(MakeDataFile(others));
  for (const auto access : {platform::FileAccess::kMap, platform::FileAccess::kRead}) {
    ModuleOptions options;
    options.access = access;
    options.data_files = {weights.path()};
    Result<Module> module = Module::Load(program.path(), options);
    ASSERT_TRUE(module.ok()) << Describe(module.error());
    EXPECT_EQ(Call(*module, "forward"), (std::vector<float>{11, 21, 31, 41}));
  }
}

TEST(Module, ExternalWeightsMustBeThoseOfTheProgram) {
  const std::vector<uint8_t> program = MakeProgram(/*external=*/true);
  Result<Module> without = Module::FromBytes(program);
  ASSERT_TRUE(without.ok());  // other methods do without
  EXPECT_EQ(without->LoadMethod("forward").reason, Reason::kNoExternalData);
  EXPECT_EQ(Call(*without, "count"), Fours(101));

  const TemporaryFile weights(MakeDataFile(kWeight, {2, 2}));
  ModuleOptions options;
  options.data_files = {weights.path()};
  Result<Module> other_shape = Module::FromBytes(program, options);
  ASSERT_TRUE(other_shape.ok());
  EXPECT_EQ(other_shape->LoadMethod("forward").reason, Reason::kExternalLayout);

  options.data_files = {"/nowhere.ptd"};
  EXPECT_EQ(Module::FromBytes(program, options).error().reason, Reason::kOpen);
}

TEST(Module, MemoryIsLimited) {
  const std::vector<uint8_t> bytes = MakeProgram();
  ModuleOptions options;
  options.memory_limit = 64;
  Result<Module> module = Module::FromBytes(bytes, options);
  ASSERT_TRUE(module.ok());
  const Error error = module->LoadMethod("forward");
  EXPECT_EQ(error.reason, Reason::kMemoryBudget);
  EXPECT_EQ(error.limit, 64);
}

TEST(Module, MethodsAreLoadedOnce) {
  const std::vector<uint8_t> bytes = MakeProgram();
  Result<Module> module = Module::FromBytes(bytes);
  ASSERT_TRUE(module.ok());
  const Result<Method*> first = module->method("forward");
  const Result<Method*> second = module->method("forward");
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(module->method("absent").error().reason, Reason::kMethodNotFound);
}

TEST(MemoryEstimate, CountsWhatAMethodNeeds) {
  const TemporaryFile file(MakeProgram());
  const Result<Module> module = Module::Load(file.path());
  ASSERT_TRUE(module.ok());
  const Result<MemoryEstimate> forward = EstimateMemory(*module, "forward");
  ASSERT_TRUE(forward.ok());
  EXPECT_EQ(forward->outputs, 16u);
  EXPECT_EQ(forward->state, 0u);
  EXPECT_GT(forward->activations, 0u);
  EXPECT_GT(forward->weights, 0u);
  EXPECT_GE(forward->total(), forward->process + forward->tables + forward->weights);
  const Result<MemoryEstimate> peek = EstimateMemory(*module, "peek");
  ASSERT_TRUE(peek.ok());
  EXPECT_GT(peek->state, 0u);
  EXPECT_EQ(peek->weights, 0u);
  EXPECT_EQ(EstimateMemory(*module, "absent").error().reason, Reason::kMethodNotFound);
}

TEST(HostTensor, OwnsBorrowsAndCopies) {
  const HostTensor zeros(DType::kInt16, {2, 3});
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(zeros.tensor().data<int16_t>()[i], 0);
  float values[2] = {1, 2};
  const HostTensor view = HostTensor::View(DType::kFloat32, {2}, values);
  const HostTensor copy = HostTensor::CopyOf(view.tensor());
  values[0] = 5;
  EXPECT_EQ(view.tensor().data<float>()[0], 5);
  EXPECT_EQ(copy.tensor().data<float>()[0], 1);
  const HostTensor scalar(DType::kFloat32, {}, {7.0f});
  EXPECT_EQ(scalar.tensor().numel(), 1u);
  EXPECT_EQ(scalar.tensor().data<float>()[0], 7);
}

TEST(Describe, NamesTheMethodAndTheOperator) {
  ProgramBuilder builder;
  MethodBuilder m = builder.AddMethod("forward");
  m.AddKernelCall(m.AddOperator("mine::absent", "out"), {m.AddInt(1)});
  m.SetMemory({});
  const std::vector<uint8_t> bytes = builder.ToBytes();
  Result<Module> module = Module::FromBytes(bytes);
  ASSERT_TRUE(module.ok());
  const std::string sentence = Describe(module->LoadMethod("forward"), &module->program());
  for (const char* part : {"OperatorMissing", "mine::absent.out", "forward"}) {
    EXPECT_NE(sentence.find(part), std::string::npos) << sentence;
  }
}

}  // namespace
}  // namespace rushlight
