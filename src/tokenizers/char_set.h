// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// CharSet: a set of characters, as a class of a regular expression names it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "rushlight/span.h"
#include "src/tokenizers/unicode.h"  // Categories

namespace rushlight::tokenizers {

inline constexpr uint32_t kLastCodePoint = 0x10FFFF;

class CharSet {
 public:
  struct Range {
    uint32_t low, high;  // inclusive
  };

  CharSet() = default;
  explicit CharSet(Span<const Range> ranges);  // in any order
  static CharSet Of(Categories categories);
  // \p{name}: a general category, or one of the scripts that tokenizers name.  Case, spaces, '-'
  // and
  // '_' are ignored.
  static std::optional<CharSet> Property(std::string_view name);
  static CharSet Word();        // \w of Oniguruma
  static CharSet Whitespace();  // \s

  CharSet Union(const CharSet& other) const;
  CharSet Intersection(const CharSet& other) const;
  CharSet Complement() const;
  CharSet WithAllCases() const;

  bool Contains(uint32_t c) const {
    if (c < 128) return (ascii_[c >> 6] >> (c & 63) & 1) != 0;
    return ContainsBeyondAscii(c);
  }
  Span<const Range> ranges() const { return ranges_; }  // sorted, with gaps between them
  friend bool operator==(const CharSet& a, const CharSet& b);

 private:
  bool ContainsBeyondAscii(uint32_t c) const;

  std::vector<Range> ranges_;
  uint64_t ascii_[2] = {0, 0};
};

// The characters of a script; empty if it is not listed.  Requires: lower case, no separators.
Span<const CharSet::Range> ScriptRanges(std::string_view name);

}  // namespace rushlight::tokenizers
