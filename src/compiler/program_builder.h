// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// ProgramBuilder: writes program files (.pte).
//
// The schema's object form (fb::ProgramT) is filled method by method; constants, delegate payloads
// and named data are referred to, not copied, until Finish writes them behind the FlatBuffer as
// segments.  The bytes handed in must stay alive until then.  Equal bytes are stored once.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "rushlight/error.h"
#include "src/compiler/segmented_file.h"
#include "src/program/schema.h"

namespace rushlight::compiler {

// Where segments and constants begin, in bytes.  All are powers of two, 16 or more.
struct ProgramAlignment {
  size_t segment = 128;
  size_t constant = 16;
};

struct TensorSpec {
  int8_t scalar_type = 0;
  std::vector<int32_t> sizes;
  std::vector<uint8_t> dim_order;  // empty: 0, 1, 2, ...
  bool dynamic = false;
  uint32_t constant = 0;   // from AddConstant or AddInitialState
  uint32_t memory_id = 0;  // 0: not planned
  uint64_t memory_offset = 0;
  std::string name;  // of a buffer, or of external data
  bool external = false;
};

// One method.  Positions are those in the value table and in the instruction list.
class MethodBuilder {
 public:
  explicit MethodBuilder(fb::ExecutionPlanT* plan);

  int32_t AddNull();
  int32_t AddInt(int64_t v);
  int32_t AddBool(bool v);
  int32_t AddDouble(double v);
  int32_t AddString(std::string v);
  int32_t AddTensor(const TensorSpec& spec);
  int32_t AddIntList(std::vector<int64_t> items);
  int32_t AddDoubleList(std::vector<double> items);
  int32_t AddBoolList(const std::vector<bool>& items);
  int32_t AddTensorList(std::vector<int32_t> items);
  int32_t AddOptionalTensorList(std::vector<int32_t> items);

  // The position of the operator in the plan's list, added if new.
  int32_t AddOperator(const std::string& name, const std::string& overload);
  int32_t AddKernelCall(int32_t op, std::vector<int32_t> args);
  int32_t AddDelegateCall(int32_t delegate, std::vector<int32_t> args);
  int32_t AddMove(int32_t from, int32_t to);
  int32_t AddJumpFalse(int32_t condition, int32_t destination);
  void SetJumpDestination(int32_t instruction, int32_t destination);
  int32_t num_instructions() const;

  void SetInputs(std::vector<int32_t> values);
  void SetOutputs(std::vector<int32_t> values);
  void SetTrees(std::string inputs, std::string outputs);
  // Bytes of memory ids 1, 2, ...
  void SetMemory(const std::vector<int64_t>& bytes);

 private:
  friend class ProgramBuilder;
  template <class T>
  int32_t Add(T value);
  template <class T>
  int32_t AddInstruction(T call);

  fb::ExecutionPlanT* plan_;
  std::unordered_map<std::string, int32_t> operators_;
};

class ProgramBuilder {
 public:
  using Bytes = compiler::Bytes;

  explicit ProgramBuilder(ProgramAlignment alignment = {});

  MethodBuilder AddMethod(const std::string& name);

  // Data of a constant tensor: its data_buffer_idx.
  uint32_t AddConstant(Bytes bytes);
  // Initial contents of a mutable tensor: its data_buffer_idx.
  uint32_t AddInitialState(Bytes bytes);
  void AddNamedData(const std::string& key, Bytes bytes, size_t alignment);
  // Adds a delegate to a method; payloads become segments, or stay in the FlatBuffer.
  int32_t AddDelegate(MethodBuilder& method, const std::string& id, Bytes payload,
                      const std::vector<std::pair<std::string, std::string>>& specs,
                      bool inline_payload = false);

  // Gives the file in pieces to `write`, in order; stops and returns false where it does.  Nothing
  // may be added afterwards; calling it again gives the same bytes.
  bool Finish(const Sink& write);
  Error WriteFile(const std::string& path);
  std::vector<uint8_t> ToBytes();

  fb::ProgramT& program() { return program_; }

 private:
  // A segment of many tensors.
  struct Subsegments : Segment {
    std::unordered_multimap<size_t, uint32_t> by_hash;  // content to entry
  };

  uint32_t AddToSubsegment(Subsegments& segment, std::vector<uint64_t>& offsets, Bytes bytes,
                           size_t alignment);
  void LayOutSegments();

  ProgramAlignment alignment_;
  fb::ProgramT program_;
  Subsegments constants_;
  Subsegments initial_state_;
  std::vector<uint64_t> initial_offsets_;
  std::vector<Segment> delegate_segments_;
  std::vector<Segment> named_segments_;
  std::vector<const Segment*> layout_;  // final order; filled by LayOutSegments
  uint64_t data_size_ = 0;
};

}  // namespace rushlight::compiler
