// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/compiler/interval_packing.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <tuple>

namespace rushlight::compiler {
namespace {

using Order = std::vector<uint32_t>;

bool Overlap(const Block& a, const Block& b) { return a.first <= b.last && b.first <= a.last; }

enum class Fit { kLowest, kTightest };

// A strip of memory on which blocks are placed one after the other.
//
// Where few blocks live together, those in the way of a new one are found by time, in a tree over
// all blocks sorted by their first moment: an inner node holds the last moment of the placed blocks
// below it, so that a search visits only subtrees with something to find.  Where many do, a walk
// over all placed blocks, kept in the order of their offsets, is quicker than to sort what a search
// finds.
class Strip {
 public:
  explicit Strip(const std::vector<Block>& blocks)
      : blocks_(blocks),
        by_first_(blocks.size()),
        position_(blocks.size()),
        offsets_(blocks.size()) {
    std::iota(by_first_.begin(), by_first_.end(), 0u);
    std::stable_sort(by_first_.begin(), by_first_.end(),
                     [&](uint32_t a, uint32_t b) { return blocks[a].first < blocks[b].first; });
    for (uint32_t p = 0; p < by_first_.size(); ++p) position_[by_first_[p]] = p;
    crowded_ = CountPairs() > blocks.size() * blocks.size() / 32;
    while (leaves_ < blocks.size()) leaves_ *= 2;
    latest_.resize(2 * leaves_);
    Clear();
  }

  void Clear() {
    std::fill(latest_.begin(), latest_.end(), kNothing);
    by_offset_.clear();
    height_ = 0;
  }

  void PlaceAt(uint32_t i, uint64_t offset) {
    work_ += 16;
    offsets_[i] = offset;
    height_ = std::max(height_, offset + blocks_[i].bytes);
    if (blocks_[i].bytes == 0) return;  // in nobody's way
    if (crowded_) {
      const auto above =
          std::upper_bound(by_offset_.begin(), by_offset_.end(), offset,
                           [&](uint64_t value, uint32_t other) { return value < offsets_[other]; });
      by_offset_.insert(above, i);
    } else {
      for (size_t node = leaves_ + position_[i]; node > 0; node /= 2) {
        latest_[node] = std::max<int64_t>(latest_[node], blocks_[i].last);
      }
    }
  }

  void Place(uint32_t i, Fit fit) {
    const Block& block = blocks_[i];
    if (block.bytes == 0) return PlaceAt(i, 0);
    FindConflicts(block);
    uint64_t free = 0;  // the end of what has been passed
    uint64_t best = 0;
    uint64_t slack = UINT64_MAX;
    for (const auto& [begin, end] : conflicts_) {
      if (free + block.bytes <= begin) {  // perhaps; the division is left for last
        const uint64_t offset = AlignUp(free, block.alignment);
        if (offset + block.bytes <= begin && begin - offset - block.bytes < slack) {
          slack = begin - offset - block.bytes;
          best = offset;
          if (fit == Fit::kLowest) break;
        }
      }
      free = std::max(free, end);
    }
    PlaceAt(i, slack != UINT64_MAX ? best : AlignUp(free, block.alignment));
  }

  uint64_t height() const { return height_; }
  const std::vector<uint64_t>& offsets() const { return offsets_; }
  // Steps taken so far, of about a nanosecond: time, but the same on every machine.
  uint64_t work() const { return work_; }

 private:
  static constexpr int64_t kNothing = INT64_MIN;

  // How many pairs of blocks live together.
  uint64_t CountPairs() const {
    std::vector<int32_t> ends;
    for (const Block& b : blocks_) ends.push_back(b.last);
    std::sort(ends.begin(), ends.end());
    uint64_t pairs = 0;
    size_t ended = 0;
    for (size_t begun = 0; begun < by_first_.size(); ++begun) {
      while (ends[ended] < blocks_[by_first_[begun]].first) ++ended;
      pairs += begun - ended;
    }
    return pairs;
  }

  // Fills conflicts_ with the placed blocks that live together with `block`, by offset.
  void FindConflicts(const Block& block) {
    conflicts_.clear();
    if (crowded_) {
      for (const uint32_t i : by_offset_) {
        if (Overlap(blocks_[i], block)) AddConflict(i);
      }
      work_ += 2 * by_offset_.size();
      return;
    }
    const auto later =
        std::upper_bound(by_first_.begin(), by_first_.end(), block.last,
                         [&](int32_t moment, uint32_t b) { return moment < blocks_[b].first; });
    Visit(1, 0, leaves_, static_cast<size_t>(later - by_first_.begin()), block.first);
    std::sort(conflicts_.begin(), conflicts_.end());
    work_ += 16 * conflicts_.size() + 16;
  }

  // The leaves of `node` are [begin, end); those from `limit` on begin too late.
  void Visit(size_t node, size_t begin, size_t end, size_t limit, int32_t first) {
    if (begin >= limit || latest_[node] < first) return;
    if (end - begin == 1) return AddConflict(by_first_[begin]);
    const size_t middle = begin + (end - begin) / 2;
    Visit(2 * node, begin, middle, limit, first);
    Visit(2 * node + 1, middle, end, limit, first);
  }

