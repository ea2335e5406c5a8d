// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// FrozenIndex: finds the number of a key among keys that do not change any more.
//
// Keys are sorted by hash value, and a table says where each prefix of hash values starts.  So a
// lookup reads one bucket of one or two entries, and keys that were chosen to collide cost a binary
// search, not a walk: a hostile file can slow nothing down by more than log n.
//
// An index lies in a file as well as in memory.  Finding trusts none of its numbers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "src/core/hash.h"
#include "src/tokenizers/column.h"

namespace rushlight::tokenizers {

inline uint64_t HashOf(uint64_t value) {  // the finalizer of MurmurHash3
  value = (value ^ value >> 33) * 0xff51afd7ed558ccdull;
  value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53ull;
  return value ^ value >> 33;
}

// Of the beginning and the length: what it costs is bounded, however long a token claims to be.
inline uint64_t HashOf(std::string_view text) {
  return HashOf(Fnv1a(text.substr(0, 32)) + text.size());
}

class FrozenIndex {
 public:
  static constexpr uint32_t kNone = 0xffffffffu;

  // The tables of an index.
  struct Tables {
    std::vector<uint32_t> order;   // numbers of the keys, sorted by hash, then key
    std::vector<uint32_t> starts;  // of the buckets in `order`, and their end
  };

  // Indexes the keys key_of(0) ... key_of(count - 1).  Of equal keys, the last one is found.
  // Returns whether all keys are different.  Requires: count < kNone.
  template <class KeyOf>
  static bool Build(uint32_t count, const KeyOf& key_of, Tables* tables) {
    struct Entry {
      uint64_t hash;
      uint32_t number;
    };
    std::vector<Entry> entries(count);
    for (uint32_t i = 0; i < count; ++i) entries[i] = {HashOf(key_of(i)), i};
    std::sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
      if (a.hash != b.hash) return a.hash < b.hash;
      const auto x = key_of(a.number), y = key_of(b.number);
      return x != y ? x < y : a.number < b.number;
    });
    const int bits = BucketBits(count);
    tables->starts.assign((size_t{1} << bits) + 1, 0);
    for (const Entry& e : entries) {
      tables->order.push_back(e.number);
      ++tables->starts[(e.hash >> (64 - bits)) + 1];
    }
    for (size_t b = 1; b < tables->starts.size(); ++b) tables->starts[b] += tables->starts[b - 1];
    const auto equal = [&](const Entry& a, const Entry& b) {
      return a.hash == b.hash && key_of(a.number) == key_of(b.number);
    };
    return std::adjacent_find(entries.begin(), entries.end(), equal) == entries.end();
  }

  FrozenIndex() = default;
  // Requires: `starts` is of the size that Build() gives it for as many keys as `order` has.
  FrozenIndex(Column<uint32_t> order, Column<uint32_t> starts)
      : shift_(64 - BucketBits(order.size())), order_(order), starts_(starts) {}

  static size_t BucketsOf(size_t count) { return (size_t{1} << BucketBits(count)) + 1; }

  // Requires: `key_of` as in Build().
  template <class Key, class KeyOf>
  uint32_t Find(const Key& key, const KeyOf& key_of) const {
    if (order_.size() == 0) return kNone;
    const uint64_t hash = HashOf(key);
    size_t begin = starts_[hash >> shift_];
    size_t end = std::min<size_t>(starts_[(hash >> shift_) + 1], order_.size());
    uint32_t last = kNone;  // that is not greater
    while (begin < end) {
      const size_t middle = begin + (end - begin) / 2;
      const uint32_t number = order_[middle];
      if (number >= order_.size()) return kNone;
      const Key other = key_of(number);
      const uint64_t its_hash = HashOf(other);
      if (its_hash != hash ? its_hash < hash : !(key < other)) {
        last = number;
        begin = middle + 1;
      } else {
        end = middle;
      }
    }
    return last != kNone && key_of(last) == key ? last : kNone;
  }

 private:
  // For buckets of one or two keys.
  static int BucketBits(size_t count) {
    int bits = 1;
    while ((uint64_t{2} << bits) < count) ++bits;
    return bits;
  }

  int shift_ = 63;  // the bucket of a hash value is its first bits
  Column<uint32_t> order_, starts_;
};

}  // namespace rushlight::tokenizers
