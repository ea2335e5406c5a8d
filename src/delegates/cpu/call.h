// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Call: one walk over a plan's steps, for sequences that go together.
//
// The rows of floats of all sequences lie behind one another in the plan's buffers, so that
// products take them together; arguments are each sequence's own tensors.  No result depends on
// what goes with it.
#pragma once

#include "src/delegates/cpu/plan.h"
#include "src/delegates/cpu/schema.h"

namespace rushlight::delegates::cpu {

// The rows of a sequence, which come from one of its arguments; all of them are checked.
Result<size_t> CountRows(const Plan& plan, const DelegateRow& row);

class Call {
 public:
  // `sequences`: of `rows` rows in all, counted (CountRows), no more than there is scratch for.
  Call(Context& context, const Plan& plan, Span<Sequence> sequences, size_t rows)
      : context_(context), plan_(plan), source_(*plan.source), sequences_(sequences), m_(rows) {}

  Error Run();

 private:
  // Rows of floats in memory; those of an argument lie with their sequence.
  struct View {
    float* data;                    // null:
    size_t stride;                  // floats
    const fb::cpu::Rows* argument;  // an argument's, of several sequences
    const Call* call;
    bool single;  // a row for each sequence
    float* row(size_t i) const {
      return data != nullptr ? data + i * stride : call->ArgumentRow(*argument, i, single);
    }
  };

  // arguments.cc
  Error CheckArguments(Sequence* sequence);
  Error CheckOutputMemory(const Sequence& sequence, uint32_t index);
  Error CheckPositions(Sequence* sequence);
  Error PrepareOutput(const Sequence& sequence, const fb::cpu::Argument& argument, uint32_t index);
  Error AllocateScratch();

  Error RunStep(const fb::cpu::Step& step);
  Error Embed(const fb::cpu::Embed& step);
  Error Norm(const fb::cpu::Norm& step);
  Error Matmul(const fb::cpu::Matmul& step);
  Error MatmulRows(const fb::cpu::Matmul& step, size_t first, size_t count);
  Error Attend(const fb::cpu::Attention& step);
  Error Rope(const fb::cpu::Rope& step);
  Error Affine(const fb::cpu::Affine& step);

  // self_attention.cc
  Error SelfAttend(const fb::cpu::SelfAttention& step);
  Error CheckMask(const fb::cpu::SelfAttention& step, const Sequence& s, size_t length) const;

  // Rows of each of a sequence's groups.
  Result<size_t> LengthOf(const fb::cpu::Groups& groups, const Sequence& s) const;
  Error CheckGroups(const fb::cpu::Groups& groups) const;
  // Of groups that were checked: a row's place in its own.
  size_t PlaceInGroup(const fb::cpu::Groups& groups, size_t row) const;

  static Tensor& tensor(const Sequence& s, uint32_t argument) {
    return s.source->args[argument].as_tensor();
  }
  bool IsSingle(const fb::cpu::Rows& rows) const {
    return rows.is_argument() ? source_.arguments()->Get(rows.index())->single()
                              : source_.buffers()->Get(rows.index())->single();
  }
  size_t CountOf(const fb::cpu::Rows& rows) const {
    return IsSingle(rows) ? sequences_.size() : m_;
  }
  const Sequence& SequenceOf(size_t row) const { return sequences_[sequence_of_row_[row]]; }
  // Whether rows lie at one distance from each other.
  bool Together(const fb::cpu::Rows& rows) const {
    return !rows.is_argument() || sequences_.size() == 1;
  }
  View At(const fb::cpu::Rows& rows) const;
  float* ArgumentRow(const fb::cpu::Rows& rows, size_t i, bool single) const;
  const float* Vector(int32_t index) const {
    return index < 0 ? nullptr : plan_.vectors[static_cast<size_t>(index)];
  }

  // body(row) for `count` rows of `width` floats.
  template <class F>
  Error ForRows(size_t count, size_t width, const F& body) {
    const size_t all = kSerialFloats / (width == 0 ? 1 : width);
    const size_t grain = count <= (all == 0 ? 1 : all) ? count : Grain(count);
    return context_.ParallelFor(count, grain, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) body(i);
    });
  }
  size_t Grain(size_t count) const {
    return context_.threads < 2 ? count
                                : kernels::DivideUp(count, context_.threads * kPiecesPerThread);
  }

  // Floats of row operations that are not worth a second thread.
  static constexpr size_t kSerialFloats = 16 * 1024;
  // Pieces for each thread, for those that come late.
  static constexpr size_t kPiecesPerThread = 4;

  Context& context_;
  const Plan& plan_;
  const fb::cpu::Plan& source_;
  Span<Sequence> sequences_;
  const size_t m_;  // rows of all sequences
  uint32_t* sequence_of_row_ = nullptr;
  float* buffers_ = nullptr;
  int8_t* quantized_ = nullptr;
  float* scales_ = nullptr;
  int32_t* sums_ = nullptr;
  float* totals_ = nullptr;
  float* of_threads_ = nullptr;
};

}  // namespace rushlight::delegates::cpu
