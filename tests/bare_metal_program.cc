// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Writes the program of examples/bare_metal to the path that is given:
//
//   def forward(self, x):              # x: float32[4]
//     y = x * self.w + self.b
//     self.total += y                  # a buffer that the program keeps
//     return y, self.total

#include <cstdio>

#include "rushlight/dtype.h"
#include "src/compiler/program_builder.h"

using rushlight::compiler::MethodBuilder;
using rushlight::compiler::ProgramBuilder;
using rushlight::compiler::TensorSpec;

namespace {

constexpr float kWeight[4] = {2, -1, 0.5, 4};
constexpr float kBias[4] = {1, 1, 1, 1};
constexpr float kTotal[4] = {0, 10, 20, 30};

rushlight::Span<const uint8_t> Bytes(const float (&values)[4]) {
  return {reinterpret_cast<const uint8_t*>(values), sizeof values};
}

TensorSpec Vector() {
  TensorSpec spec;
  spec.scalar_type = static_cast<int8_t>(rushlight::DType::kFloat32);
  spec.sizes = {4};
  return spec;
}
TensorSpec Planned(uint32_t memory_id, uint64_t offset) {
  TensorSpec spec = Vector();
  spec.memory_id = memory_id;
  spec.memory_offset = offset;
  return spec;
}
TensorSpec Stored(TensorSpec spec, uint32_t data) {
  spec.constant = data;
  return spec;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s program.pte\n", argv[0]);
    return 1;
  }
  ProgramBuilder builder({16, 16});
  MethodBuilder method = builder.AddMethod("forward");
  const int32_t x = method.AddTensor(Vector());
  const int32_t w = method.AddTensor(Stored(Vector(), builder.AddConstant(Bytes(kWeight))));
  const int32_t b = method.AddTensor(Stored(Vector(), builder.AddConstant(Bytes(kBias))));
  const int32_t product = method.AddTensor(Planned(1, 0));
  const int32_t y = method.AddTensor(Planned(1, 16));
  const int32_t total =
      method.AddTensor(Stored(Planned(2, 0), builder.AddInitialState(Bytes(kTotal))));
  const int32_t one = method.AddInt(1);
  const int32_t mul = method.AddOperator("aten::mul", "out");
  const int32_t add = method.AddOperator("aten::add", "out");
  method.AddKernelCall(mul, {x, w, product, product});
  method.AddKernelCall(add, {product, b, one, y, y});
  method.AddKernelCall(add, {total, y, one, total, total});
  method.SetInputs({x});
  method.SetOutputs({y, total});
  method.SetMemory({32, 16});
  return builder.WriteFile(argv[1]).ok() ? 0 : 1;
}
