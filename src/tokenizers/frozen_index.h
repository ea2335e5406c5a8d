// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// FrozenIndex: finds the number of a key among keys that do not change any more.
//
// Keys are sorted by hash value, and a table says where each prefix of hash values starts.  So a
// lookup reads one bucket of one or two entries, and keys that were chosen to collide cost a binary
// search, not a walk: a hostile file can slow nothing down by more than log n.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "src/core/hash.h"

namespace rushlight::tokenizers {

inline uint64_t HashOf(uint64_t value) {  // the finalizer of MurmurHash3
  value = (value ^ value >> 33) * 0xff51afd7ed558ccdull;
  value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53ull;
  return value ^ value >> 33;
}

inline uint64_t HashOf(std::string_view text) { return HashOf(Fnv1a(text)); }

class FrozenIndex {
 public:
  static constexpr uint32_t kNone = 0xffffffffu;

  // Indexes the keys key_of(0) ... key_of(count - 1).  Of equal keys, the last one is found.
  // Returns whether all keys are different.  Requires: count < kNone.
  template <class KeyOf>
  bool Build(uint32_t count, const KeyOf& key_of) {
    int bits = 1;
    while ((uint64_t{1} << bits) < count) ++bits;
    shift_ = 64 - bits;
    entries_.resize(count);
    for (uint32_t i = 0; i < count; ++i) entries_[i] = {HashOf(key_of(i)), i};
    std::sort(entries_.begin(), entries_.end(), [&](const Entry& a, const Entry& b) {
      if (a.hash != b.hash) return a.hash < b.hash;
      const auto x = key_of(a.number), y = key_of(b.number);
      return x != y ? x < y : a.number < b.number;
    });
    starts_.assign((size_t{1} << bits) + 1, 0);
    for (const Entry& e : entries_) ++starts_[(e.hash >> shift_) + 1];
    for (size_t b = 1; b < starts_.size(); ++b) starts_[b] += starts_[b - 1];
    const auto equal = [&](const Entry& a, const Entry& b) {
      return a.hash == b.hash && key_of(a.number) == key_of(b.number);
    };
    return std::adjacent_find(entries_.begin(), entries_.end(), equal) == entries_.end();
  }

  // Requires: `key_of` as in Build().
  template <class Key, class KeyOf>
  uint32_t Find(const Key& key, const KeyOf& key_of) const {
    if (entries_.empty()) return kNone;
    const uint64_t hash = HashOf(key);
    const auto begin = entries_.begin() + starts_[hash >> shift_];
    const auto end = entries_.begin() + starts_[(hash >> shift_) + 1];
    // Behind the last entry that is not greater.
    const auto found = std::partition_point(begin, end, [&](const Entry& e) {
      return e.hash != hash ? e.hash < hash : !(key < key_of(e.number));
    });
    if (found == begin || found[-1].hash != hash || key_of(found[-1].number) != key) return kNone;
    return found[-1].number;
  }

 private:
  struct Entry {
    uint64_t hash;
    uint32_t number;
  };

  int shift_ = 63;                // the bucket of a hash value is its first bits
  std::vector<Entry> entries_;    // sorted by hash, then key
  std::vector<uint32_t> starts_;  // of the buckets in entries_, and their end
};

}  // namespace rushlight::tokenizers
