// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Recursive descent over the pattern's bytes:
//
//   choice   := sequence ('|' sequence)*
//   sequence := (atom quantifier*)*
//   atom     := character | escape | class | group | anchor
//   class    := '[' '^'? item* ('&&' item*)* ']'        items may be classes again

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "src/tokenizers/regex_syntax.h"
#include "src/tokenizers/utf8.h"

namespace rushlight::tokenizers {
namespace {

using Kind = RegexNode::Kind;
using Mode = RegexProgram::Mode;
using Op = RegexProgram::Op;

constexpr uint32_t kMaxRepeat = 1000;
constexpr int kMaxQuantifiers = 4;  // of one atom

struct Flags {
  bool ignore_case = false;
  bool dot_matches_newline = false;
};

CharSet Single(uint32_t c) {
  const CharSet::Range range[] = {{c, c}};
  return CharSet(range);
}

class Parser {
 public:
  explicit Parser(std::string_view pattern) : pattern_(pattern) {}

  Result<RegexNode> Run() {
    RL_ASSIGN_OR_RETURN(RegexNode root, Choice(0));
    RL_CHECK(AtEnd(), Reason::kTokenizerPattern, Error::kNone, Offset());  // an unmatched ')'
    return root;
  }

 private:
  bool AtEnd() const { return pos_ == pattern_.size(); }
  bool Peek(std::string_view text) const { return pattern_.substr(pos_).starts_with(text); }
  bool Skip(std::string_view text) {
    if (!Peek(text)) return false;
    pos_ += text.size();
    return true;
  }
  int64_t Offset() const { return static_cast<int64_t>(pos_); }
  Error Invalid() const { return Error(Reason::kTokenizerPattern, Error::kNone, Offset()); }
  Error Unsupported() const { return Error(Reason::kTokenizerUnsupported, Error::kNone, Offset()); }

  RegexNode SetNode(CharSet set, bool has_case) const {
    RegexNode node(Kind::kSet);
    node.set = has_case && flags_.ignore_case ? set.WithAllCases() : std::move(set);
    return node;
  }
  static RegexNode Assertion(Op op, bool negative = false) {
    RegexNode node(Kind::kAssertion);
    node.op = op;
    node.negative = negative;
    return node;
  }

  // Flags that are set inside a group end with it.
  Result<RegexNode> Choice(int depth) {
    RL_CHECK(depth < kMaxPatternDepth, Reason::kTokenizerPattern, Error::kNone, Offset());
    const Flags outer = flags_;
    RegexNode choice(Kind::kChoice);
    do {
      RL_ASSIGN_OR_RETURN(RegexNode sequence, Sequence(depth));
      choice.children.push_back(std::move(sequence));
    } while (Skip("|"));
    flags_ = outer;
    if (choice.children.size() == 1) return std::move(choice.children[0]);
    return choice;
  }

  Result<RegexNode> Sequence(int depth) {
    RegexNode sequence(Kind::kSequence);
    while (!AtEnd() && !Peek("|") && !Peek(")")) {
      RL_ASSIGN_OR_RETURN(RegexNode atom, Atom(depth));
      for (int quantifiers = 0;; ++quantifiers) {
        RL_ASSIGN_OR_RETURN(const bool repeated, Quantifier(&atom));
        if (!repeated) break;
        RL_CHECK(quantifiers < kMaxQuantifiers, Reason::kTokenizerUnsupported, Error::kNone,
                 Offset());
      }
      sequence.children.push_back(std::move(atom));
    }
    return sequence;
  }

  // Wraps `atom` in the quantifier that follows, if one does.
  Result<bool> Quantifier(RegexNode* atom) {
    uint32_t min = 0, max = RegexProgram::kUnbounded;
    bool interval = false;
    if (Skip("+")) {
      min = 1;
    } else if (Skip("?")) {
      max = 1;
    } else if (!Skip("*")) {
      RL_ASSIGN_OR_RETURN(interval, Interval(&min, &max));
      if (!interval) return false;
    }
    RL_CHECK(atom->kind != Kind::kAssertion, Reason::kTokenizerUnsupported, Error::kNone, Offset());
    RegexNode repeat(Kind::kRepeat);
    repeat.min = min;
    repeat.max = max;
    if (interval) {
      // "{n}?" is the optional "{n}", and "{n,m}+" is a repetition of it: both go on from here.
      if (min != max && Skip("?")) repeat.mode = Mode::kLazy;
    } else if (Skip("?")) {
      repeat.mode = Mode::kLazy;
    } else if (Skip("+")) {
      repeat.mode = Mode::kPossessive;
    }
    repeat.children.push_back(std::move(*atom));
    *atom = std::move(repeat);
    return true;
  }

