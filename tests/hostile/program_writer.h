// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// ProgramWriter, MethodWriter: shorthand over ProgramBuilder for programs written by hand.
#pragma once

#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "rushlight/dtype.h"
#include "src/compiler/program_builder.h"

namespace rushlight::hostile {

using Sizes = std::vector<int32_t>;

class ProgramWriter {
 public:
  explicit ProgramWriter(compiler::ProgramAlignment alignment = {}) : builder(alignment) {}

  // Bytes that live as long as the writer.
  Span<const uint8_t> Keep(std::vector<uint8_t> bytes);
  template <class T>
  Span<const uint8_t> Keep(const std::vector<T>& items) {
    std::vector<uint8_t> bytes(items.size() * sizeof(T));
    if (!items.empty()) std::memcpy(bytes.data(), items.data(), bytes.size());
    return Keep(std::move(bytes));
  }

  compiler::ProgramBuilder builder;

 private:
  std::deque<std::vector<uint8_t>> kept_;
};

// Functions that add a value return its position.
class MethodWriter {
 public:
  MethodWriter(ProgramWriter& program, const std::string& name);

  struct Options {
    bool dynamic = false;
    std::vector<uint8_t> dim_order = {};
    std::string name = {};
    uint32_t memory_id = 1;
  };
  int32_t Planned(DType dtype, const Sizes& sizes, const Options& options);
  int32_t Planned(DType dtype, const Sizes& sizes) { return Planned(dtype, sizes, Options()); }
  // Planned at the place of another.
  int32_t Alias(int32_t base, DType dtype, const Sizes& sizes, bool dynamic = false);
  // Planned, with contents.
  int32_t State(DType dtype, const Sizes& sizes, Span<const uint8_t> initial,
                const Options& options);
  int32_t Unplanned(DType dtype, const Sizes& sizes, bool dynamic = false);
  int32_t Constant(DType dtype, const Sizes& sizes, Span<const uint8_t> bytes,
                   std::vector<uint8_t> dim_order = {});
  // Floats 0.1, 0.2, ... or integers 1, 2, ... up to 7.
  int32_t Weights(DType dtype, const Sizes& sizes);
  int32_t External(DType dtype, const Sizes& sizes, const std::string& name, bool planned);
  int32_t Ints(const std::vector<int64_t>& numbers);

  // A kernel call: the arguments, and once more the last one, as operators with out tensors have
  // it.
  int32_t Call(const std::string& name, std::vector<int32_t> args);
  // The arguments alone.
  int32_t CallScalar(const std::string& name, std::vector<int32_t> args);
  int32_t Free(int32_t value);
  // What follows goes into a new chain.
  void StartChain();

  void Inputs(std::vector<int32_t> values) { m.SetInputs(std::move(values)); }
  void Outputs(std::vector<int32_t> values) { m.SetOutputs(std::move(values)); }
  // Call last.
  void Finish();

  compiler::MethodBuilder m;

 private:
  int64_t Reserve(uint32_t memory_id, DType dtype, const Sizes& sizes);
  fb::ExecutionPlanT& plan();

  ProgramWriter& program_;
  size_t index_;
  std::map<uint32_t, int64_t> used_;  // bytes of each memory id
  std::map<int32_t, std::pair<uint32_t, uint64_t>> places_;
};

}  // namespace rushlight::hostile
