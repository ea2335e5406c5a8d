// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/tokenizers/normalizer.h"

#include <optional>
#include <utility>

#include "src/tokenizers/byte_level.h"
#include "src/tokenizers/regex.h"
#include "src/tokenizers/split.h"  // ReadPattern
#include "src/tokenizers/unicode.h"
#include "src/tokenizers/utf8.h"

namespace rushlight::tokenizers {
namespace {

class ToNormalForm : public Normalizer {
 public:
  explicit ToNormalForm(NormalForm form) : form_(form) {}
  Error Apply(std::string_view text, Budget*, std::string* out) const override {
    *out = Normalize(text, form_);
    return kOk;
  }

 private:
  const NormalForm form_;
};

// Rewrites every character by itself.
class EachCharacter : public Normalizer {
 public:
  using Rewrite = void (*)(uint32_t c, std::string* out);
  explicit EachCharacter(Rewrite rewrite) : rewrite_(rewrite) {}
  Error Apply(std::string_view text, Budget*, std::string* out) const override {
    out->reserve(text.size());
    for (size_t pos = 0; pos < text.size();) rewrite_(NextCodePoint(text, &pos), out);
    return kOk;
  }

  static void StripAccents(uint32_t c, std::string* out) {
    if (!IsCombiningMark(c)) AppendUtf8(c, out);
  }

 private:
  const Rewrite rewrite_;
};

class ByteChars : public Normalizer {
 public:
  Error Apply(std::string_view text, Budget*, std::string* out) const override {
    AppendByteChars(text, out);
    return kOk;
  }
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}
  Error Apply(std::string_view text, Budget* budget, std::string* out) const override {
    if (text.empty()) return kOk;
    RL_RETURN_IF_ERROR(budget->TakeBytes(prefix_.size()));
    out->append(prefix_).append(text);
    return kOk;
  }

 private:
  const std::string prefix_;
};

class Strip : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}
  Error Apply(std::string_view text, Budget*, std::string* out) const override {
    while (left_ && !text.empty()) {
      size_t next = 0;
      if (!IsWhitespace(NextCodePoint(text, &next))) break;
      text.remove_prefix(next);
    }
    while (right_ && !text.empty()) {
      const size_t last = PreviousStart(text, text.size());
      size_t pos = last;
      if (!IsWhitespace(NextCodePoint(text, &pos))) break;
      text.remove_suffix(text.size() - last);
    }
    out->append(text);
    return kOk;
  }

 private:
  const bool left_, right_;
};

class Replace : public Normalizer {
 public:
  Replace(Regex pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  Error Apply(std::string_view text, Budget* budget, std::string* out) const override {
    return ReplaceAll(pattern_, content_, text, budget, out);
  }

 private:
  const Regex pattern_;
  const std::string content_;
};

class Bert : public Normalizer {
 public:
  Error Read(Json json) {
    RL_RETURN_IF_ERROR(tokenizers::Read(json, Field::kCleanText, &clean_text_));
    RL_RETURN_IF_ERROR(tokenizers::Read(json, Field::kHandleChineseChars, &space_ideographs_));
    RL_RETURN_IF_ERROR(tokenizers::Read(json, Field::kLowercase, &lowercase_));
    strip_accents_ = lowercase_;  // unless the file says
    return tokenizers::Read(json, Field::kStripAccents, &strip_accents_);
  }

  Error Apply(std::string_view text, Budget*, std::string* out) const override {
    for (size_t pos = 0; pos < text.size();) {
      const uint32_t c = NextCodePoint(text, &pos);
      if (clean_text_ && (c == 0xFFFD || IsBertControl(c))) continue;
      if (clean_text_ && IsWhitespace(c)) {
        out->push_back(' ');
      } else if (space_ideographs_ && IsCjkIdeograph(c)) {
        out->push_back(' ');
        AppendUtf8(c, out);
        out->push_back(' ');
      } else {
        AppendUtf8(c, out);
      }
    }
    if (strip_accents_) {
      *out = Rewritten(Normalize(*out, NormalForm::kNfd), [](uint32_t c, std::string* s) {
        if (!IsNonspacingMark(c)) AppendUtf8(c, s);
      });
    }
    if (lowercase_) *out = Rewritten(*out, &AppendLower);
    return kOk;
  }

