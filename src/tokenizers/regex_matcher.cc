// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <algorithm>
#include <utility>

#include "src/tokenizers/regex.h"
#include "src/tokenizers/utf8.h"

namespace rushlight::tokenizers {
namespace {

using Instruction = RegexProgram::Instruction;
using Mode = RegexProgram::Mode;
using Op = RegexProgram::Op;

constexpr size_t kNoMatch = ~size_t{0};

// The backtracking machine.  Where two ways are open it takes the first and pushes the second.
class Machine {
 public:
  Machine(const RegexProgram& program, std::string_view text, size_t* steps)
      : program_(program), text_(text), steps_(*steps), max_choices_(4096 + 4 * text.size()) {}

  // Runs from instruction `pc` at `pos`; returns where the match ends, or kNoMatch.
  size_t Run(uint32_t pc, size_t pos);

  // Whether Run() gave up, because the steps were spent or the stack too high.
  bool exhausted() const { return exhausted_; }

 private:
  struct Choice {
    uint32_t pc;  // of a loop: the loop
    bool is_loop;
    size_t pos;
    size_t bound;  // greedy loop: the least position, lazy loop: characters it may still take
  };

  bool Spend(size_t steps) {
    if (steps > steps_) {
      exhausted_ = true;
      return false;
    }
    steps_ -= steps;
    return true;
  }
  void Push(const Choice& choice) {
    if (choices_.size() == max_choices_) {
      exhausted_ = true;
      return;
    }
    choices_.push_back(choice);
  }

  bool InSet(uint32_t set, size_t* pos) const {
    return *pos < text_.size() && program_.sets[set].Contains(NextCodePoint(text_, pos));
  }
  // All of these return whether to go on at the changed *pos.
  bool Loop(uint32_t pc, size_t* pos);
  bool Retry(uint32_t* pc, size_t* pos, size_t base);
  bool Body(uint32_t pc, size_t* pos);
  bool Holds(const Instruction& i, size_t pos) const;
  bool IsWordAt(size_t pos) const {
    return pos < text_.size() && program_.word.Contains(NextCodePoint(text_, &pos));
  }

