// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/tokenizers/decoder.h"

#include <algorithm>
#include <utility>

#include "src/tokenizers/byte_level.h"
#include "src/tokenizers/metaspace.h"
#include "src/tokenizers/normalizer.h"  // ReplaceAll
#include "src/tokenizers/regex.h"
#include "src/tokenizers/split.h"  // ReadPattern
#include "src/tokenizers/utf8.h"

namespace rushlight::tokenizers {
namespace {

std::string Joined(const std::vector<std::string>& tokens) {
  std::string text;
  for (const std::string& token : tokens) text.append(token);
  return text;
}

std::string Replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  size_t end = 0;
  for (size_t next; (next = text.find(from, end)) != std::string_view::npos;) {
    out.append(text, end, next - end).append(to);
    end = next + from.size();
  }
  return out.append(text, end);
}

// A step that treats the tokens one by one.
class EachToken : public Decoder {
 public:
  Error Apply(Budget* budget, std::vector<std::string>* tokens) const override {
    for (size_t i = 0; i < tokens->size(); ++i) {
      RL_RETURN_IF_ERROR(Rewrite(i == 0, budget, &(*tokens)[i]));
    }
    return kOk;
  }
  Error ApplyToOne(Place place, Budget* budget, std::string* token) const override {
    return Rewrite(place.at_start, budget, token);
  }

 private:
  virtual Error Rewrite(bool first, Budget* budget, std::string* token) const = 0;
};

class ByteLevelDecoder : public Decoder {
 public:
  Error Apply(Budget*, std::vector<std::string>* tokens) const override {
    std::string bytes, text;
    for (const std::string& token : *tokens) AppendBytesOfChars(token, &bytes);
    AppendRepaired(bytes, &text);
    *tokens = {std::move(text)};
    return kOk;
  }
  Error ApplyToOne(Place, Budget*, std::string* token) const override {
    std::string bytes;
    AppendBytesOfChars(*token, &bytes);
    *token = std::move(bytes);
    return kOk;
  }
  bool Joins() const override { return true; }
};

// "<0x0A>" is a byte.  A run of bytes that is not UTF-8 becomes U+FFFD for each byte.
class ByteFallback : public Decoder {
 public:
  Error Apply(Budget*, std::vector<std::string>* tokens) const override {
    std::vector<std::string> decoded;
    std::string run;
    const auto end_run = [&] {
      if (run.empty()) return;
      if (IsUtf8(run)) {
        decoded.push_back(run);
      } else {
        decoded.insert(decoded.end(), run.size(), std::string(kReplacement));
      }
      run.clear();
    };
    for (std::string& token : *tokens) {
      const int byte = ByteOf(token);
      if (byte >= 0) {
        run.push_back(static_cast<char>(byte));
      } else {
        end_run();
        decoded.push_back(std::move(token));
      }
    }
    end_run();
    *tokens = std::move(decoded);
    return kOk;
  }
  Error ApplyToOne(Place, Budget*, std::string* token) const override {
    const int byte = ByteOf(*token);
    if (byte >= 0) token->assign(1, static_cast<char>(byte));
    return kOk;
  }

 private:
  // -1: no byte.
  static int ByteOf(const std::string& token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
    int value = 0;
    for (const char c : {token[3], token[4]}) {
      const char lower = static_cast<char>(c | 0x20);
      if (c >= '0' && c <= '9') {
        value = value * 16 + (c - '0');
      } else if (lower >= 'a' && lower <= 'f') {
        value = value * 16 + (lower - 'a' + 10);
      } else {
        return -1;
      }
    }
    return value;
  }
};

class Fuse : public Decoder {
 public:
  Error Apply(Budget*, std::vector<std::string>* tokens) const override {
    *tokens = {Joined(*tokens)};
    return kOk;
  }
  Error ApplyToOne(Place, Budget*, std::string*) const override { return kOk; }
  bool Joins() const override { return true; }
};

// Takes away up to `start` and `stop` times a character at the ends of each token.
class StripDecoder : public Decoder {
 public:
  StripDecoder(std::string content, size_t start, size_t stop)
      : content_(std::move(content)), start_(start), stop_(stop) {}

  Error Apply(Budget*, std::vector<std::string>* tokens) const override {
    for (std::string& token : *tokens) StripEnds(start_, stop_, &token);
    return kOk;
  }
  // In a joined text, only its first token has its start; its end is not known.
  Error ApplyToOne(Place place, Budget*, std::string* token) const override {
    StripEnds(place.joined && !place.at_start ? 0 : start_, place.joined ? 0 : stop_, token);
    return kOk;
  }

 private:
  void StripEnds(size_t start, size_t stop, std::string* token) const {
    std::string_view rest = *token;
    for (size_t i = 0; i < start && rest.starts_with(content_); ++i) {
      rest.remove_prefix(content_.size());
    }
    for (size_t i = 0; i < stop && rest.ends_with(content_); ++i) {
      rest.remove_suffix(content_.size());
    }
    *token = std::string(rest);
  }

  const std::string content_;
  const size_t start_, stop_;
};

class ReplaceDecoder : public EachToken {
 public:
  ReplaceDecoder(Regex pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

 private:
  Error Rewrite(bool, Budget* budget, std::string* token) const override {
    std::string out;
    RL_RETURN_IF_ERROR(ReplaceAll(pattern_, content_, *token, budget, &out));
    *token = std::move(out);
    return kOk;
  }

  const Regex pattern_;
  const std::string content_;
};

class MetaspaceDecoder : public EachToken {
 public:
  explicit MetaspaceDecoder(Metaspace settings) : settings_(std::move(settings)) {}