  void AddConflict(uint32_t i) {
    conflicts_.emplace_back(offsets_[i], offsets_[i] + blocks_[i].bytes);
  }

  const std::vector<Block>& blocks_;
  std::vector<uint32_t> by_first_;
  std::vector<uint32_t> position_;  // in by_first_
  bool crowded_ = false;
  size_t leaves_ = 1;
  std::vector<int64_t> latest_;  // [2 * leaves_]
  std::vector<uint32_t> by_offset_;
  std::vector<uint64_t> offsets_;
  std::vector<std::pair<uint64_t, uint64_t>> conflicts_;  // begin, end
  uint64_t height_ = 0;
  uint64_t work_ = 0;
};

// The bytes that live at each moment at which something begins, in order.
struct Profile {
  std::vector<int32_t> moments;
  std::vector<uint64_t> live;
};

Profile MakeProfile(const std::vector<Block>& blocks, const std::vector<uint64_t>& bytes) {
  std::vector<std::pair<int32_t, uint64_t>> begins, ends;  // moment, bytes
  for (size_t i = 0; i < blocks.size(); ++i) {
    begins.emplace_back(blocks[i].first, bytes[i]);
    ends.emplace_back(blocks[i].last, bytes[i]);
  }
  std::sort(begins.begin(), begins.end());
  std::sort(ends.begin(), ends.end());
  Profile profile;
  uint64_t live = 0;
  size_t ended = 0;
  for (size_t i = 0; i < begins.size(); ++i) {
    const int32_t moment = begins[i].first;
    for (; ends[ended].first < moment; ++ended) live -= ends[ended].second;
    live += begins[i].second;
    if (i + 1 < begins.size() && begins[i + 1].first == moment) continue;
    profile.moments.push_back(moment);
    profile.live.push_back(live);
  }
  return profile;
}

// For each block, the most bytes that live at one moment of its life.
std::vector<uint64_t> Breadths(const std::vector<Block>& blocks) {
  std::vector<uint64_t> bytes;
  for (const Block& b : blocks) bytes.push_back(b.bytes);
  const Profile profile = MakeProfile(blocks, bytes);
  std::vector<uint64_t> breadths;
  for (const Block& b : blocks) {
    const auto at = [&](auto bound) {
      return profile.live.begin() + (bound - profile.moments.begin());
    };
    breadths.push_back(*std::max_element(
        at(std::lower_bound(profile.moments.begin(), profile.moments.end(), b.first)),
        at(std::upper_bound(profile.moments.begin(), profile.moments.end(), b.last))));
  }
  return breadths;
}

// The movable blocks in the orders that are worth a try.  Blocks that live all the time come first
// in each: they are best stacked at the bottom.
std::vector<Order> Orders(const std::vector<Block>& blocks) {
  int32_t first = INT32_MAX, last = INT32_MIN;
  for (const Block& b : blocks) {
    first = std::min(first, b.first);
    last = std::max(last, b.last);
  }
  Order movable;
  for (uint32_t i = 0; i < blocks.size(); ++i) {
    if (!blocks[i].offset) movable.push_back(i);
  }
  std::vector<Order> orders;
  const auto add = [&](auto key) {  // the largest key first
    const auto whole_key = [&](uint32_t i) {
      const Block& b = blocks[i];
      return std::make_pair(b.first == first && b.last == last, key(i));
    };
    orders.push_back(movable);
    std::stable_sort(orders.back().begin(), orders.back().end(),
                     [&](uint32_t a, uint32_t b) { return whole_key(a) > whole_key(b); });
  };
  const std::vector<uint64_t> breadths = Breadths(blocks);
  const auto size = [&](uint32_t i) { return blocks[i].bytes; };
  const auto life = [&](uint32_t i) { return int64_t{blocks[i].last} - blocks[i].first + 1; };
  add([&](uint32_t i) { return std::make_tuple(size(i), life(i)); });
  add([&](uint32_t i) { return std::make_tuple(breadths[i], size(i), life(i)); });
  add([&](uint32_t i) {
    return static_cast<double>(size(i)) * static_cast<double>(life(i));  // area
  });
  add([&](uint32_t i) { return std::make_tuple(life(i), size(i)); });
  add([&](uint32_t i) { return std::make_tuple(-int64_t{blocks[i].first}, size(i)); });
  return orders;
}

class Packer {
 public:
  explicit Packer(const std::vector<Block>& blocks)
      : blocks_(blocks), strip_(blocks), bound_(PackingBound(blocks)), offsets_(blocks.size()) {}

  std::vector<uint64_t> Run() {
    for (const Order& order : Orders(blocks_)) {
      for (const Fit fit : {Fit::kLowest, Fit::kTightest}) {
        const Outcome outcome = Try(order, fit, 0, {INT32_MIN, INT32_MAX});
        if (outcome < best_) Keep(outcome, order, fit);
        if (Done()) return offsets_;
      }
    }
    Search();
    return offsets_;
  }