  const RegexProgram& program_;
  const std::string_view text_;
  size_t& steps_;
  const size_t max_choices_;
  bool exhausted_ = false;
  std::vector<Choice> choices_;
};

size_t Machine::Run(uint32_t pc, size_t pos) {
  const size_t base = choices_.size();
  while (Spend(1)) {
    const Instruction& i = program_.code[pc];
    bool matches = true;
    uint32_t next = pc + 1;
    switch (i.op) {
      case Op::kAccept:
        choices_.resize(base);
        return pos;
      case Op::kByte:
        matches = pos < text_.size() && static_cast<uint8_t>(text_[pos]) == i.x;
        ++pos;
        break;
      case Op::kSet:
        matches = InSet(i.x, &pos);
        break;
      case Op::kLoop:
        matches = Loop(pc, &pos);
        break;
      case Op::kSplit:
        Push({i.x, false, pos, 0});
        break;
      case Op::kSplitSecond:
        Push({pc + 1, false, pos, 0});
        next = i.x;
        break;
      case Op::kJump:
        next = i.x;
        break;
      case Op::kAhead:
      case Op::kBehind:
      case Op::kAtomic:
        matches = Body(pc, &pos);
        next = i.x;
        break;
      default:
        matches = Holds(i, pos);
        break;
    }
    if (exhausted_) break;
    pc = next;
    if (!matches && !Retry(&pc, &pos, base)) return kNoMatch;
  }
  choices_.resize(base);
  return kNoMatch;
}

bool Machine::Loop(uint32_t pc, size_t* pos) {
  const Instruction& loop = program_.code[pc];
  const uint32_t goal = loop.mode == Mode::kLazy ? loop.min : loop.max;
  uint32_t count = 0;
  size_t least = *pos;  // behind the characters that it must take
  const size_t start = *pos;
  for (; count < goal; ++count) {
    size_t next = *pos;
    if (!InSet(loop.x, &next)) break;
    *pos = next;
    if (count + 1 == loop.min) least = next;
  }
  if (!Spend(*pos - start) || count < loop.min) return false;
  if (loop.mode == Mode::kGreedy && *pos > least) Push({pc, true, *pos, least});
  if (loop.mode == Mode::kLazy && loop.max > loop.min) {
    Push({pc, true, *pos, loop.max == RegexProgram::kUnbounded ? kNoMatch : loop.max - loop.min});
  }
  return true;
}

// Takes the newest choice above `base`.
bool Machine::Retry(uint32_t* pc, size_t* pos, size_t base) {
  while (choices_.size() > base) {
    Choice& choice = choices_.back();
    *pc = choice.pc;
    *pos = choice.pos;
    if (!choice.is_loop) {
      choices_.pop_back();
      return true;
    }
    const Instruction& loop = program_.code[choice.pc];
    ++*pc;
    if (loop.mode == Mode::kGreedy) {  // gives back one character
      *pos = choice.pos = PreviousStart(text_, choice.pos);
      if (choice.pos == choice.bound) choices_.pop_back();
      return true;
    }
    if (InSet(loop.x, pos)) {  // lazy: takes one more
      choice.pos = *pos;
      if (--choice.bound == 0) choices_.pop_back();
      return true;
    }
    choices_.pop_back();
  }
  return false;
}

bool Machine::Body(uint32_t pc, size_t* pos) {
  const Instruction& i = program_.code[pc];
  size_t start = *pos;
  bool exists = true;
  if (i.op == Op::kBehind) {
    for (uint32_t n = 0; n < i.min && exists; ++n) {
      exists = start > 0;
      if (exists) start = PreviousStart(text_, start);
    }
  }
  const size_t end = exists ? Run(pc + 1, start) : kNoMatch;
  if (i.op != Op::kAtomic) return (end != kNoMatch) != i.negative;
  *pos = end;
  return end != kNoMatch;
}

// Lines end in a line feed; an empty line behind the last one does not count as a line.
bool Machine::Holds(const Instruction& i, size_t pos) const {
  const bool at_end = pos == text_.size();
  const bool behind_line_feed = pos > 0 && text_[pos - 1] == '\n';
  switch (i.op) {
    case Op::kLineStart:
      return pos == 0 || (behind_line_feed && !at_end);
    case Op::kLineEnd:
      return at_end || text_[pos] == '\n';
    case Op::kTextStart:
      return pos == 0;
    case Op::kTextEnd:
      return at_end;
    case Op::kLastLineEnd:
      return at_end || (text_[pos] == '\n' && pos + 1 == text_.size());
    default: {  // kWordBoundary
      const bool before = pos > 0 && IsWordAt(PreviousStart(text_, pos));
      return (before != IsWordAt(pos)) != i.negative;
    }
  }
}

}  // namespace

Error Regex::FindAll(std::string_view text, Budget* budget, std::vector<Match>* matches) const {
  matches->clear();
  Machine machine(program_, text, &budget->steps());
  const bool can_be_empty = program_.first_bytes.all();
  size_t start = 0;
  while (start <= text.size()) {
    if (!can_be_empty) {
      while (start < text.size() && !program_.first_bytes[static_cast<uint8_t>(text[start])]) {
        ++start;
      }
      if (start == text.size()) break;
    }
    const size_t end = machine.Run(0, start);
    RL_CHECK(!machine.exhausted(), Reason::kTokenizerPattern);
    const bool repeats = end == start && !matches->empty() && matches->back().end == start;
    if (end != kNoMatch && !repeats) {
      matches->push_back({start, end});
      if (end > start) {
        start = end;
        continue;
      }
    }
    if (start == text.size()) break;
    NextCodePoint(text, &start);
  }
  return kOk;
}

}  // namespace rushlight::tokenizers
