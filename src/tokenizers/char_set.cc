// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/tokenizers/char_set.h"

#include <algorithm>
#include <array>
#include <string>

namespace rushlight::tokenizers {
namespace {

constexpr int kCategoryCount = 30;

// The code points of each category, found once: a class such as \p{L} is a union of them.
const std::array<std::vector<CharSet::Range>, kCategoryCount>& CategoryRanges() {
  static const auto table = [] {
    std::array<std::vector<CharSet::Range>, kCategoryCount> ranges;
    for (uint32_t c = 0; c <= kLastCodePoint; ++c) {
      auto& list = ranges[__builtin_ctz(CategoryOf(c))];
      if (!list.empty() && list.back().high + 1 == c) {
        list.back().high = c;
      } else {
        list.push_back({c, c});
      }
    }
    return ranges;
  }();
  return table;
}

struct Cased {
  uint32_t folded;  // SimpleCase
  uint32_t c;
};

// Every character that differs from another only in case, sorted by SimpleCase.
const std::vector<Cased>& CasedCharacters() {
  static const auto table = [] {
    std::vector<Cased> cased;
    const CharSet letters = CharSet::Of(kLetters | kMarks | kNumbers | kSymbols);
    for (const CharSet::Range& r : letters.ranges()) {
      for (uint32_t c = r.low; c <= r.high; ++c) {
        const uint32_t folded = SimpleCase(c);
        if (folded != c) cased.push_back({folded, c});
      }
    }
    for (size_t i = cased.size(); i-- > 0;) cased.push_back({cased[i].folded, cased[i].folded});
    std::sort(cased.begin(), cased.end(), [](const Cased& a, const Cased& b) {
      return a.folded != b.folded ? a.folded < b.folded : a.c < b.c;
    });
    return cased;
  }();
  return table;
}

struct CategoryName {
  std::string_view name, long_name;
  Categories categories;
};

constexpr CategoryName kCategoryNames[] = {
    {"l", "letter", kLetters},
    {"lu", "uppercaseletter", 1u << 1},
    {"ll", "lowercaseletter", 1u << 2},
    {"lt", "titlecaseletter", 1u << 3},
    {"lc", "casedletter", 7u << 1},
    {"lm", "modifierletter", 1u << 4},
    {"lo", "otherletter", 1u << 5},
    {"m", "mark", kMarks},
    {"mn", "nonspacingmark", 1u << 6},
    {"mc", "spacingmark", 1u << 7},
    {"me", "enclosingmark", 1u << 8},
    {"n", "number", kNumbers},
    {"nd", "decimalnumber", 1u << 9},
    {"nl", "letternumber", 1u << 10},
    {"no", "othernumber", 1u << 11},
    {"p", "punctuation", kPunctuation},
    {"pc", "connectorpunctuation", 1u << 12},
    {"pd", "dashpunctuation", 1u << 13},
    {"ps", "openpunctuation", 1u << 14},
    {"pe", "closepunctuation", 1u << 15},
    {"pi", "initialpunctuation", 1u << 16},
    {"pf", "finalpunctuation", 1u << 17},
    {"po", "otherpunctuation", 1u << 18},
    {"s", "symbol", kSymbols},
    {"sm", "mathsymbol", 1u << 19},
    {"sc", "currencysymbol", 1u << 20},
    {"sk", "modifiersymbol", 1u << 21},
    {"so", "othersymbol", 1u << 22},
    {"z", "separator", kSeparators},
    {"zs", "spaceseparator", 1u << 23},
    {"zl", "lineseparator", 1u << 24},
    {"zp", "paragraphseparator", 1u << 25},
    {"c", "other", kOthers},
    {"cc", "control", 1u << 26},
    {"cf", "format", 1u << 27},
    {"co", "privateuse", 1u << 29},
    {"cn", "unassigned", 1u},
    {"any", "any", ~0u},
};

}  // namespace

CharSet::CharSet(Span<const Range> ranges) : ranges_(ranges.begin(), ranges.end()) {
  std::sort(ranges_.begin(), ranges_.end(),
            [](const Range& a, const Range& b) { return a.low < b.low; });
  size_t count = 0;
  for (const Range& r : ranges_) {
    if (count > 0 && r.low <= ranges_[count - 1].high + 1) {
      ranges_[count - 1].high = std::max(ranges_[count - 1].high, r.high);
    } else {
      ranges_[count++] = r;
    }
  }
  ranges_.resize(count);
  for (const Range& r : ranges_) {
    for (uint32_t c = r.low; c <= r.high && c < 128; ++c) ascii_[c >> 6] |= uint64_t{1} << (c & 63);
  }
}

CharSet CharSet::Of(Categories categories) {
  std::vector<Range> all;
  for (int i = 0; i < kCategoryCount; ++i) {
    if ((categories >> i & 1) == 0) continue;
    const auto& ranges = CategoryRanges()[i];
    all.insert(all.end(), ranges.begin(), ranges.end());
  }
  return CharSet(all);
}

std::optional<CharSet> CharSet::Property(std::string_view name) {
  std::string key;
  for (const char c : name) {
    if (c == ' ' || c == '-' || c == '_') continue;
    key.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c);
  }
  for (const CategoryName& category : kCategoryNames) {
    if (key == category.name || key == category.long_name) return Of(category.categories);
  }
  const Span<const Range> script = ScriptRanges(key);
  if (!script.empty()) return CharSet(script);
  if (key == "digit") return Of(1u << 9);
  if (key == "space" || key == "whitespace") return Whitespace();
  if (key == "word") return Word();
  return std::nullopt;
}

