// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "src/tokenizers/regex_syntax.h"
#include "src/tokenizers/utf8.h"

namespace rushlight::tokenizers {
namespace {

using Kind = RegexNode::Kind;
using Mode = RegexProgram::Mode;
using Op = RegexProgram::Op;

constexpr size_t kMaxEmitted = 1 << 14;  // nodes, each copy counted
constexpr size_t kMaxRanges = 1 << 20;   // of all sets together

bool CanBeEmpty(const RegexNode& node) {
  const auto can = [](const RegexNode& child) { return CanBeEmpty(child); };
  switch (node.kind) {
    case Kind::kSet:
      return false;
    case Kind::kChoice:
      return std::any_of(node.children.begin(), node.children.end(), can);
    case Kind::kRepeat:
      return node.min == 0 || CanBeEmpty(node.children[0]);
    case Kind::kSequence:
    case Kind::kAtomic:
      return std::all_of(node.children.begin(), node.children.end(), can);
    case Kind::kAhead:
    case Kind::kBehind:
    case Kind::kAssertion:
      return true;
  }
  return true;
}

// The number of characters of every match, if there is one such number.
std::optional<uint32_t> FixedLength(const RegexNode& node) {
  switch (node.kind) {
    case Kind::kSet:
      return 1;
    case Kind::kAhead:
    case Kind::kBehind:
    case Kind::kAssertion:
      return 0;
    case Kind::kRepeat: {
      const auto length = FixedLength(node.children[0]);
      if (!length || node.min != node.max || *length > 1000) return std::nullopt;
      return *length * node.min;
    }
    case Kind::kSequence:
    case Kind::kAtomic: {
      uint32_t sum = 0;
      for (const RegexNode& child : node.children) {
        const auto length = FixedLength(child);
        if (!length || *length > 1'000'000 || sum > 1'000'000) return std::nullopt;
        sum += *length;
      }
      return sum;
    }
    case Kind::kChoice: {
      const auto length = FixedLength(node.children[0]);
      for (const RegexNode& child : node.children) {
        if (FixedLength(child) != length) return std::nullopt;
      }
      return length;
    }
  }
  return std::nullopt;
}

// Adds the bytes that a match of `node` can start with.  False if it can be empty, so that what
// comes behind it can start the match too.
bool AddFirstBytes(const RegexNode& node, std::bitset<256>* bytes) {
  switch (node.kind) {
    case Kind::kSet:
      for (const CharSet::Range& r : node.set.ranges()) {
        std::string low, high;
        AppendUtf8(r.low, &low);
        AppendUtf8(r.high, &high);
        for (unsigned b = static_cast<uint8_t>(low[0]); b <= static_cast<uint8_t>(high[0]); ++b) {
          if ((b & 0xC0) != 0x80) bytes->set(b);  // no character starts with such a byte
        }
      }
      return true;
    case Kind::kSequence:
    case Kind::kAtomic:
      for (const RegexNode& child : node.children) {
        if (AddFirstBytes(child, bytes)) return true;
      }
      return false;
    case Kind::kChoice: {
      bool consumes = true;
      for (const RegexNode& child : node.children) consumes &= AddFirstBytes(child, bytes);
      return consumes;
    }
    case Kind::kRepeat:
      return AddFirstBytes(node.children[0], bytes) && node.min > 0;
    case Kind::kAhead:
    case Kind::kBehind:
    case Kind::kAssertion:
      return false;
  }
  return false;
}

class Compiler {
 public:
  Result<RegexProgram> Run(const RegexNode& root) {
    RL_RETURN_IF_ERROR(Emit(root));
    Add(Op::kAccept);
    if (!AddFirstBytes(root, &program_.first_bytes)) program_.first_bytes.set();
    return std::move(program_);
  }

 private:
  uint32_t Here() const { return static_cast<uint32_t>(program_.code.size()); }

  uint32_t Add(Op op, uint32_t x = 0) {
    program_.code.push_back({op});
    program_.code.back().x = x;
    return Here() - 1;
  }

  Result<uint32_t> SetIndex(const CharSet& set) {
    auto& sets = program_.sets;
    const auto found = std::find(sets.begin(), sets.end(), set);
    if (found == sets.end()) {
      ranges_ += set.ranges().size();
      RL_CHECK(ranges_ <= kMaxRanges, Reason::kTokenizerPattern);
      sets.push_back(set);
      return static_cast<uint32_t>(sets.size() - 1);
    }
    return static_cast<uint32_t>(found - sets.begin());
  }

  Error Emit(const RegexNode& node) {
    RL_CHECK(++emitted_ <= kMaxEmitted, Reason::kTokenizerPattern);
    switch (node.kind) {
      case Kind::kSet:
        return EmitSet(node.set);
      case Kind::kSequence:
        for (const RegexNode& child : node.children) RL_RETURN_IF_ERROR(Emit(child));
        return kOk;
      case Kind::kChoice:
        return EmitChoice(node);
      case Kind::kRepeat:
        return EmitRepeat(node);
      case Kind::kBehind:
        return EmitBehind(node, node.children[0]);
      case Kind::kAhead:
        return EmitBody(Add(Op::kAhead), node.children[0], node.negative);
      case Kind::kAtomic:
        return EmitBody(Add(Op::kAtomic), node.children[0], false);
      case Kind::kAssertion:
        Add(node.op);
        program_.code.back().negative = node.negative;
        if (node.op == Op::kWordBoundary) program_.word = CharSet::Word();
        return kOk;
    }
    return kOk;
  }

