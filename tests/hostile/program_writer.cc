// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "tests/hostile/program_writer.h"

#include <algorithm>

namespace rushlight::hostile {

using compiler::TensorSpec;

Span<const uint8_t> ProgramWriter::Keep(std::vector<uint8_t> bytes) {
  return kept_.emplace_back(std::move(bytes));
}

MethodWriter::MethodWriter(ProgramWriter& program, const std::string& name)
    : m(program.builder.AddMethod(name)),
      program_(program),
      index_(program.builder.program().execution_plan.size() - 1) {}

fb::ExecutionPlanT& MethodWriter::plan() {
  return *program_.builder.program().execution_plan[index_];
}

int64_t MethodWriter::Reserve(uint32_t memory_id, DType dtype, const Sizes& sizes) {
  int64_t bytes = static_cast<int64_t>(ElementSize(dtype));
  for (const int32_t size : sizes) bytes *= size;
  int64_t& used = used_[memory_id];
  const int64_t offset = used;
  used += (bytes + 15) / 16 * 16;
  return offset;
}

int32_t MethodWriter::Planned(DType dtype, const Sizes& sizes, const Options& options) {
  TensorSpec spec;
  spec.scalar_type = static_cast<int8_t>(dtype);
  spec.sizes = sizes;
  spec.dim_order = options.dim_order;
  spec.dynamic = options.dynamic;
  spec.name = options.name;
  spec.memory_id = options.memory_id;
  spec.memory_offset = static_cast<uint64_t>(Reserve(options.memory_id, dtype, sizes));
  const int32_t value = m.AddTensor(spec);
  places_[value] = {spec.memory_id, spec.memory_offset};
  return value;
}

int32_t MethodWriter::Alias(int32_t base, DType dtype, const Sizes& sizes, bool dynamic) {
  TensorSpec spec;
  spec.scalar_type = static_cast<int8_t>(dtype);
  spec.sizes = sizes;
  spec.dynamic = dynamic;
  spec.memory_id = places_.at(base).first;
  spec.memory_offset = places_.at(base).second;
  return m.AddTensor(spec);
}

int32_t MethodWriter::State(DType dtype, const Sizes& sizes, Span<const uint8_t> initial,
                            const Options& options) {
  const int32_t value = Planned(dtype, sizes, options);
  plan().values[static_cast<size_t>(value)]->val.AsTensor()->data_buffer_idx =
      program_.builder.AddInitialState(initial);
  return value;
}

int32_t MethodWriter::Unplanned(DType dtype, const Sizes& sizes, bool dynamic) {
  TensorSpec spec;
  spec.scalar_type = static_cast<int8_t>(dtype);
  spec.sizes = sizes;
  spec.dynamic = dynamic;
  return m.AddTensor(spec);
}

int32_t MethodWriter::Constant(DType dtype, const Sizes& sizes, Span<const uint8_t> bytes,
                               std::vector<uint8_t> dim_order) {
  TensorSpec spec;
  spec.scalar_type = static_cast<int8_t>(dtype);
  spec.sizes = sizes;
  spec.dim_order = std::move(dim_order);
  spec.constant = program_.builder.AddConstant(bytes);
  return m.AddTensor(spec);
}

int32_t MethodWriter::Weights(DType dtype, const Sizes& sizes) {
  size_t count = 1;
  for (const int32_t size : sizes) count *= static_cast<size_t>(size);
  std::vector<float> floats;
  std::vector<int64_t> ints;
  for (size_t i = 0; i < count; ++i) {
    floats.push_back(0.1f * static_cast<float>(i % 7 + 1));
    ints.push_back(static_cast<int64_t>(i % 7 + 1));
  }
  if (dtype == DType::kFloat32) return Constant(dtype, sizes, program_.Keep(floats));
  if (dtype == DType::kInt64) return Constant(dtype, sizes, program_.Keep(ints));
  // Others: small integers of that width, little-endian; no test looks at their values as floats.
  const size_t size = ElementSize(dtype);
  std::vector<uint8_t> bytes(count * size);
  for (size_t i = 0; i < count; ++i) bytes[i * size] = static_cast<uint8_t>(ints[i]);
  return Constant(dtype, sizes, program_.Keep(std::move(bytes)));
}

int32_t MethodWriter::External(DType dtype, const Sizes& sizes, const std::string& name,
                               bool planned) {
  TensorSpec spec;
  spec.scalar_type = static_cast<int8_t>(dtype);
  spec.sizes = sizes;
  spec.name = name;
  spec.external = true;
  if (planned) {
    spec.memory_id = 1;
    spec.memory_offset = static_cast<uint64_t>(Reserve(1, dtype, sizes));
  }
  return m.AddTensor(spec);
}

int32_t MethodWriter::Ints(const std::vector<int64_t>& numbers) {
  std::vector<int64_t> items;
  for (const int64_t n : numbers) items.push_back(m.AddInt(n));
  return m.AddIntList(items);
}

int32_t MethodWriter::CallScalar(const std::string& name, std::vector<int32_t> args) {
  const size_t dot = name.find('.');
  const bool has_overload = dot != std::string::npos;
  return m.AddKernelCall(
      m.AddOperator(name.substr(0, dot), has_overload ? name.substr(dot + 1) : ""),
      std::move(args));
}

int32_t MethodWriter::Call(const std::string& name, std::vector<int32_t> args) {
  args.push_back(args.back());
  return CallScalar(name, std::move(args));
}

int32_t MethodWriter::Free(int32_t value) {
  fb::FreeCallT call;
  call.value_index = value;
  auto instruction = std::make_unique<fb::InstructionT>();
  instruction->instr_args.Set(call);
  plan().chains[0]->instructions.push_back(std::move(instruction));
  return m.num_instructions() - 1;
}

// The builder writes into the first chain; finished ones move behind it until Finish.
void MethodWriter::StartChain() {
  plan().chains.push_back(std::move(plan().chains[0]));
  plan().chains[0] = std::make_unique<fb::ChainT>();
}

void MethodWriter::Finish() {
  auto& chains = plan().chains;
  std::rotate(chains.begin(), chains.begin() + 1, chains.end());
  std::vector<int64_t> bytes;
  if (!used_.empty()) bytes.resize(used_.rbegin()->first);
  for (const auto& [id, size] : used_) bytes[id - 1] = size;
  m.SetMemory(bytes);
}

}  // namespace rushlight::hostile
