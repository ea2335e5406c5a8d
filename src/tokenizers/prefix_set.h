// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// PrefixSet: which of some strings does a text start with?
#pragma once

#include <algorithm>
#include <bitset>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

namespace rushlight::tokenizers {

// The strings are sorted; a search keeps the range of those that agree with the text so far and
// narrows it byte by byte.  Time: the longest string, at most the text.
template <class Value>
class PrefixSet {
 public:
  struct Item {
    std::string_view content;
    Value value;
  };

  // Of equal contents, the first one counts.  Requires: the contents outlive this object.
  explicit PrefixSet(std::vector<Item> items = {}) : items_(std::move(items)) {
    const auto before = [](const Item& a, const Item& b) { return a.content < b.content; };
    const auto equal = [](const Item& a, const Item& b) { return a.content == b.content; };
    std::stable_sort(items_.begin(), items_.end(), before);
    items_.erase(std::unique(items_.begin(), items_.end(), equal), items_.end());
    for (const Item& item : items_) {
      if (!item.content.empty()) first_bytes_.set(static_cast<uint8_t>(item.content[0]));
    }
  }

  // The longest item, not empty, that `lead` followed by the start of `text` makes; null if none.
  // Requires: !text.empty().
  const Item* FindLongest(std::string_view lead, std::string_view text) const {
    const char first = lead.empty() ? text[0] : lead[0];
    if (!first_bytes_[static_cast<uint8_t>(first)]) return nullptr;
    auto low = items_.begin(), high = items_.end();
    const Item* longest = nullptr;
    for (size_t depth = 0; depth < lead.size() + text.size(); ++depth) {
      const char next = depth < lead.size() ? lead[depth] : text[depth - lead.size()];
      const auto byte_at = [depth](const Item& item) {
        return item.content.size() > depth ? static_cast<uint8_t>(item.content[depth]) : -1;
      };
      const int byte = static_cast<uint8_t>(next);
      low = std::partition_point(low, high, [&](const Item& i) { return byte_at(i) < byte; });
      high = std::partition_point(low, high, [&](const Item& i) { return byte_at(i) == byte; });
      if (low == high) break;
      if (low->content.size() == depth + 1 && depth + 1 > lead.size()) longest = &*low;
    }
    return longest;
  }

 private:
  std::vector<Item> items_;
  std::bitset<256> first_bytes_;
};

}  // namespace rushlight::tokenizers