  // {n} {n,} {n,m} {,m}; anything else in braces is text.
  Result<bool> Interval(uint32_t* min, uint32_t* max) {
    const size_t start = pos_;
    if (!Skip("{")) return false;
    const std::optional<uint32_t> low = Number();
    const bool comma = Skip(",");
    const std::optional<uint32_t> high = comma ? Number() : low;
    if (!Skip("}") || (!low && !high)) {
      pos_ = start;
      return false;
    }
    *min = low.value_or(0);
    *max = high.value_or(RegexProgram::kUnbounded);
    RL_CHECK(*min <= *max && *min <= kMaxRepeat && (!high || *max <= kMaxRepeat),
             Reason::kTokenizerUnsupported, Error::kNone, Offset());
    return true;
  }

  std::optional<uint32_t> Number() {
    uint32_t value = 0;
    const size_t start = pos_;
    while (!AtEnd() && pattern_[pos_] >= '0' && pattern_[pos_] <= '9') {
      value = std::min(10 * value + static_cast<uint32_t>(pattern_[pos_] - '0'), kMaxRepeat + 1);
      ++pos_;
    }
    if (pos_ == start) return std::nullopt;
    return value;
  }

  Result<RegexNode> Atom(int depth) {
    if (Skip("(")) return Group(depth);
    if (Peek("[")) {
      RL_ASSIGN_OR_RETURN(CharSet set, Class(depth, false));
      return SetNode(std::move(set), false);  // Class() has seen to it
    }
    if (Skip("^")) return Assertion(Op::kLineStart);
    if (Skip("$")) return Assertion(Op::kLineEnd);
    if (Skip(".")) {
      const CharSet none;
      return SetNode((flags_.dot_matches_newline ? none : Single('\n')).Complement(), false);
    }
    RL_CHECK(!Peek("*") && !Peek("+") && !Peek("?"), Reason::kTokenizerPattern, Error::kNone,
             Offset());
    if (Skip("\\")) {
      if (Skip("A")) return Assertion(Op::kTextStart);
      if (Skip("z")) return Assertion(Op::kTextEnd);
      if (Skip("Z")) return Assertion(Op::kLastLineEnd);
      if (Skip("b")) return Assertion(Op::kWordBoundary);
      if (Skip("B")) return Assertion(Op::kWordBoundary, true);
      RL_ASSIGN_OR_RETURN(CharSet set, Escape());
      const bool is_class = !IsSingle(set);  // its case is not ignored
      return SetNode(std::move(set), !is_class);
    }
    return SetNode(Single(NextCodePoint(pattern_, &pos_)), true);
  }

  // Behind "(".
  Result<RegexNode> Group(int depth) {
    RegexNode group(Kind::kSequence);
    const Flags outer = flags_;
    if (Skip("?")) {
      if (Skip("#")) {
        while (!AtEnd() && !Peek(")")) ++pos_;
        RL_CHECK(Skip(")"), Reason::kTokenizerPattern, Error::kNone, Offset());
        return group;
      }
      if (Skip("=") || Peek("!")) {
        group.kind = Kind::kAhead;
        group.negative = Skip("!");
      } else if (Skip("<=") || Peek("<!")) {
        group.kind = Kind::kBehind;
        group.negative = Skip("<!");
      } else if (Skip(">")) {
        group.kind = Kind::kAtomic;
      } else if (Skip("<")) {  // a name, which nothing can refer to
        const size_t end = pattern_.find('>', pos_);
        RL_CHECK(end != std::string_view::npos && end > pos_, Reason::kTokenizerPattern,
                 Error::kNone, Offset());
        pos_ = end + 1;
      } else {
        RL_RETURN_IF_ERROR(GroupFlags());
        if (Skip(")")) {  // "(?i)" holds for the rest of the group around it, "|" included
          RL_ASSIGN_OR_RETURN(RegexNode rest, Choice(depth + 1));
          flags_ = outer;
          return rest;
        }
        RL_CHECK(Skip(":"), Reason::kTokenizerUnsupported, Error::kNone, Offset());
      }
    } else {
      RL_CHECK(!Peek("*"), Reason::kTokenizerUnsupported, Error::kNone, Offset());
    }
    RL_ASSIGN_OR_RETURN(RegexNode body, Choice(depth + 1));
    RL_CHECK(Skip(")"), Reason::kTokenizerPattern, Error::kNone, Offset());
    flags_ = outer;
    group.children.push_back(std::move(body));
    return group;
  }