 private:
  Error Rewrite(bool first, Budget*, std::string* token) const override {
    const bool drops = first && settings_.scheme != Metaspace::Scheme::kNever;
    *token = Replaced(*token, settings_.replacement, drops ? "" : " ");
    return kOk;
  }

  const Metaspace settings_;
};

// A suffix ends each word; the last one needs no space behind it.
class BpeDecoder : public Decoder {
 public:
  explicit BpeDecoder(std::string suffix) : suffix_(std::move(suffix)) {}

  Error Apply(Budget*, std::vector<std::string>* tokens) const override {
    for (size_t i = 0; i < tokens->size(); ++i) {
      (*tokens)[i] = Replaced((*tokens)[i], suffix_, i + 1 < tokens->size() ? " " : "");
    }
    return kOk;
  }
  Error ApplyToOne(Place, Budget*, std::string* token) const override {
    *token = Replaced(*token, suffix_, " ");
    return kOk;
  }

 private:
  const std::string suffix_;
};

// Words are separate unless a token starts with the prefix of continuations.
class WordPieceDecoder : public EachToken {
 public:
  WordPieceDecoder(std::string prefix, bool cleanup)
      : prefix_(std::move(prefix)), cleanup_(cleanup) {}

 private:
  Error Rewrite(bool first, Budget*, std::string* token) const override {
    if (!first) {
      if (token->starts_with(prefix_)) {
        token->erase(0, prefix_.size());
      } else {
        token->insert(token->begin(), ' ');
      }
    }
    if (cleanup_) CleanUp(token);
    return kOk;
  }

  // English punctuation without the space that splitting put in front of it.
  static void CleanUp(std::string* token) {
    constexpr std::pair<std::string_view, std::string_view> kSpaces[] = {
        {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
        {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
        {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (const auto& [from, to] : kSpaces) *token = Replaced(*token, from, to);
  }

  const std::string prefix_;
  const bool cleanup_;
};

Result<std::unique_ptr<Decoder>> Make(Json json) {
  using Made = std::unique_ptr<Decoder>;
  const std::string_view type = TypeOf(json);
  std::string content;
  if (type == "ByteLevel") return Made(new ByteLevelDecoder());
  if (type == "ByteFallback") return Made(new ByteFallback());
  if (type == "Fuse") return Made(new Fuse());
  if (type == "Metaspace") {
    RL_ASSIGN_OR_RETURN(Metaspace settings, ReadMetaspace(json));
    return Made(new MetaspaceDecoder(std::move(settings)));
  }
  if (type == "Strip") {
    int32_t start = 0, stop = 0;
    RL_RETURN_IF_ERROR(Read(json, Field::kContent, &content));
    RL_RETURN_IF_ERROR(Read(json, Field::kStart, &start));
    RL_RETURN_IF_ERROR(Read(json, Field::kStop, &stop));
    RL_CHECK(!content.empty(), Reason::kTokenizerField, static_cast<uint32_t>(Field::kContent));
    return Made(new StripDecoder(std::move(content), static_cast<size_t>(start),
                                 static_cast<size_t>(stop)));
  }
  if (type == "Replace") {
    RL_RETURN_IF_ERROR(Read(json, Field::kContent, &content));
    RL_ASSIGN_OR_RETURN(Regex pattern, ReadPattern(json));
    return Made(new ReplaceDecoder(std::move(pattern), std::move(content)));
  }
  if (type == "BPEDecoder") {
    std::string suffix = "</w>";
    RL_RETURN_IF_ERROR(Read(json, Field::kSuffix, &suffix));
    RL_CHECK(!suffix.empty(), Reason::kTokenizerField, static_cast<uint32_t>(Field::kSuffix));
    return Made(new BpeDecoder(std::move(suffix)));
  }
  if (type == "WordPiece") {
    std::string prefix = "##";
    bool cleanup = true;
    RL_RETURN_IF_ERROR(Read(json, Field::kPrefix, &prefix));
    RL_RETURN_IF_ERROR(Read(json, Field::kCleanup, &cleanup));
    return Made(new WordPieceDecoder(std::move(prefix), cleanup));
  }
  return Error(Reason::kTokenizerUnsupported, static_cast<uint32_t>(Field::kDecoder));
}

}  // namespace

Result<Decoders> MakeDecoders(Json json) {
  Decoders made;
  const auto add = [&](Json step) -> Error {
    RL_ASSIGN_OR_RETURN(std::unique_ptr<Decoder> decoder, Make(step));
    made.push_back(std::move(decoder));
    return kOk;
  };
  RL_RETURN_IF_ERROR(ForEachStep(json, Field::kDecoders, add));
  return made;
}

Result<std::string> Decode(const Decoders& steps, std::vector<std::string> tokens, Budget* budget) {
  for (const auto& step : steps) {
    size_t bytes = 0;
    RL_RETURN_IF_ERROR(step->Apply(budget, &tokens));
    for (const std::string& token : tokens) bytes += token.size();
    RL_RETURN_IF_ERROR(budget->TakeBytes(bytes));
  }
  return Joined(tokens);
}

Error DecodeOne(const Decoders& steps, bool at_start, Budget* budget, std::string* token) {
  Decoder::Place place{at_start, false};
  for (const auto& step : steps) {
    if (!IsUtf8(*token)) break;  // part of a character is nothing to rewrite
    RL_RETURN_IF_ERROR(step->ApplyToOne(place, budget, token));
    RL_RETURN_IF_ERROR(budget->TakeBytes(token->size()));
    place.joined |= step->Joins();
  }
  return kOk;
}

}  // namespace rushlight::tokenizers
