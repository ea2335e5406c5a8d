// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Runs a program without an operating system and without a heap.
//
// program.h is written by `rushlight embed` from the program file: the file itself, which stays in
// flash, and the bytes of every arena.  They are exact, as this image checks: one byte less is
// refused.

#include "board.h"
#include "program.h"
#include "rushlight/method.h"
#include "rushlight/ops.h"

namespace {

using rushlight::Arena;
using rushlight::Error;
using rushlight::kOk;
using rushlight::Method;
using rushlight::MethodMemory;
using rushlight::MethodOptions;
using rushlight::Program;
using rushlight::Reason;
using rushlight::Result;
using rushlight::Span;
using rushlight::Tensor;

namespace forward = program::forward;

static_assert(forward::kPlannedBytes.size() == 2);  // activations; the buffer `total`
static_assert(forward::kScratchBytes == 0);
alignas(16) uint8_t method_memory[forward::kArenaBytes];
alignas(16) uint8_t activations[forward::kPlannedBytes[0]];
alignas(16) uint8_t total_memory[forward::kPlannedBytes[1]];

int failures = 0;

void Expect(bool condition, const char* what) {
  if (condition) return;
  ++failures;
  board::Print("FAIL: ");
  board::Print(what);
  board::Print("\n");
}

void ExpectValues(const Tensor& tensor, const float (&expected)[4], const char* what) {
  bool equal = tensor.numel() == 4;
  for (size_t i = 0; i < 4; ++i) equal = equal && tensor.data<float>()[i] == expected[i];
  Expect(equal, what);
}

MethodMemory Memory(const Span<uint8_t> (&planned)[2]) {
  MethodMemory memory;
  memory.planned = planned;
  return memory;
}

// One byte less of any arena.
void TryTooLittle(const Program& program, const MethodOptions& options) {
  Arena arena(method_memory, sizeof method_memory - 1);
  const Result<Method> method = Method::Load(program, "forward", options, arena);
  Expect(!method.ok() && method.error().reason == Reason::kMethodArena, "arena one byte short");
}
void BindTooLittle(Method& method) {
  const Span<uint8_t> planned[] = {{activations, sizeof activations - 1}, {total_memory}};
  Expect(method.Bind(Memory(planned)).reason == Reason::kPlannedArena, "planned memory short");
}

Error Run() {
  RL_ASSIGN_OR_RETURN(const Program program,
                      Program::LoadInPlace({program::kFile, program::kFileBytes}));
  MethodOptions options;
  options.ops = rushlight::ops::AllOps();  // all that the build has selected
  TryTooLittle(program, options);

  Arena arena(method_memory, sizeof method_memory);
  RL_ASSIGN_OR_RETURN(Method method, Method::Load(program, "forward", options, arena));
  Expect(arena.used() == sizeof method_memory, "all of the arena is used");
  BindTooLittle(method);
  const Span<uint8_t> planned[] = {{activations}, {total_memory}};
  RL_RETURN_IF_ERROR(method.Bind(Memory(planned)));

  float x[4] = {1, 2, 3, 4};
  int32_t sizes[] = {4};
  Tensor input(rushlight::DType::kFloat32, x, sizes);
  RL_RETURN_IF_ERROR(method.SetInput(0, &input));
  RL_RETURN_IF_ERROR(method.Execute());
  ExpectValues(method.output(0).as_tensor(), {3, -1, 2.5, 17}, "first y");
  ExpectValues(method.output(1).as_tensor(), {3, 9, 22.5, 47}, "first total");
  x[0] = 10;  // the input is used where it lies
  RL_RETURN_IF_ERROR(method.Execute());
  ExpectValues(method.output(0).as_tensor(), {21, -1, 2.5, 17}, "second y");
  ExpectValues(method.output(1).as_tensor(), {24, 8, 25, 64}, "second total");
  return kOk;
}

void PrintBytes(const char* what, size_t bytes) {
  board::Print(what);
  board::Print(bytes);
  board::Print(" bytes\n");
}

}  // namespace

int main() {
  const Error error = Run();
  if (!error.ok()) {
    board::Print("error ");
    board::Print(static_cast<size_t>(error.reason));
    board::Print("\n");
  }
  Expect(error.ok(), "no error");
  PrintBytes("program file    ", program::kFileBytes);
  PrintBytes("method arena    ", sizeof method_memory);
  PrintBytes("planned memory  ", sizeof activations + sizeof total_memory);
  PrintBytes("stack           ", board::StackUsed());
  Expect(board::StackUsed() < board::StackSize(), "the stack suffices");
  if (failures == 0) board::Print("PASS\n");
  return failures;
}