  Error GroupFlags() {
    bool value = true;
    while (!AtEnd() && !Peek(":") && !Peek(")")) {
      if (Skip("-")) {
        value = false;
      } else if (Skip("i")) {
        flags_.ignore_case = value;
      } else if (Skip("m")) {
        flags_.dot_matches_newline = value;
      } else {
        return Unsupported();
      }
    }
    return kOk;
  }

  // Behind "\\", inside or outside of a class.
  Result<CharSet> Escape() {
    RL_CHECK(!AtEnd(), Reason::kTokenizerPattern, Error::kNone, Offset());
    const size_t start = pos_;
    const uint32_t c = NextCodePoint(pattern_, &pos_);
    constexpr CharSet::Range kHexDigits[] = {{'0', '9'}, {'A', 'F'}, {'a', 'f'}};
    switch (c) {
      case 'd':
        return CharSet::Of(1u << 9);
      case 'D':
        return CharSet::Of(1u << 9).Complement();
      case 's':
        return CharSet::Whitespace();
      case 'S':
        return CharSet::Whitespace().Complement();
      case 'w':
        return CharSet::Word();
      case 'W':
        return CharSet::Word().Complement();
      case 'h':
        return CharSet(kHexDigits);
      case 'H':
        return CharSet(kHexDigits).Complement();
      case 'p':
      case 'P':
        return Property(c == 'P');
      case 't':
        return Single('\t');
      case 'n':
        return Single('\n');
      case 'r':
        return Single('\r');
      case 'f':
        return Single('\f');
      case 'v':
        return Single('\v');
      case 'a':
        return Single('\a');
      case 'e':
        return Single(0x1B);
      case 'u':
        return Hexadecimal(4);
      case 'x':
        if (Skip("{")) {
          RL_ASSIGN_OR_RETURN(CharSet set, Hexadecimal(8));
          RL_CHECK(Skip("}"), Reason::kTokenizerPattern, Error::kNone, Offset());
          return set;
        }
        return Hexadecimal(2);
      default:
        break;
    }
    const bool letter_or_digit =
        (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    RL_CHECK(!letter_or_digit, Reason::kTokenizerUnsupported, Error::kNone,
             static_cast<int64_t>(start));
    return Single(c);
  }

  Result<CharSet> Property(bool negative) {
    RL_CHECK(Skip("{"), Reason::kTokenizerPattern, Error::kNone, Offset());
    if (Skip("^")) negative = !negative;
    const size_t end = pattern_.find('}', pos_);
    RL_CHECK(end != std::string_view::npos, Reason::kTokenizerPattern, Error::kNone, Offset());
    const std::optional<CharSet> set = CharSet::Property(pattern_.substr(pos_, end - pos_));
    RL_CHECK(set.has_value(), Reason::kTokenizerUnsupported, Error::kNone, Offset());
    pos_ = end + 1;
    return negative ? set->Complement() : *set;
  }

  // At most `digits` hexadecimal digits.  Two digits alone are a byte, which is a character only
  // below 128.
  Result<CharSet> Hexadecimal(int digits) {
    uint32_t value = 0;
    const size_t start = pos_;
    for (int i = 0; i < digits && !AtEnd(); ++i) {
      const char c = pattern_[pos_];
      uint32_t digit = 0;
      if (c >= '0' && c <= '9') {
        digit = static_cast<uint32_t>(c - '0');
      } else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) {
        digit = static_cast<uint32_t>((c | 0x20) - 'a' + 10);
      } else {
        break;
      }
      value = value << 4 | digit;
      ++pos_;
    }
    const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
    RL_CHECK(pos_ > start && (digits != 4 || pos_ == start + 4) && value <= kLastCodePoint &&
                 !surrogate && (digits != 2 || value < 0x80),
             Reason::kTokenizerPattern, Error::kNone, Offset());
    return Single(value);
  }

