// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/compiler/data_file_builder.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "rushlight/data_file.h"
#include "rushlight/method.h"
#include "src/compiler/program_builder.h"
#include "src/ops/tables.h"

namespace rushlight::compiler {
namespace {

// A file of the builder's, loaded.
class Loaded {
 public:
  explicit Loaded(std::vector<uint8_t> content)
      : content_(std::move(content)),
        memory_(content_.size() / 8 + 4),
        arena_(memory_.data(), memory_.size() * 8),
        file_(DataFile::Load(content_, arena_)) {}

  const Result<DataFile>& file() const { return file_; }
  size_t OffsetOf(const std::string& key) const {
    return static_cast<size_t>(Find(key).bytes.data() - content_.data());
  }
  NamedBytes Find(const std::string& key) const {
    NamedBytes found;
    EXPECT_TRUE(file_->map().Find(key, &found).ok()) << key;
    return found;
  }

 private:
  std::vector<uint8_t> content_;
  std::vector<uint64_t> memory_;
  Arena arena_;
  Result<DataFile> file_;
};

const std::array<uint8_t, 12> kTwelve = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

TEST(DataFileBuilder, RoundTrip) {
  const std::array<uint8_t, 4> four = {9, 8, 7, 6};
  DataFileBuilder builder;
  builder.AddTensor("w", kTwelve, DType::kInt16, {1, 2, 3}, {0, 2, 1});
  builder.AddTensor("scalar", four, DType::kFloat32, {});
  builder.AddBytes("packed", four, 4096);
  const Loaded loaded(builder.ToBytes());
  ASSERT_TRUE(loaded.file().ok());
  ASSERT_EQ(loaded.file()->size(), 3u);

  const NamedBytes w = loaded.Find("w");
  EXPECT_TRUE(w.has_layout);
  EXPECT_EQ(w.dtype, DType::kInt16);
  EXPECT_EQ(std::vector<int32_t>(w.sizes.begin(), w.sizes.end()), (std::vector<int32_t>{1, 2, 3}));
  EXPECT_EQ(std::vector<uint8_t>(w.dim_order.begin(), w.dim_order.end()),
            (std::vector<uint8_t>{0, 2, 1}));
  EXPECT_EQ(std::vector<uint8_t>(w.bytes.begin(), w.bytes.end()),
            std::vector<uint8_t>(kTwelve.begin(), kTwelve.end()));
  EXPECT_EQ(loaded.OffsetOf("w") % 128, 0u);

  const NamedBytes scalar = loaded.Find("scalar");
  EXPECT_TRUE(scalar.has_layout);
  EXPECT_TRUE(scalar.sizes.empty());
  // Equal bytes are stored once, at the stricter alignment.
  EXPECT_EQ(loaded.OffsetOf("scalar"), loaded.OffsetOf("packed"));
  EXPECT_FALSE(loaded.Find("packed").has_layout);

  // Entries are sorted, so that readers can bisect them.
  EXPECT_EQ(loaded.file()->key(0), "packed");
  EXPECT_EQ(loaded.file()->key(1), "scalar");
  EXPECT_EQ(loaded.file()->key(2), "w");
}

TEST(DataFileBuilder, AlignsSegments) {
  DataFileBuilder builder(1024);
  builder.AddTensor("a", kTwelve, DType::kUInt8, {12});
  builder.AddBytes("b", Span(kTwelve.data(), size_t{5}), 16);
  const std::vector<uint8_t> content = builder.ToBytes();
  const Loaded loaded(content);
  ASSERT_TRUE(loaded.file().ok());
  EXPECT_EQ(loaded.OffsetOf("a") % 1024, 0u);
  EXPECT_EQ(loaded.OffsetOf("b"), loaded.OffsetOf("a") + 1024);
  EXPECT_EQ(content.size(), loaded.OffsetOf("b") + 5);  // nothing behind the last segment
}

TEST(DataFileBuilder, WritesFilesWithoutBytes) {
  DataFileBuilder nothing;
  const Loaded empty(nothing.ToBytes());
  ASSERT_TRUE(empty.file().ok());
  EXPECT_EQ(empty.file()->size(), 0u);

  DataFileBuilder builder;
  builder.AddTensor("none", {}, DType::kFloat32, {0, 4});
  const Loaded loaded(builder.ToBytes());
  ASSERT_TRUE(loaded.file().ok());
  EXPECT_EQ(loaded.Find("none").bytes.size(), 0u);
}

TEST(DataFileBuilder, WritesTheSameTwice) {
  DataFileBuilder builder;
  builder.AddTensor("w", kTwelve, DType::kUInt8, {12});
  const std::vector<uint8_t> first = builder.ToBytes();
  EXPECT_EQ(first, builder.ToBytes());

  const std::string path = testing::TempDir() + "/data_file_builder_test.ptd";
  ASSERT_TRUE(builder.WriteFile(path).ok());
  std::vector<uint8_t> content(first.size() + 1);
  std::FILE* file = std::fopen(path.c_str(), "rb");
  ASSERT_NE(file, nullptr);
  content.resize(std::fread(content.data(), 1, content.size(), file));
  std::fclose(file);
  std::remove(path.c_str());
  EXPECT_EQ(first, content);
  EXPECT_EQ(builder.WriteFile("/no/such/folder/x.ptd").reason, Reason::kOpen);
}

TEST(DataFileBuilder, StopsWithItsSink) {
  DataFileBuilder builder;
  builder.AddTensor("w", kTwelve, DType::kUInt8, {12});
  size_t pieces = 0;
  ASSERT_TRUE(builder.Finish([&](const void*, size_t) { return ++pieces > 0; }));
  for (size_t last = 0; last < pieces; ++last) {
    size_t taken = 0;
    EXPECT_FALSE(builder.Finish([&](const void*, size_t) { return taken++ < last; }));
    EXPECT_EQ(taken, last + 1);
  }
}

// x * weight, where the weight is in another file.
std::vector<uint8_t> ProgramWithExternalWeight() {
  ProgramBuilder builder;
  MethodBuilder method = builder.AddMethod("forward");
  TensorSpec spec;
  spec.scalar_type = static_cast<int8_t>(DType::kFloat32);
  spec.sizes = {2, 2};
  const int32_t x = method.AddTensor(spec);
  const int32_t product = method.AddTensor(spec);
  spec.name = "weight";
  spec.external = true;
  const int32_t weight = method.AddTensor(spec);
  method.AddKernelCall(method.AddOperator("aten::mul", "out"), {x, weight, product, product});
  method.SetInputs({x});
  method.SetOutputs({product});
  return builder.ToBytes();
}

TEST(DataFileBuilder, GivesAMethodItsWeights) {
  const std::vector<uint8_t> content = ProgramWithExternalWeight();
  std::vector<uint64_t> memory(4096);
  Arena arena(memory.data(), memory.size() * 8);
  const Result<Program> program = Program::Load(content, arena);
  ASSERT_TRUE(program.ok());
  const std::array<float, 4> weight = {2, 3, 4, 5};
  const Bytes bytes(reinterpret_cast<const uint8_t*>(weight.data()), sizeof weight);
  const auto load = [&](DataFileBuilder& builder, auto use) {
    const Loaded weights(builder.ToBytes());
    MethodOptions options;
    options.ops = ops::AllOps();
    options.external = weights.file()->map();
    const size_t mark = arena.used();
    Result<Method> method = Method::Load(*program, "forward", options, arena);
    use(method);
    arena.Release(mark);
  };

  DataFileBuilder right;
  right.AddTensor("weight", bytes, DType::kFloat32, {2, 2});
  load(right, [](Result<Method>& method) {
    ASSERT_TRUE(method.ok());
    alignas(16) float x[4] = {1, 10, 100, 1000};
    alignas(16) float product[4] = {};
    int32_t sizes[2] = {2, 2};
    Tensor input(DType::kFloat32, x, sizes);
    ASSERT_TRUE(method->Bind({}).ok());
    ASSERT_TRUE(method->SetInput(0, Value(&input)).ok());
    ASSERT_TRUE(method->SetOutput(0, product, sizeof product).ok());
    ASSERT_TRUE(method->Execute().ok());
    EXPECT_EQ(std::vector<float>(product, product + 4), (std::vector<float>{2, 30, 400, 5000}));
  });

  const auto refuses = [&](DataFileBuilder& builder, Reason reason) {
    load(builder, [&](Result<Method>& method) { EXPECT_EQ(method.error().reason, reason); });
  };
  DataFileBuilder absent, other_shape, other_dtype, without_layout;
  absent.AddTensor("weights", bytes, DType::kFloat32, {2, 2});
  other_shape.AddTensor("weight", bytes, DType::kFloat32, {4, 1});
  other_dtype.AddTensor("weight", bytes, DType::kInt32, {2, 2});
  without_layout.AddBytes("weight", bytes, 16);
  refuses(absent, Reason::kNoExternalData);
  refuses(other_shape, Reason::kExternalLayout);
  refuses(other_dtype, Reason::kExternalLayout);
  refuses(without_layout, Reason::kExternalLayout);
}

}  // namespace
}  // namespace rushlight::compiler