 private:
  // What is to be made small: first of all the height, then the number of blocks that reach it.
  struct Outcome {
    uint64_t height;
    size_t touching;
    bool operator<(const Outcome& other) const {
      return std::tie(height, touching) < std::tie(other.height, other.touching);
    }
  };

  struct Interval {
    int32_t first, last;
  };

  // Places the blocks in this order, which differs from order_ only at the positions from `begin`
  // on and in blocks that live in `changed`: places are sought only where they may differ from
  // offsets_.
  Outcome Try(const Order& order, Fit fit, size_t begin, Interval changed) {
    strip_.Clear();
    for (uint32_t i = 0; i < blocks_.size(); ++i) {
      if (blocks_[i].offset) strip_.PlaceAt(i, *blocks_[i].offset);
    }
    for (size_t p = 0; p < order.size(); ++p) {
      const uint32_t i = order[p];
      const Block& b = blocks_[i];
      if (p < begin || b.last < changed.first || changed.last < b.first) {
        strip_.PlaceAt(i, offsets_[i]);
        continue;
      }
      strip_.Place(i, fit);
      if (strip_.height() > best_.height) return {UINT64_MAX, 0};  // no better than what we have
      if (strip_.offsets()[i] == offsets_[i]) continue;
      changed = {std::min(changed.first, b.first), std::max(changed.last, b.last)};
    }
    size_t touching = 0;
    for (const uint32_t i : order) {
      touching += strip_.offsets()[i] + blocks_[i].bytes == strip_.height();
    }
    return {strip_.height(), touching};
  }

  void Keep(const Outcome& outcome, const Order& order, Fit fit) {
    best_ = outcome;
    order_ = order;
    fit_ = fit;
    offsets_ = strip_.offsets();
  }

  bool Done() const { return RoundSize(best_.height) <= bound_ || strip_.work() > kMaxWork; }

  // Changes the best order where it matters: of the blocks that live together with one that reaches
  // the top, one is placed earlier or later, and stays there unless that made things worse.
  void Search() {
    std::mt19937 random(1);
    for (int failures = 0; failures < kMaxFailures && !Done(); ++failures) {
      std::vector<uint32_t> top;
      for (const uint32_t i : order_) {
        if (offsets_[i] + blocks_[i].bytes == best_.height) top.push_back(i);
      }
      if (top.empty()) return;  // a fixed block reaches it
      const Block& highest = blocks_[top[random() % top.size()]];
      std::vector<size_t> near;  // positions in order_
      for (size_t p = 0; p < order_.size(); ++p) {
        if (Overlap(blocks_[order_[p]], highest)) near.push_back(p);
      }
      const size_t from = near[random() % near.size()];
      const size_t to = near[random() % near.size()];
      const uint32_t moved = order_[from];
      Order order = order_;
      order.erase(order.begin() + static_cast<ptrdiff_t>(from));
      order.insert(order.begin() + static_cast<ptrdiff_t>(to), moved);
      const Outcome outcome =
          Try(order, fit_, std::min(from, to), {blocks_[moved].first, blocks_[moved].last});
      if (outcome < best_) failures = 0;
      if (!(best_ < outcome)) Keep(outcome, order, fit_);
    }
  }

  // About a fifth of a second at most.
  static constexpr int kMaxFailures = 1000;
  static constexpr uint64_t kMaxWork = 50'000'000;

  const std::vector<Block>& blocks_;
  Strip strip_;
  const uint64_t bound_;
  Outcome best_ = {UINT64_MAX, 0};
  Order order_;
  Fit fit_ = Fit::kLowest;
  std::vector<uint64_t> offsets_;  // [blocks], of the best outcome
};

}  // namespace

uint64_t PackingBound(const std::vector<Block>& blocks) {
  // Every block begins at a multiple of the smallest alignment, so all but the uppermost take up
  // multiples of it.
  uint64_t granule = UINT64_MAX, slack = 0, fixed_end = 0;
  std::vector<uint64_t> bytes(blocks.size());
  for (const Block& b : blocks) {
    if (b.bytes > 0) granule = std::min(granule, b.alignment);
  }
  std::vector<size_t> fixed;
  for (size_t i = 0; i < blocks.size(); ++i) {
    const Block& b = blocks[i];
    if (b.bytes == 0) continue;
    if (b.offset) {
      fixed_end = std::max(fixed_end, *b.offset + b.bytes);
      const bool shares = std::any_of(fixed.begin(), fixed.end(), [&](size_t f) {
        const Block& a = blocks[f];
        return Overlap(a, b) && *a.offset < *b.offset + b.bytes && *b.offset < *a.offset + a.bytes;
      });
      if (shares) continue;  // bytes that are counted already
      fixed.push_back(i);
    }
    bytes[i] = AlignUp(b.bytes, granule);
    slack = std::max(slack, bytes[i] - b.bytes);
  }
  uint64_t most = 0;
  const Profile profile = MakeProfile(blocks, bytes);
  for (const uint64_t live : profile.live) most = std::max(most, live);
  return RoundSize(std::max(most - slack, fixed_end));
}

std::vector<uint64_t> PackBlocks(const std::vector<Block>& blocks) { return Packer(blocks).Run(); }

}  // namespace rushlight::compiler
