// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/compiler/memory_planner.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "src/compiler/interval_packing.h"

namespace rushlight::compiler {
namespace {

Error CheckRequest(const PlanRequest& request) {
  uint64_t total = 0;  // no plan of ours reaches further
  for (size_t i = 0; i < request.buffers.size(); ++i) {
    const BufferSpec& b = request.buffers[i];
    const auto index = static_cast<uint32_t>(i);
    RL_CHECK(b.first_use <= b.last_use, Reason::kOptionInvalid, index, b.last_use, b.first_use);
    RL_CHECK(b.memory_id >= 1 && b.memory_id <= kMaxMemoryId, Reason::kMemoryId, index, b.memory_id,
             kMaxMemoryId);
    RL_CHECK(b.alignment != 0 && (b.alignment & (b.alignment - 1)) == 0 &&
                 b.offset.value_or(0) % b.alignment == 0,
             Reason::kMemoryAlignment, index, static_cast<int64_t>(b.offset.value_or(0)));
    for (const uint64_t part : {b.bytes, b.alignment, b.offset.value_or(0), RoundSize(1)}) {
      RL_CHECK(!__builtin_add_overflow(total, part, &total) && total <= INT64_MAX,
               Reason::kMemorySize, b.memory_id, static_cast<int64_t>(part));
    }
  }
  for (const InPlaceHint& hint : request.in_place) {
    const uint32_t largest = std::max(hint.input, hint.output);
    RL_CHECK(largest < request.buffers.size(), Reason::kOptionInvalid, largest, largest,
             static_cast<int64_t>(request.buffers.size()));
  }
  return kOk;
}

bool CanShare(const BufferSpec& input, const BufferSpec& output) {
  return input.bytes == output.bytes && input.memory_id == output.memory_id &&
         input.first_use < output.first_use && input.last_use == output.first_use &&
         !input.offset && !output.offset;
}

// A request as blocks to pack: buffers that are computed in place of one another have become one.
struct Packing {
  struct Memory {
    std::vector<Block> blocks;
    std::vector<uint32_t> buffers;  // of each block, the first that lies there
  };
  std::vector<Memory> memories;
  std::vector<uint32_t> next;  // [buffers] the one that takes over the storage, or kNone

  static constexpr uint32_t kNone = UINT32_MAX;

  explicit Packing(const PlanRequest& request) : next(request.buffers.size(), kNone) {
    const std::vector<BufferSpec>& buffers = request.buffers;
    std::vector<bool> taken_over(buffers.size());
    for (const auto& [input, output] : request.in_place) {
      if (next[input] != kNone || taken_over[output]) continue;
      if (!CanShare(buffers[input], buffers[output])) continue;
      next[input] = output;
      taken_over[output] = true;
    }
    for (uint32_t i = 0; i < buffers.size(); ++i) {
      if (memories.size() < buffers[i].memory_id) memories.resize(buffers[i].memory_id);
      if (taken_over[i]) continue;
      const BufferSpec& b = buffers[i];
      Block block{b.bytes, b.alignment, b.first_use, b.last_use, b.offset};
      for (uint32_t j = next[i]; j != kNone; j = next[j]) {
        block.alignment = std::max(block.alignment, buffers[j].alignment);
        block.last = buffers[j].last_use;
      }
      memories[b.memory_id - 1].blocks.push_back(block);
      memories[b.memory_id - 1].buffers.push_back(i);
    }
  }
};

// The buffers of one memory, as a sweep over time sees them.
class OverlapCheck {
 public:
  OverlapCheck(const PlanRequest& request, const MemoryPlan& plan)
      : buffers_(request.buffers), offsets_(plan.offsets) {
    for (const auto& [input, output] : request.in_place) in_place_.emplace(input, output);
  }

  Error Run(uint32_t memory_id) {
    std::vector<uint32_t> by_first, fixed;
    for (uint32_t i = 0; i < buffers_.size(); ++i) {
      if (buffers_[i].memory_id != memory_id || buffers_[i].bytes == 0) continue;
      (buffers_[i].offset ? fixed : by_first).push_back(i);
    }
    std::vector<uint32_t> by_last = by_first;
    std::sort(by_first.begin(), by_first.end(), [&](uint32_t a, uint32_t b) {
      return buffers_[a].first_use < buffers_[b].first_use;
    });
    std::sort(by_last.begin(), by_last.end(),
              [&](uint32_t a, uint32_t b) { return buffers_[a].last_use < buffers_[b].last_use; });
    live_.clear();
    auto ended = by_last.begin();
    for (const uint32_t i : by_first) {
      for (; buffers_[*ended].last_use < buffers_[i].first_use; ++ended) {
        const auto entry = live_.find(offsets_[*ended]);
        if (entry != live_.end() && entry->second == *ended) live_.erase(entry);
      }
      RL_RETURN_IF_ERROR(Enter(i));
      for (const uint32_t f : fixed) RL_RETURN_IF_ERROR(CheckFixed(f, i));
    }
    return kOk;
  }

