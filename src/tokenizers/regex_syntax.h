// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The syntax tree of a regular expression, between parser and compiler.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "rushlight/error.h"
#include "src/tokenizers/regex.h"

namespace rushlight::tokenizers {

struct RegexNode {
  enum class Kind : uint8_t {
    kSet,        // set
    kSequence,   // children, one after the other; none: the empty match
    kChoice,     // children, tried in order
    kRepeat,     // child, min, max, mode
    kAhead,      // child, negative
    kBehind,     // child, negative
    kAtomic,     // child
    kAssertion,  // op, negative
  };

  explicit RegexNode(Kind node_kind) : kind(node_kind) {}

  Kind kind;
  std::vector<RegexNode> children;
  CharSet set;
  uint32_t min = 0, max = 0;
  RegexProgram::Mode mode = RegexProgram::Mode::kGreedy;
  RegexProgram::Op op = RegexProgram::Op::kAccept;
  bool negative = false;
};

inline constexpr size_t kMaxPatternBytes = 1 << 13;
inline constexpr int kMaxPatternDepth = 64;

// Errors: kTokenizerPattern and kTokenizerUnsupported, found: the offset in the pattern.
Result<RegexNode> ParseRegex(std::string_view pattern);
Result<RegexProgram> CompileRegex(const RegexNode& root);

}  // namespace rushlight::tokenizers
