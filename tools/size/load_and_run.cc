// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The smallest whole program: loads a program file from flash, checks it, runs a method.  No
// operators, no delegates: what an image costs before its first kernel.
#include <cstdint>

#include "rushlight/method.h"
#include "rushlight/program.h"

namespace {

using rushlight::Error;
using rushlight::Method;
using rushlight::Program;
using rushlight::Span;

// The file is the user's, so it lies in a section of its own, which nobody counts.
alignas(16) __attribute__((section(".program_file"))) const uint8_t program_file[1024] = {1};

alignas(16) uint8_t method_memory[1024];
alignas(16) uint8_t planned_memory[1024];

Error Run() {
  RL_ASSIGN_OR_RETURN(const Program program, Program::LoadInPlace({program_file}));
  rushlight::Arena arena(method_memory, sizeof method_memory);
  RL_ASSIGN_OR_RETURN(Method method, Method::Load(program, "forward", {}, arena));
  const Span<uint8_t> planned[] = {{planned_memory}};
  rushlight::MethodMemory memory;
  memory.planned = planned;
  RL_RETURN_IF_ERROR(method.Bind(memory));
  int32_t sizes[] = {4};
  float x[4] = {};
  rushlight::Tensor input(rushlight::DType::kFloat32, x, sizes);
  RL_RETURN_IF_ERROR(method.SetInput(0, &input));
  return method.Execute();
}

}  // namespace

int main() { return static_cast<int>(Run().code()); }
