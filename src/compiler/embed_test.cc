// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/compiler/embed.h"

#include <gtest/gtest.h>

#include "rushlight/ops.h"
#include "src/compiler/program_builder.h"

namespace rushlight::compiler {
namespace {

TensorSpec Planned(DType dtype, uint64_t offset) {
  TensorSpec spec;
  spec.scalar_type = static_cast<int8_t>(dtype);
  spec.sizes = {4};
  spec.memory_id = 1;
  spec.memory_offset = offset;
  return spec;
}

// A method of each name: int64 * float32 -> float32.
std::vector<uint8_t> MakeProgram(const std::vector<std::string>& methods) {
  ProgramBuilder builder;
  for (const std::string& name : methods) {
    MethodBuilder m = builder.AddMethod(name);
    const int32_t a = m.AddTensor(Planned(DType::kInt64, 0));
    const int32_t b = m.AddTensor(Planned(DType::kFloat32, 32));
    m.AddKernelCall(m.AddOperator("aten::mul", "out"), {a, b, b, b});
    m.SetMemory({48});
  }
  return builder.ToBytes();
}

std::string Text(const std::vector<SourceFile>& files, std::string_view name) {
  for (const SourceFile& file : files) {
    if (file.name == name) return file.text;
  }
  return "no file " + std::string(name);
}

bool Contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(ToIdentifier, ReplacesWhatIdentifiersLack) {
  EXPECT_EQ(ToIdentifier("forward"), "forward");
  EXPECT_EQ(ToIdentifier("my-model.v2"), "my_model_v2");
  EXPECT_EQ(ToIdentifier("2d"), "m2d");
  EXPECT_EQ(ToIdentifier(""), "m");
  EXPECT_EQ(ToIdentifier("__x"), "m__x");
  EXPECT_EQ(ToIdentifier("\"; evil(); \""), "m___evil_____");
}

TEST(Embedder, WritesTheFileAndItsMemory) {
  const std::vector<uint8_t> program = MakeProgram({"forward"});
  Embedder embedder(ops::AllOps());
  ASSERT_TRUE(embedder.Add("net", program).ok());
  const std::vector<SourceFile> files = embedder.Finish();
  ASSERT_EQ(files.size(), 3u);
  const std::string header = Text(files, "net.h");
  EXPECT_TRUE(Contains(header, "kFileBytes = " + std::to_string(program.size()) + ";")) << header;
  EXPECT_TRUE(Contains(header, "namespace forward {")) << header;
  EXPECT_TRUE(Contains(header, "std::array<size_t, 1> kPlannedBytes = {48};")) << header;
  EXPECT_TRUE(Contains(Text(files, "net.cc"), "#include \"net.h\""));
}

TEST(Embedder, SelectsOperatorsLoopsAndCasts) {
  Embedder embedder(ops::AllOps());
  ASSERT_TRUE(embedder.Add("net", MakeProgram({"forward"})).ok());
  const std::string selection = Text(embedder.Finish(), "selection.h");
  EXPECT_TRUE(Contains(selection, "{\"aten::mul.out\"},")) << selection;
  EXPECT_TRUE(Contains(selection, "SelectedKind::kLoop, DType{6}, DType{6}, 0}")) << selection;
  EXPECT_TRUE(Contains(selection, "SelectedKind::kCast, DType{4}, DType{6}, 0}")) << selection;
  EXPECT_FALSE(Contains(selection, "aten::add.out")) << selection;
}

TEST(Embedder, NamesMustDiffer) {
  const std::vector<uint8_t> program = MakeProgram({"forward"});
  Embedder embedder(ops::AllOps());
  ASSERT_TRUE(embedder.Add("net", program).ok());
  EXPECT_EQ(embedder.Add("net", program).reason, Reason::kNameTaken);
  EXPECT_EQ(embedder.Add("selection", program).reason, Reason::kNameTaken);
  // Two methods of one program that would be one namespace.
  EXPECT_EQ(embedder.Add("other", MakeProgram({"a-b", "a_b"})).reason, Reason::kDuplicateMethod);
  EXPECT_EQ(embedder.Finish().size(), 3u);
}

TEST(Embedder, RefusesWhatDoesNotLoad) {
  Embedder embedder({});  // no operators
  EXPECT_EQ(embedder.Add("net", MakeProgram({"forward"})).reason, Reason::kNoKernel);
  const std::vector<uint8_t> text(64, 'x');
  EXPECT_FALSE(embedder.Add("net", text).ok());
}

TEST(Embedder, WithoutOperatorsTheSelectionIsStillAHeader) {
  Embedder embedder(ops::AllOps());
  EXPECT_TRUE(Contains(Text(embedder.Finish(), "selection.h"), "{\"\"},"));
}

}  // namespace
}  // namespace rushlight::compiler