  Error EmitSet(const CharSet& set) {
    const Span<const CharSet::Range> ranges = set.ranges();
    if (ranges.size() == 1 && ranges[0].low == ranges[0].high) {  // one character: its bytes
      std::string bytes;
      AppendUtf8(ranges[0].low, &bytes);
      for (const char b : bytes) Add(Op::kByte, static_cast<uint8_t>(b));
      return kOk;
    }
    RL_ASSIGN_OR_RETURN(const uint32_t index, SetIndex(set));
    Add(Op::kSet, index);
    return kOk;
  }

  Error EmitChoice(const RegexNode& node) {
    std::vector<uint32_t> ends;
    for (size_t i = 0; i + 1 < node.children.size(); ++i) {
      const uint32_t split = Add(Op::kSplit);
      RL_RETURN_IF_ERROR(Emit(node.children[i]));
      ends.push_back(Add(Op::kJump));
      program_.code[split].x = Here();
    }
    RL_RETURN_IF_ERROR(Emit(node.children.back()));
    for (const uint32_t jump : ends) program_.code[jump].x = Here();
    return kOk;
  }

  // `instruction`, then the body up to kAccept.
  Error EmitBody(uint32_t instruction, const RegexNode& body, bool negative) {
    RL_RETURN_IF_ERROR(Emit(body));
    Add(Op::kAccept);
    program_.code[instruction].x = Here();
    program_.code[instruction].negative = negative;
    return kOk;
  }

  // Alternatives may differ in length: (?<=a|bc) is (?:(?<=a)|(?<=bc)), (?<!a|bc) is (?<!a)(?<!bc).
  Error EmitBehind(const RegexNode& node, const RegexNode& body) {
    const std::optional<uint32_t> length = FixedLength(body);
    if (length) {
      const uint32_t instruction = Add(Op::kBehind);
      program_.code[instruction].min = *length;
      return EmitBody(instruction, body, node.negative);
    }
    RL_CHECK(body.kind == Kind::kChoice, Reason::kTokenizerUnsupported);
    RegexNode parts(node.negative ? Kind::kSequence : Kind::kChoice);
    for (const RegexNode& child : body.children) {
      RL_CHECK(FixedLength(child).has_value(), Reason::kTokenizerUnsupported);
      RegexNode behind(Kind::kBehind);
      behind.negative = node.negative;
      behind.children.push_back(child);
      parts.children.push_back(std::move(behind));
    }
    return Emit(parts);
  }

  Error EmitRepeat(const RegexNode& node) {
    const RegexNode& child = node.children[0];
    if (child.kind == Kind::kSet) {
      RL_ASSIGN_OR_RETURN(const uint32_t index, SetIndex(child.set));
      const uint32_t loop = Add(Op::kLoop, index);
      program_.code[loop].min = node.min;
      program_.code[loop].max = node.max;
      program_.code[loop].mode = node.mode;
      return kOk;
    }
    if (node.mode == Mode::kPossessive) {
      const uint32_t atomic = Add(Op::kAtomic);
      RL_RETURN_IF_ERROR(EmitCopies(node));
      Add(Op::kAccept);
      program_.code[atomic].x = Here();
      return kOk;
    }
    return EmitCopies(node);
  }

  // A group is repeated by copies of its code.
  Error EmitCopies(const RegexNode& node) {
    const RegexNode& child = node.children[0];
    const Op split = node.mode == Mode::kLazy ? Op::kSplitSecond : Op::kSplit;
    // Without bound it would loop for ever; with one, nobody agrees on what it means.
    RL_CHECK(node.max <= 1 || !CanBeEmpty(child), Reason::kTokenizerUnsupported);
    for (uint32_t i = 0; i < node.min; ++i) RL_RETURN_IF_ERROR(Emit(child));
    if (node.max == RegexProgram::kUnbounded) {
      const uint32_t start = Add(split);
      RL_RETURN_IF_ERROR(Emit(child));
      Add(Op::kJump, start);
      program_.code[start].x = Here();
      return kOk;
    }
    std::vector<uint32_t> splits;
    for (uint32_t i = node.min; i < node.max; ++i) {
      splits.push_back(Add(split));
      RL_RETURN_IF_ERROR(Emit(child));
    }
    for (const uint32_t s : splits) program_.code[s].x = Here();
    return kOk;
  }

  RegexProgram program_;
  size_t emitted_ = 0;
  size_t ranges_ = 0;
};

}  // namespace

Result<RegexProgram> CompileRegex(const RegexNode& root) { return Compiler().Run(root); }

Result<Regex> Regex::Parse(std::string_view pattern) {
  RL_ASSIGN_OR_RETURN(const RegexNode root, ParseRegex(pattern));
  RL_ASSIGN_OR_RETURN(RegexProgram program, CompileRegex(root));
  return Regex(std::move(program));
}

Regex Regex::Literal(std::string_view text) {
  RegexProgram program;
  for (const char b : text) {
    program.code.push_back({RegexProgram::Op::kByte});
    program.code.back().x = static_cast<uint8_t>(b);
  }
  program.code.push_back({RegexProgram::Op::kAccept});
  if (text.empty()) {
    program.first_bytes.set();
  } else {
    program.first_bytes.set(static_cast<uint8_t>(text[0]));
  }
  return Regex(std::move(program));
}

}  // namespace rushlight::tokenizers
