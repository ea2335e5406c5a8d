// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/tokenizers/split.h"

#include <optional>
#include <utility>

#include "src/tokenizers/unicode.h"
#include "src/tokenizers/utf8.h"

namespace rushlight::tokenizers {
namespace {

// What becomes of the matches, in "the-final--countdown" with the pattern "-":
enum class Behavior {
  kRemoved,             // the final countdown
  kIsolated,            // the - final - - countdown
  kContiguous,          // the - final -- countdown
  kMergedWithPrevious,  // the- final- - countdown
  kMergedWithNext,      // the -final - -countdown
};

// A part of the text: a match, or what lies between two.
struct Part {
  size_t begin, end;
  bool is_match;
};

// Whether `behavior` puts `second`, which follows `first`, into the same piece.
bool Merges(Behavior behavior, const Part& first, const Part& second) {
  switch (behavior) {
    case Behavior::kRemoved:
    case Behavior::kIsolated:
      return false;
    case Behavior::kContiguous:
      return first.is_match == second.is_match;
    case Behavior::kMergedWithPrevious:
      return !first.is_match && second.is_match;
    case Behavior::kMergedWithNext:
      return first.is_match && !second.is_match;
  }
  return false;
}

void AddPieces(std::string_view text, const std::vector<Part>& parts, Behavior behavior,
               Pieces* pieces) {
  for (size_t i = 0; i < parts.size();) {
    size_t last = i;
    while (last + 1 < parts.size() && Merges(behavior, parts[last], parts[last + 1])) ++last;
    if (behavior != Behavior::kRemoved || !parts[i].is_match) {
      pieces->Add(text.substr(parts[i].begin, parts[last].end - parts[i].begin));
    }
    i = last + 1;
  }
}

// Finds the matches, by a regular expression or by a class of characters.
class Finder {
 public:
  virtual ~Finder() = default;
  virtual Error FindAll(std::string_view text, Budget* budget,
                        std::vector<Regex::Match>* matches) const = 0;
};

class RegexFinder : public Finder {
 public:
  explicit RegexFinder(Regex regex) : regex_(std::move(regex)) {}
  Error FindAll(std::string_view text, Budget* budget,
                std::vector<Regex::Match>* matches) const override {
    return regex_.FindAll(text, budget, matches);
  }

 private:
  const Regex regex_;
};

class PunctuationFinder : public Finder {
 public:
  Error FindAll(std::string_view text, Budget*, std::vector<Regex::Match>* matches) const override {
    for (size_t pos = 0; pos < text.size();) {
      const size_t start = pos;
      if (IsPunctuation(NextCodePoint(text, &pos))) matches->push_back({start, pos});
    }
    return kOk;
  }
};

class Split : public PreTokenizer {
 public:
  Split(std::unique_ptr<Finder> finder, Behavior behavior, bool invert)
      : finder_(std::move(finder)), behavior_(behavior), invert_(invert) {}

  Error Cut(std::string_view text, bool, Budget* budget, Pieces* pieces) const override {
    std::vector<Regex::Match> matches;
    RL_RETURN_IF_ERROR(finder_->FindAll(text, budget, &matches));
    std::vector<Part> parts;
    size_t end = 0;
    for (const Regex::Match& m : matches) {
      if (m.begin > end) parts.push_back({end, m.begin, invert_});
      parts.push_back({m.begin, m.end, !invert_});
      end = m.end;
    }
    if (end < text.size()) parts.push_back({end, text.size(), invert_});
    AddPieces(text, parts, behavior_, pieces);
    return kOk;
  }

 private:
  const std::unique_ptr<Finder> finder_;
  const Behavior behavior_;
  const bool invert_;
};

Error ReadBehavior(Json json, Behavior* behavior) {
  std::string name;
  RL_RETURN_IF_ERROR(Read(json, Field::kBehavior, &name));
  if (name.empty()) return kOk;
  constexpr std::pair<std::string_view, Behavior> kNames[] = {
      {"Removed", Behavior::kRemoved},
      {"Isolated", Behavior::kIsolated},
      {"Contiguous", Behavior::kContiguous},
      {"MergedWithPrevious", Behavior::kMergedWithPrevious},
      {"MergedWithNext", Behavior::kMergedWithNext}};
  for (const auto& [known, value] : kNames) {
    if (name != known) continue;
    *behavior = value;
    return kOk;
  }
  return FieldError(Field::kBehavior);
}

}  // namespace

Result<Regex> ReadPattern(Json json) {
  const Json pattern = Find(json, Field::kPattern);
  const Json literal = Find(pattern, Field::kString);
  if (literal.is_string()) return Regex::Literal(literal.AsString());
  const Json regex = Find(pattern, Field::kRegex);
  RL_CHECK(regex.is_string(), Reason::kTokenizerField, static_cast<uint32_t>(Field::kPattern));
  return Regex::Parse(regex.AsString());
}

Result<std::unique_ptr<PreTokenizer>> MakeSplit(Json json) {
  RL_ASSIGN_OR_RETURN(Regex regex, ReadPattern(json));
  Behavior behavior = Behavior::kIsolated;
  RL_RETURN_IF_ERROR(ReadBehavior(json, &behavior));
  bool invert = false;
  RL_RETURN_IF_ERROR(Read(json, Field::kInvert, &invert));
  return std::unique_ptr<PreTokenizer>(
      new Split(std::make_unique<RegexFinder>(std::move(regex)), behavior, invert));
}

Result<std::unique_ptr<PreTokenizer>> MakePunctuation(Json json) {
  Behavior behavior = Behavior::kIsolated;
  RL_RETURN_IF_ERROR(ReadBehavior(json, &behavior));
  return std::unique_ptr<PreTokenizer>(
      new Split(std::make_unique<PunctuationFinder>(), behavior, false));
}

}  // namespace rushlight::tokenizers