 private:
  uint64_t End(uint32_t i) const { return offsets_[i] + buffers_[i].bytes; }

  // live_ is disjoint, so only neighbours can be in the way.
  Error Enter(uint32_t i) {
    auto next = live_.lower_bound(offsets_[i]);
    if (next != live_.begin()) {
      const uint32_t below = std::prev(next)->second;
      RL_CHECK(End(below) <= offsets_[i], Reason::kMemoryOverlap, i, below);
    }
    if (next != live_.end() && next->first < End(i)) {
      const uint32_t above = next->second;
      const bool in_place = offsets_[above] == offsets_[i] && in_place_.count({above, i}) != 0 &&
                            CanShare(buffers_[above], buffers_[i]);
      RL_CHECK(in_place, Reason::kMemoryOverlap, i, above);
    }
    live_[offsets_[i]] = i;  // where it is in place, it lives on instead of its input
    return kOk;
  }

  Error CheckFixed(uint32_t f, uint32_t i) const {
    const BufferSpec& a = buffers_[f];
    const BufferSpec& b = buffers_[i];
    RL_CHECK(a.last_use < b.first_use || b.last_use < a.first_use || End(f) <= offsets_[i] ||
                 End(i) <= offsets_[f],
             Reason::kMemoryOverlap, i, f);
    return kOk;
  }

  const std::vector<BufferSpec>& buffers_;
  const std::vector<uint64_t>& offsets_;
  std::set<std::pair<uint32_t, uint32_t>> in_place_;
  std::map<uint64_t, uint32_t> live_;  // by offset
};

}  // namespace

Result<MemoryPlan> PlanMemory(const PlanRequest& request) {
  RL_RETURN_IF_ERROR(CheckRequest(request));
  const Packing packing(request);
  MemoryPlan plan;
  plan.offsets.resize(request.buffers.size());
  for (const Packing::Memory& memory : packing.memories) {
    const std::vector<uint64_t> offsets = PackBlocks(memory.blocks);
    uint64_t size = 0;
    for (size_t k = 0; k < offsets.size(); ++k) {
      size = std::max(size, offsets[k] + memory.blocks[k].bytes);
      for (uint32_t i = memory.buffers[k]; i != Packing::kNone; i = packing.next[i]) {
        plan.offsets[i] = offsets[k];
      }
    }
    plan.sizes.push_back(RoundSize(size));
  }
  return plan;
}

Result<std::vector<uint64_t>> MemoryLowerBounds(const PlanRequest& request) {
  RL_RETURN_IF_ERROR(CheckRequest(request));
  const Packing packing(request);
  std::vector<uint64_t> bounds;
  for (const Packing::Memory& memory : packing.memories) {
    bounds.push_back(PackingBound(memory.blocks));
  }
  return bounds;
}

Error VerifyPlan(const PlanRequest& request, const MemoryPlan& plan) {
  RL_RETURN_IF_ERROR(CheckRequest(request));
  const std::vector<BufferSpec>& buffers = request.buffers;
  RL_CHECK(plan.offsets.size() == buffers.size(), Reason::kOptionInvalid, Error::kNone,
           static_cast<int64_t>(plan.offsets.size()), static_cast<int64_t>(buffers.size()));
  RL_CHECK(plan.sizes.size() <= kMaxMemoryId, Reason::kMemoryId, Error::kNone,
           static_cast<int64_t>(plan.sizes.size()), kMaxMemoryId);
  for (uint32_t i = 0; i < buffers.size(); ++i) {
    const BufferSpec& b = buffers[i];
    const uint64_t offset = plan.offsets[i];
    RL_CHECK(b.memory_id <= plan.sizes.size(), Reason::kMemoryId, i, b.memory_id,
             static_cast<int64_t>(plan.sizes.size()));
    const uint64_t size = plan.sizes[b.memory_id - 1];
    RL_CHECK(size <= INT64_MAX, Reason::kMemorySize, b.memory_id, static_cast<int64_t>(size));
    RL_CHECK(offset <= size && b.bytes <= size - offset, Reason::kMemoryRange, i,
             static_cast<int64_t>(offset + b.bytes), static_cast<int64_t>(size));
    RL_CHECK(offset % b.alignment == 0, Reason::kMemoryAlignment, i, static_cast<int64_t>(offset));
    RL_CHECK(offset == b.offset.value_or(offset), Reason::kMemoryRange, i,
             static_cast<int64_t>(offset), static_cast<int64_t>(*b.offset));
  }
  OverlapCheck check(request, plan);
  for (uint32_t id = 1; id <= plan.sizes.size(); ++id) RL_RETURN_IF_ERROR(check.Run(id));
  return kOk;
}

}  // namespace rushlight::compiler
