// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Regex: regular expressions as tokenizer files write them, in the syntax of Oniguruma.
//
// What the files need and nothing that cannot be matched within a budget: classes with properties,
// nesting and &&, groups, alternatives, greedy, lazy and possessive quantifiers, look-around,
// atomic groups, anchors, (?i) and (?m).  Refused with kTokenizerUnsupported: back references,
// recursion, \R, \X, \K, \G, conditions, look-behind of varying length, repetition of a group that
// can be empty. One difference is known: where case is ignored, one character never stands for two
// ("ß" for "ss").
//
// A pattern is compiled to a program for a backtracking machine; every instruction and every
// character that a loop consumes is a step, and FindAll ends in an Error when the text's budget of
// steps is spent. Why our own: docs/rfc/regex.md.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <string_view>
#include <vector>

#include "rushlight/error.h"
#include "src/tokenizers/budget.h"
#include "src/tokenizers/char_set.h"

namespace rushlight::tokenizers {

struct RegexProgram {
  enum class Op : uint8_t {
    kAccept,
    kByte,         // x: the byte
    kSet,          // x: set
    kLoop,         // x: set; min, max; mode
    kSplit,        // go on behind this; x: where else, tried second
    kSplitSecond,  // x: where to go; behind this, tried second
    kJump,         // x
    kAhead,        // the body follows and ends in kAccept, x: behind it; negative
    kBehind,       // likewise; min: the body's length in characters
    kAtomic,       // likewise: what the body matched is not tried in another way
    kLineStart,
    kLineEnd,
    kTextStart,
    kTextEnd,
    kLastLineEnd,   // the end of the text, or in front of a line feed there
    kWordBoundary,  // negative
  };
  enum class Mode : uint8_t { kGreedy, kLazy, kPossessive };
  static constexpr uint32_t kUnbounded = 0xffffffffu;

  struct Instruction {
    Op op;
    Mode mode = Mode::kGreedy;
    bool negative = false;
    uint32_t x = 0;
    uint32_t min = 0, max = 0;
  };

  std::vector<Instruction> code;
  std::vector<CharSet> sets;
  CharSet word;  // for kWordBoundary
  // The bytes that a match can start with; all of them if a match can be empty.
  std::bitset<256> first_bytes;
};

// Immutable.
class Regex {
 public:
  struct Match {
    size_t begin, end;
  };

  static Result<Regex> Parse(std::string_view pattern);
  // Matches `text` itself.  Requires: valid UTF-8.
  static Regex Literal(std::string_view text);

  // The matches from left to right that do not overlap.  An empty match does not follow another
  // match directly.  Requires: valid UTF-8.
  Error FindAll(std::string_view text, Budget* budget, std::vector<Match>* matches) const;

 private:
  explicit Regex(RegexProgram program) : program_(std::move(program)) {}

  RegexProgram program_;
};

}  // namespace rushlight::tokenizers