  // Case is ignored in a class as a whole, not in those nested in it.
  Result<CharSet> Class(int depth, bool nested) {
    RL_CHECK(depth < kMaxPatternDepth && Skip("["), Reason::kTokenizerPattern, Error::kNone,
             Offset());
    const bool negative = Skip("^");
    std::optional<CharSet> left;  // of the last "&&"
    std::vector<CharSet::Range> items;
    for (bool first = true;; first = false) {
      RL_CHECK(!AtEnd(), Reason::kTokenizerPattern, Error::kNone, Offset());
      if (!first && Skip("]")) break;
      if (Skip("&&")) {
        left = left ? left->Intersection(CharSet(items)) : CharSet(items);
        items.clear();
        continue;
      }
      RL_ASSIGN_OR_RETURN(const CharSet item, ClassItem(depth));
      items.insert(items.end(), item.ranges().begin(), item.ranges().end());
    }
    CharSet set = left ? left->Intersection(CharSet(items)) : CharSet(items);
    if (flags_.ignore_case && !nested) set = set.WithAllCases();
    return negative ? set.Complement() : set;
  }

  // A nested class, an escape, a character or a range.
  Result<CharSet> ClassItem(int depth) {
    if (Peek("[:")) return PosixClass();
    if (Peek("[")) return Class(depth + 1, true);
    RL_ASSIGN_OR_RETURN(const CharSet low, ClassCharacter());
    const bool single = IsSingle(low);
    if (!Peek("-") || Peek("-]") || Peek("-&&")) return low;
    // What else could follow a "-" is not the same in all versions of the syntax.
    RL_CHECK(single && Skip("-") && !Peek("["), Reason::kTokenizerUnsupported, Error::kNone,
             Offset());
    RL_ASSIGN_OR_RETURN(const CharSet high, ClassCharacter());
    RL_CHECK(IsSingle(high) && low.ranges()[0].low <= high.ranges()[0].low,
             Reason::kTokenizerPattern, Error::kNone, Offset());
    const CharSet::Range range[] = {{low.ranges()[0].low, high.ranges()[0].low}};
    return CharSet(range);
  }

  static bool IsSingle(const CharSet& set) {
    return set.ranges().size() == 1 && set.ranges()[0].low == set.ranges()[0].high;
  }

  Result<CharSet> ClassCharacter() {
    RL_CHECK(!AtEnd(), Reason::kTokenizerPattern, Error::kNone, Offset());
    if (Skip("\\")) {
      if (Skip("b")) return Single('\b');
      return Escape();
    }
    return Single(NextCodePoint(pattern_, &pos_));
  }

  Result<CharSet> PosixClass() {
    const size_t end = pattern_.find(":]", pos_ + 2);
    RL_CHECK(end != std::string_view::npos, Reason::kTokenizerUnsupported, Error::kNone, Offset());
    std::string_view name = pattern_.substr(pos_ + 2, end - pos_ - 2);
    const bool negative = name.starts_with("^");
    if (negative) name.remove_prefix(1);
    CharSet set;
    if (name == "digit" || name == "space" || name == "word") {
      set = *CharSet::Property(name);
    } else if (name == "punct") {
      constexpr CharSet::Range kAsciiSymbols[] = {{'$', '$'}, {'+', '+'}, {'<', '>'}, {'^', '^'},
                                                  {'`', '`'}, {'|', '|'}, {'~', '~'}};
      set = CharSet::Of(kPunctuation).Union(CharSet(kAsciiSymbols));
    } else {
      return Unsupported();
    }
    pos_ = end + 2;
    return negative ? set.Complement() : set;
  }

  const std::string_view pattern_;
  size_t pos_ = 0;
  Flags flags_;
};

}  // namespace

Result<RegexNode> ParseRegex(std::string_view pattern) {
  RL_CHECK(pattern.size() <= kMaxPatternBytes, Reason::kTokenizerPattern, Error::kNone,
           static_cast<int64_t>(kMaxPatternBytes));
  RL_CHECK(IsUtf8(pattern), Reason::kTokenizerPattern);
  return Parser(pattern).Run();
}

}  // namespace rushlight::tokenizers
