// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Attention of the rows of a call to each other, in groups: encoders.
//
// An item is a key-value head of a group, or some of its query rows.  A thread packs the head's
// keys and values into memory of its own and attends to them at once; nothing is shared, so there
// is one loop and nothing to wait for.

#include <algorithm>

#include "src/delegates/cpu/call.h"

namespace rushlight::delegates::cpu {

namespace fb = rushlight::fb::cpu;

namespace {

// A mask's sizes, [groups or 1, heads or 1, rows or 1, length]; leading ones may be left out.
struct MaskSizes {
  size_t groups, heads, rows, length;
};

MaskSizes SizesOf(const Tensor& mask) {
  const auto size = [&](size_t from_the_end) -> size_t {
    return from_the_end < mask.rank()
               ? static_cast<size_t>(mask.size(mask.rank() - 1 - from_the_end))
               : 1;
  };
  return {size(3), size(2), size(1), size(0)};
}

}  // namespace

Error Call::CheckMask(const fb::SelfAttention& step, const Sequence& s, size_t length) const {
  if (step.mask() < 0) return kOk;
  const Tensor& mask = tensor(s, static_cast<uint32_t>(step.mask()));
  RL_CHECK(mask.rank() <= 4, Reason::kArgumentRank);
  const MaskSizes sizes = SizesOf(mask);
  RL_CHECK((sizes.groups == 1 || sizes.groups == s.rows / length) &&
               (sizes.heads == 1 || sizes.heads == step.heads()) &&
               (sizes.rows == 1 || sizes.rows == length) && sizes.length == length,
           Reason::kArgumentSize, Error::kNone, static_cast<int64_t>(mask.numel()),
           static_cast<int64_t>(length));
  return kOk;
}

Error Call::SelfAttend(const fb::SelfAttention& step) {
  const size_t kv_heads = step.kv_heads(), together = step.heads() / kv_heads;
  size_t heads = 0, work = 0;  // of all sequences' groups
  for (const Sequence& s : sequences_) {
    RL_ASSIGN_OR_RETURN(const size_t length, LengthOf(*step.groups(), s));
    RL_RETURN_IF_ERROR(CheckMask(step, s, length));
    heads += s.rows / length * kv_heads;
    work += s.rows * length * step.heads() * (size_t{step.key_size()} + step.value_size());
  }
  // Heads that are fewer than the threads' pieces are cut, each part with keys and values packed.
  const size_t parts =
      context_.threads < 2 ? 1 : kernels::DivideUp(context_.threads * kPiecesPerThread, heads);

  const View query = At(*step.query()), key = At(*step.key()), value = At(*step.value()),
             out = At(*step.out());
  // Part `part` of a head of a sequence's group.
  const auto attend = [&](const Sequence& s, size_t length, size_t group, size_t head, size_t part,
                          float* memory) {
    const size_t first = s.first + group * length;
    kernels::AttentionArgs args{};
    args.cache = HeadCacheOf(step);
    const size_t positions = kernels::BlockPositions(length);
    const size_t keys = positions * kernels::KeyBytes(args.cache) / sizeof(float);
    args.cache.keys = memory;
    args.cache.values = memory + keys;
    args.scratch = memory + keys + positions * kernels::ValueBytes(args.cache) / sizeof(float);
    args.q_stride = query.stride;
    args.out_stride = out.stride;
    args.m = length;
    args.length = length;
    args.causal = step.causal();
    args.scale = step.scale();
    args.soft_cap = step.soft_cap();
    MaskSizes mask{};
    if (step.mask() >= 0) mask = SizesOf(tensor(s, static_cast<uint32_t>(step.mask())));
    args.heads = mask.heads > 1 ? 1 : together;  // those of one mask
    const size_t tiles = kernels::AttentionItems(args);
    args.begin = tiles * part / parts;
    args.end = tiles * (part + 1) / parts;
    if (args.begin == args.end) return;
    kernels::AppendToCache({args.cache, 0, length, key.row(first) + head * step.key_size(),
                            key.stride, value.row(first) + head * step.value_size(), value.stride,
                            0, 1, nullptr, nullptr});
    for (size_t h = head * together; h < (head + 1) * together; h += args.heads) {
      args.q = query.row(first) + h * step.key_size();
      args.out = out.row(first) + h * step.value_size();
      args.sinks = step.sinks() < 0 ? nullptr : Vector(step.sinks()) + h;
      if (step.mask() >= 0) {
        const size_t plane = (mask.groups > 1 ? group * mask.heads : 0) + (mask.heads > 1 ? h : 0);
        args.mask = tensor(s, static_cast<uint32_t>(step.mask())).data<float>() +
                    plane * mask.rows * length;
        args.mask_stride = mask.rows > 1 ? length : 0;
      }
      plan_.self_attention(args);
    }
  };
  const size_t items = heads * parts;
  return context_.ParallelFor(
      items, work <= 4 * kSerialFloats ? items : 1, [&](size_t thread, size_t begin, size_t end) {
        float* const memory = of_threads_ + thread * plan_.thread_floats;
        size_t first = 0;  // item of the sequence
        for (const Sequence& s : sequences_) {
          const size_t length = *LengthOf(*step.groups(), s);
          const size_t count = s.rows / length * kv_heads * parts;
          for (size_t i = std::max(begin, first); i < std::min(end, first + count); ++i) {
            const size_t head = (i - first) / parts;
            attend(s, length, head / kv_heads, head % kv_heads, (i - first) % parts, memory);
          }
          first += count;
        }
      });
}

}  // namespace rushlight::delegates::cpu
