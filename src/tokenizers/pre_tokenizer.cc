// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/tokenizers/pre_tokenizer.h"

#include <utility>

#include "src/tokenizers/byte_level.h"
#include "src/tokenizers/metaspace.h"
#include "src/tokenizers/split.h"
#include "src/tokenizers/unicode.h"
#include "src/tokenizers/utf8.h"

namespace rushlight::tokenizers {
namespace {

// GPT-2's way: words by its pattern, every byte a printable character.
class ByteLevel : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, bool use_regex)
      : add_prefix_space_(add_prefix_space), use_regex_(use_regex) {}

  Error Cut(std::string_view text, bool, Budget*, Pieces* pieces) const override {
    std::string with_space;
    if (add_prefix_space_ && !text.starts_with(' ')) {
      with_space.append(" ").append(text);
      text = with_space;
    }
    for (size_t pos = 0; pos < text.size();) {
      const size_t end = use_regex_ ? NextGpt2Word(text, pos) : text.size();
      AppendByteChars(text.substr(pos, end - pos), pieces->buffer());
      pieces->EndPiece();
      pos = end;
    }
    return kOk;
  }

 private:
  const bool add_prefix_space_, use_regex_;
};

// "▁" for spaces, as SentencePiece has it.
class MetaspacePreTokenizer : public PreTokenizer {
 public:
  explicit MetaspacePreTokenizer(Metaspace settings) : settings_(std::move(settings)) {}

  Error Cut(std::string_view text, bool at_start, Budget* budget, Pieces* pieces) const override {
    const std::string& mark = settings_.replacement;
    std::string marked;
    for (const char c : text) {
      if (c == ' ') {
        marked.append(mark);
      } else {
        marked.push_back(c);
      }
    }
    const bool prepends = settings_.scheme == Metaspace::Scheme::kAlways ||
                          (settings_.scheme == Metaspace::Scheme::kFirst && at_start);
    if (prepends && !marked.starts_with(mark)) marked.insert(0, mark);
    RL_RETURN_IF_ERROR(budget->TakeBytes(marked.size()));
    size_t begin = 0;
    if (settings_.split) {  // in front of every mark
      for (size_t next; (next = marked.find(mark, begin + 1)) != std::string::npos; begin = next) {
        pieces->Add(std::string_view(marked).substr(begin, next - begin));
      }
    }
    pieces->Add(std::string_view(marked).substr(begin));
    return kOk;
  }

 private:
  const Metaspace settings_;
};

// Cuts out characters by class: alone, in runs, or away.
class CutByClass : public PreTokenizer {
 public:
  enum class Kind { kWord, kOther, kAlone, kGap };
  using Classify = Kind (*)(uint32_t);
  explicit CutByClass(Classify classify) : classify_(classify) {}

  Error Cut(std::string_view text, bool, Budget*, Pieces* pieces) const override {
    size_t begin = 0;
    Kind run = Kind::kGap;
    for (size_t pos = 0; pos < text.size();) {
      const size_t start = pos;
      const Kind kind = classify_(NextCodePoint(text, &pos));
      if (kind == run && kind != Kind::kAlone) continue;
      if (run != Kind::kGap) pieces->Add(text.substr(begin, start - begin));
      begin = start;
      run = kind;
    }
    if (run != Kind::kGap) pieces->Add(text.substr(begin));
    return kOk;
  }

  // \w+|[^\w\s]+
  static Kind Words(uint32_t c) {
    if (IsWordCharacter(c)) return Kind::kWord;
    return IsWhitespace(c) ? Kind::kGap : Kind::kOther;
  }
  static Kind BetweenSpaces(uint32_t c) { return IsWhitespace(c) ? Kind::kGap : Kind::kWord; }
  static Kind Bert(uint32_t c) {
    if (IsWhitespace(c)) return Kind::kGap;
    return IsPunctuation(c) ? Kind::kAlone : Kind::kWord;
  }
  static Kind DigitRuns(uint32_t c) { return IsNumber(c) ? Kind::kOther : Kind::kWord; }
  static Kind SingleDigits(uint32_t c) { return IsNumber(c) ? Kind::kAlone : Kind::kWord; }

 private:
  const Classify classify_;
};

Result<std::unique_ptr<PreTokenizer>> Make(Json json) {
  using Made = std::unique_ptr<PreTokenizer>;
  const std::string_view type = TypeOf(json);
  if (type == "ByteLevel") {
    bool add_prefix_space = true, use_regex = true;
    RL_RETURN_IF_ERROR(Read(json, Field::kAddPrefixSpace, &add_prefix_space));
    RL_RETURN_IF_ERROR(Read(json, Field::kUseRegex, &use_regex));
    return Made(new ByteLevel(add_prefix_space, use_regex));
  }
  if (type == "Metaspace") {
    RL_ASSIGN_OR_RETURN(Metaspace settings, ReadMetaspace(json));
    return Made(new MetaspacePreTokenizer(std::move(settings)));
  }
  if (type == "Digits") {
    bool individual = false;
    RL_RETURN_IF_ERROR(Read(json, Field::kIndividualDigits, &individual));
    return Made(new CutByClass(individual ? &CutByClass::SingleDigits : &CutByClass::DigitRuns));
  }
  if (type == "Whitespace") return Made(new CutByClass(&CutByClass::Words));
  if (type == "WhitespaceSplit") return Made(new CutByClass(&CutByClass::BetweenSpaces));
  if (type == "BertPreTokenizer") return Made(new CutByClass(&CutByClass::Bert));
  if (type == "Split") return MakeSplit(json);
  if (type == "Punctuation") return MakePunctuation(json);
  return Error(Reason::kTokenizerUnsupported, static_cast<uint32_t>(Field::kPreTokenizer));
}

}  // namespace

Result<PreTokenizers> MakePreTokenizers(Json json) {
  PreTokenizers made;
  const auto add = [&](Json step) -> Error {
    RL_ASSIGN_OR_RETURN(std::unique_ptr<PreTokenizer> pre_tokenizer, Make(step));
    made.push_back(std::move(pre_tokenizer));
    return kOk;
  };
  RL_RETURN_IF_ERROR(ForEachStep(json, Field::kPretokenizers, add));
  return made;
}

Error Cut(const PreTokenizers& steps, std::string_view text, bool at_start, Budget* budget,
          Pieces* pieces) {
  pieces->Clear();
  pieces->Add(text);
  Pieces before;
  for (const auto& step : steps) {
    std::swap(before, *pieces);
    pieces->Clear();
    for (size_t i = 0; i < before.size(); ++i) {
      RL_RETURN_IF_ERROR(step->Cut(before[i], at_start && i == 0, budget, pieces));
    }
    RL_RETURN_IF_ERROR(budget->TakeBytes(pieces->bytes()));
  }
  return kOk;
}

}  // namespace rushlight::tokenizers