 private:
  static std::string Rewritten(const std::string& text, EachCharacter::Rewrite rewrite) {
    std::string out;
    for (size_t pos = 0; pos < text.size();) rewrite(NextCodePoint(text, &pos), &out);
    return out;
  }

  bool clean_text_ = true, space_ideographs_ = true, lowercase_ = true, strip_accents_ = true;
};

Result<std::unique_ptr<Normalizer>> Make(Json json) {
  using Made = std::unique_ptr<Normalizer>;
  const std::string_view type = TypeOf(json);
  if (type == "NFC") return Made(new ToNormalForm(NormalForm::kNfc));
  if (type == "NFD") return Made(new ToNormalForm(NormalForm::kNfd));
  if (type == "NFKC") return Made(new ToNormalForm(NormalForm::kNfkc));
  if (type == "NFKD") return Made(new ToNormalForm(NormalForm::kNfkd));
  if (type == "Lowercase") return Made(new EachCharacter(&AppendLower));
  if (type == "StripAccents") return Made(new EachCharacter(&EachCharacter::StripAccents));
  if (type == "ByteLevel") return Made(new ByteChars());
  if (type == "BertNormalizer") {
    auto bert = std::make_unique<Bert>();
    RL_RETURN_IF_ERROR(bert->Read(json));
    return Made(std::move(bert));
  }
  if (type == "Strip") {
    bool left = true, right = true;
    RL_RETURN_IF_ERROR(Read(json, Field::kStripLeft, &left));
    RL_RETURN_IF_ERROR(Read(json, Field::kStripRight, &right));
    return Made(new Strip(left, right));
  }
  std::string text;
  if (type == "Prepend") {
    RL_RETURN_IF_ERROR(Read(json, Field::kPrepend, &text));
    return Made(new Prepend(std::move(text)));
  }
  if (type == "Replace") {
    RL_RETURN_IF_ERROR(Read(json, Field::kContent, &text));
    RL_ASSIGN_OR_RETURN(Regex pattern, ReadPattern(json));
    return Made(new Replace(std::move(pattern), std::move(text)));
  }
  return Error(Reason::kTokenizerUnsupported, static_cast<uint32_t>(Field::kNormalizer));
}

}  // namespace

Result<Normalizers> MakeNormalizers(Json json) {
  Normalizers made;
  const auto add = [&](Json step) -> Error {
    RL_ASSIGN_OR_RETURN(std::unique_ptr<Normalizer> normalizer, Make(step));
    made.push_back(std::move(normalizer));
    return kOk;
  };
  RL_RETURN_IF_ERROR(ForEachStep(json, Field::kNormalizers, add));
  return made;
}

Result<std::string> Normalize(const Normalizers& steps, std::string_view text, Budget* budget) {
  std::string current(text);
  for (const auto& step : steps) {
    std::string next;
    RL_RETURN_IF_ERROR(step->Apply(current, budget, &next));
    RL_RETURN_IF_ERROR(budget->TakeBytes(next.size()));
    current = std::move(next);
  }
  return current;
}

Error ReplaceAll(const Regex& pattern, std::string_view replacement, std::string_view text,
                 Budget* budget, std::string* out) {
  std::vector<Regex::Match> matches;
  RL_RETURN_IF_ERROR(pattern.FindAll(text, budget, &matches));
  size_t end = 0;
  for (const Regex::Match& m : matches) {
    RL_RETURN_IF_ERROR(budget->TakeBytes(replacement.size()));
    out->append(text.substr(end, m.begin - end)).append(replacement);
    end = m.end;
  }
  out->append(text.substr(end));
  return kOk;
}

}  // namespace rushlight::tokenizers
