// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// What a call is given, checked: tensors, positions, scratch.

#include <algorithm>

#include "src/delegates/cpu/call.h"

namespace rushlight::delegates::cpu {

namespace fb = rushlight::fb::cpu;

Result<size_t> CountRows(const Plan& plan, const DelegateRow& row) {
  const auto& arguments = *plan.source->arguments();
  RL_CHECK(row.args.count == arguments.size(), Reason::kDelegateArguments, Error::kNone,
           static_cast<int64_t>(row.args.count), arguments.size());
  for (uint32_t i = 0; i < arguments.size(); ++i) {
    RL_CHECK(row.args[i].is_tensor(), Reason::kDelegateArguments, i);
    const Tensor& t = row.args[i].as_tensor();
    const bool floats = arguments.Get(i)->kind() >= fb::ArgumentKind_ROWS_IN;
    RL_CHECK(t.dtype() == (floats ? DType::kFloat32 : DType::kInt64), Reason::kArgumentDType);
    RL_CHECK(t.IsContiguous(), Reason::kArgumentDimOrder);
    RL_CHECK(t.raw() != nullptr, Reason::kArgumentNull);
  }
  const uint32_t index = plan.source->row_argument();
  const fb::Argument& rows = *arguments.Get(index);
  const bool integers = rows.kind() < fb::ArgumentKind_ROWS_IN;
  const size_t count = row.args[index].as_tensor().numel() / (integers ? 1 : rows.width());
  RL_CHECK(count <= plan.max_rows, Reason::kArgumentSize, Error::kNone, static_cast<int64_t>(count),
           static_cast<int64_t>(plan.max_rows));
  RL_CHECK(count > 0, Reason::kArgumentSize);
  return count;
}

Error Call::CheckArguments(Sequence* sequence) {
  const auto& arguments = *source_.arguments();
  for (uint32_t i = 0; i < arguments.size(); ++i) {
    const fb::Argument& a = *arguments.Get(i);
    if (a.kind() == fb::ArgumentKind_ROWS_OUT) {
      RL_RETURN_IF_ERROR(PrepareOutput(*sequence, a, i));
      continue;
    }
    if (a.kind() == fb::ArgumentKind_MASK) continue;  // each step asks for its own sizes
    const size_t width = a.kind() == fb::ArgumentKind_ROWS_IN ? a.width() : 1;
    RL_CHECK(tensor(*sequence, i).numel() == (a.single() ? 1 : sequence->rows) * width,
             Reason::kArgumentSize, Error::kNone,
             static_cast<int64_t>(tensor(*sequence, i).numel()),
             static_cast<int64_t>(sequence->rows * width));
  }
  for (uint32_t i = 0; i < arguments.size(); ++i) {
    if (arguments.Get(i)->kind() == fb::ArgumentKind_ROWS_OUT) {
      RL_RETURN_IF_ERROR(CheckOutputMemory(*sequence, i));
    }
  }
  return CheckPositions(sequence);
}

// What is written is nobody else's: tokens that were looked at stay as they are.
Error Call::CheckOutputMemory(const Sequence& s, uint32_t index) {
  RL_CHECK(!tensor(s, index).read_only(), Reason::kArgumentReadOnly);
  for (uint32_t i = 0; i < s.source->args.count; ++i) {
    RL_CHECK(i == index || !Overlap(tensor(s, index), tensor(s, i)), Reason::kArgumentOverlap);
  }
  return kOk;
}

Error Call::CheckPositions(Sequence* s) {
  if (source_.position_argument() < 0) return kOk;
  const int64_t* positions =
      tensor(*s, static_cast<uint32_t>(source_.position_argument())).data<int64_t>();
  const int64_t first = positions[0];
  const int64_t limit =
      plan_.states.empty() ? INT32_MAX : static_cast<int64_t>(s->source->capacity);
  RL_CHECK(first >= 0 && first <= limit - static_cast<int64_t>(s->rows), Reason::kIndexOutOfRange,
           Error::kNone, first, limit);
  for (size_t i = 1; i < s->rows; ++i) {
    RL_CHECK(positions[i] == first + static_cast<int64_t>(i), Reason::kArgumentValue, Error::kNone,
             positions[i], first + static_cast<int64_t>(i));
  }
  s->position = static_cast<size_t>(first);
  return kOk;
}

Error Call::PrepareOutput(const Sequence& s, const fb::Argument& argument, uint32_t index) {
  int32_t sizes[kMaxRank];
  size_t rank = 0, fixed = 1, flexible = kMaxRank;
  const size_t rows = argument.single() ? 1 : s.rows;
  if (argument.like() >= 0) {
    const auto like = static_cast<uint32_t>(argument.like());
    const Tensor& t = tensor(s, like);
    const bool floats = source_.arguments()->Get(like)->kind() == fb::ArgumentKind_ROWS_IN;
    const size_t leading = t.rank() - (floats && t.rank() > 0 ? 1 : 0);
    RL_CHECK(leading < kMaxRank && t.numel() > 0, Reason::kArgumentRank);
    for (; rank < leading; ++rank) sizes[rank] = t.size(rank);
    for (size_t d = 0; d < rank; ++d) fixed *= static_cast<size_t>(sizes[d]);
  } else if (argument.leading() != nullptr) {
    for (const int32_t size : *argument.leading()) {
      if (size == -1) {
        flexible = rank;
      } else {
        fixed *= static_cast<size_t>(size);
      }
      sizes[rank++] = size;
    }
  }
  RL_CHECK(fixed <= rows && rows % fixed == 0 && (flexible != kMaxRank || fixed == rows),
           Reason::kArgumentSize, Error::kNone, static_cast<int64_t>(rows));
  if (flexible != kMaxRank) sizes[flexible] = static_cast<int32_t>(rows / fixed);
  sizes[rank++] = static_cast<int32_t>(argument.width());
  return tensor(s, index).Resize({sizes, rank});
}

Result<size_t> Call::LengthOf(const fb::Groups& groups, const Sequence& s) const {
  size_t length = groups.length();
  if (groups.argument() >= 0) {
    const auto index = static_cast<uint32_t>(groups.argument());
    const Tensor& t = tensor(s, index);
    const size_t behind = source_.arguments()->Get(index)->kind() == fb::ArgumentKind_ROWS_IN;
    RL_CHECK(t.rank() > behind, Reason::kArgumentRank);
    length = static_cast<size_t>(t.size(t.rank() - 1 - behind));
  }
  RL_CHECK(length > 0 && length <= groups.length() && s.rows % length == 0, Reason::kArgumentSize,
           Error::kNone, static_cast<int64_t>(length), static_cast<int64_t>(groups.length()));
  return length;
}

Error Call::CheckGroups(const fb::Groups& groups) const {
  for (const Sequence& s : sequences_) RL_RETURN_IF_ERROR(LengthOf(groups, s).error());
  return kOk;
}

size_t Call::PlaceInGroup(const fb::Groups& groups, size_t row) const {
  const Sequence& s = SequenceOf(row);
  return (row - s.first) % *LengthOf(groups, s);
}

Error Call::AllocateScratch() {
  Arena& arena = context_.scratch;
  const size_t line = kernels::kLineBytes;
  sequence_of_row_ = static_cast<uint32_t*>(arena.Allocate(m_ * sizeof(uint32_t), line));
  buffers_ = static_cast<float*>(arena.Allocate(m_ * plan_.row_floats * sizeof(float), line));
  quantized_ = static_cast<int8_t*>(arena.Allocate(m_ * plan_.quantized_stride, line));
  const size_t groups = m_ * plan_.quantized_groups;
  scales_ = static_cast<float*>(arena.Allocate(groups * sizeof(float), line));
  sums_ = static_cast<int32_t*>(arena.Allocate(groups * sizeof(int32_t), line));
  totals_ = static_cast<float*>(arena.Allocate(groups * sizeof(float), line));
  of_threads_ = static_cast<float*>(
      arena.Allocate(plan_.threads * plan_.thread_floats * sizeof(float), line));
  RL_CHECK(sequence_of_row_ != nullptr && buffers_ != nullptr && quantized_ != nullptr &&
               scales_ != nullptr && sums_ != nullptr && totals_ != nullptr &&
               of_threads_ != nullptr,
           Reason::kScratchArena, Error::kNone, static_cast<int64_t>(ScratchBytes(plan_, m_)),
           static_cast<int64_t>(arena.capacity()));
  RL_CHECK(context_.threads <= plan_.threads, Reason::kBug);
  return kOk;
}

}  // namespace rushlight::delegates::cpu