CharSet CharSet::Word() {
  // Alphabetic symbols, and a few numbers of Latin-1 that Oniguruma counts in.
  constexpr Range kMore[] = {{0xB2, 0xB3},      {0xB9, 0xB9},       {0xBC, 0xBE},
                             {0x24B6, 0x24E9},  {0x1F130, 0x1F149}, {0x1F150, 0x1F169},
                             {0x1F170, 0x1F189}};
  return Of(kLetters | kMarks | 3u << 9 | 1u << 12).Union(CharSet(kMore));
}

CharSet CharSet::Whitespace() {
  constexpr Range kControls[] = {{'\t', '\r'}, {0x85, 0x85}};
  return Of(kSeparators).Union(CharSet(kControls));
}

CharSet CharSet::Union(const CharSet& other) const {
  std::vector<Range> all = ranges_;
  all.insert(all.end(), other.ranges_.begin(), other.ranges_.end());
  return CharSet(all);
}

CharSet CharSet::Complement() const {
  std::vector<Range> gaps;
  uint32_t next = 0;
  for (const Range& r : ranges_) {
    if (r.low > next) gaps.push_back({next, r.low - 1});
    next = r.high + 1;
  }
  if (next <= kLastCodePoint) gaps.push_back({next, kLastCodePoint});
  return CharSet(gaps);
}

CharSet CharSet::Intersection(const CharSet& other) const {
  return Complement().Union(other.Complement()).Complement();
}

CharSet CharSet::WithAllCases() const {
  std::vector<Range> all = ranges_;
  const std::vector<Cased>& cased = CasedCharacters();
  const auto add_group = [&](uint32_t folded) {
    auto c = std::lower_bound(cased.begin(), cased.end(), folded,
                              [](const Cased& x, uint32_t value) { return x.folded < value; });
    for (; c != cased.end() && c->folded == folded; ++c) all.push_back({c->c, c->c});
  };
  if (ranges_.size() == 1 && ranges_[0].low == ranges_[0].high) {
    add_group(SimpleCase(ranges_[0].low));
  } else {
    for (const Cased& c : cased) {
      if (Contains(c.c)) add_group(c.folded);
    }
  }
  return CharSet(all);
}

bool CharSet::ContainsBeyondAscii(uint32_t c) const {
  const auto r = std::upper_bound(ranges_.begin(), ranges_.end(), c,
                                  [](uint32_t value, const Range& x) { return value < x.low; });
  return r != ranges_.begin() && c <= r[-1].high;
}

bool operator==(const CharSet& a, const CharSet& b) {
  return std::equal(a.ranges_.begin(), a.ranges_.end(), b.ranges_.begin(), b.ranges_.end(),
                    [](const CharSet::Range& x, const CharSet::Range& y) {
                      return x.low == y.low && x.high == y.high;
                    });
}

}  // namespace rushlight::tokenizers
