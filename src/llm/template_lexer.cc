// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/llm/template_lexer.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "src/llm/template_text.h"  // IsSpace, Strip
#include "src/tokenizers/unicode.h"
#include "src/tokenizers/utf8.h"

namespace rushlight::llm {
namespace {

using Type = TemplateToken::Type;

constexpr size_t kMaxSourceBytes = 1 << 20;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

int DigitValue(char c) {
  if (IsDigit(c)) return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'z' ? lower - 'a' + 10 : 99;
}

// Line ends as "\n", and none behind the last line.
std::string NormalizeLineEnds(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      text.push_back('\n');
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      text.push_back(source[i]);
    }
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  Result<std::vector<TemplateToken>> Run() {
    while (pos_ < source_.size()) {
      const size_t tag = FindTag();
      const std::string_view data = source_.substr(pos_, tag - pos_);
      if (tag == source_.size()) {
        AddData(data);
        pos_ = tag;
        break;
      }
      const char kind = source_[tag + 1];
      size_t inside = tag + 2;
      const char sign = inside < source_.size() ? source_[inside] : '\0';
      const bool has_sign = sign == '-' || sign == '+';
      if (has_sign) ++inside;
      AddData(LeftTrimmed(data, sign, kind == '{'));
      line_ = LineAt(tag);
      pos_ = inside;
      if (kind == '#') {
        RL_RETURN_IF_ERROR(SkipComment());
      } else if (kind == '%' && SkipRawBegin()) {
        RL_RETURN_IF_ERROR(Raw());
      } else {
        RL_RETURN_IF_ERROR(Tag(kind == '{'));
      }
    }
    Add(Type::kEnd);
    return std::move(tokens_);
  }

 private:
  Error Invalid() const { return Error(Reason::kTemplateSyntax, line_); }
  bool Skip(std::string_view text) {
    if (!source_.substr(pos_).starts_with(text)) return false;
    pos_ += text.size();
    return true;
  }

  // The line of a position that is not before the last one asked for.
  uint32_t LineAt(size_t pos) {
    for (; counted_ < pos; ++counted_) counted_line_ += source_[counted_] == '\n';
    return counted_line_;
  }

  TemplateToken& Add(Type type, std::string_view text = {}) {
    line_ = LineAt(std::min(pos_, source_.size()));
    tokens_.push_back({type, line_, std::string(text)});
    return tokens_.back();
  }
  void AddData(std::string_view text) {
    if (!text.empty()) Add(Type::kData, text);
  }

  size_t FindTag() const {
    for (size_t i = pos_; i + 1 < source_.size(); ++i) {
      if (source_[i] != '{') continue;
      const char next = source_[i + 1];
      if (next == '{' || next == '%' || next == '#') return i;
    }
    return source_.size();
  }

  // The text in front of a tag: '-' strips all white space, and what stands alone before a block on
  // its line goes unless there is a '+'.
  std::string_view LeftTrimmed(std::string_view data, char sign, bool is_variable) const {
    if (sign == '-') return Strip(data, false, true);
    if (sign == '+' || is_variable) return data;
    const size_t line_feed = data.rfind('\n');
    const size_t start = line_feed == std::string_view::npos ? 0 : line_feed + 1;
    if (start == 0 && !at_line_start_) return data;
    return Strip(data.substr(start), true, false).empty() ? data.substr(0, start) : data;
  }

  // Behind a tag: "-" strips, and a block takes one line feed with it.
  void FinishTag(char sign, bool is_variable) {
    const size_t end = pos_;
    if (sign == '-') {
      SkipSpace();
    } else if (sign != '+' && !is_variable && pos_ < source_.size() && source_[pos_] == '\n') {
      ++pos_;
    }
    at_line_start_ = pos_ > end && source_[pos_ - 1] == '\n';
  }

  void SkipSpace() {
    while (pos_ < source_.size()) {
      size_t next = pos_;
      if (!IsSpace(tokenizers::NextCodePoint(source_, &next))) break;
      pos_ = next;
    }
  }

  Error SkipComment() {
    const size_t end = source_.find("#}", pos_);
    RL_CHECK(end != std::string_view::npos, Reason::kTemplateSyntax, line_);
    const char sign = end > pos_ ? source_[end - 1] : '\0';
    pos_ = end + 2;
    FinishTag(sign, false);
    return kOk;
  }

  // "raw -%}" behind "{%".
  bool SkipRawBegin() {
    const size_t start = pos_;
    SkipSpace();
    if (Skip("raw")) {
      SkipSpace();
      if (Skip("-%}")) {
        SkipSpace();
        return true;
      }
      if (Skip("%}")) return true;
    }
    pos_ = start;
    return false;
  }

  // Everything up to "{% endraw %}" is text.
  Error Raw() {
    const size_t start = pos_;
    for (size_t tag = start; (tag = source_.find("{%", tag)) != std::string_view::npos; ++tag) {
      pos_ = tag + 2;
      const char sign = pos_ < source_.size() ? source_[pos_] : '\0';
      if (sign == '-' || sign == '+') ++pos_;
      SkipSpace();
      if (!Skip("endraw")) continue;
      SkipSpace();
      const char end_sign = pos_ < source_.size() ? source_[pos_] : '\0';
      if (end_sign == '-' || end_sign == '+') ++pos_;
      if (!Skip("%}")) continue;
      const size_t end = pos_;
      pos_ = start;
      at_line_start_ = start > 0 && source_[start - 1] == '\n';
      AddData(LeftTrimmed(source_.substr(start, tag - start), sign, false));
      pos_ = end;
      FinishTag(end_sign, false);
      return kOk;
    }
    return Invalid();
  }

  // From behind "{{" or "{%" to the end of the tag.
  Error Tag(bool is_variable) {
    Add(is_variable ? Type::kVariableBegin : Type::kBlockBegin);
    const std::string_view end = is_variable ? "}}" : "%}";
    std::string open;  // brackets that are
    while (true) {
      SkipSpace();
      RL_CHECK(pos_ < source_.size(), Reason::kTemplateSyntax, line_);
      if (open.empty()) {
        const char sign = source_[pos_];
        const bool has_sign = sign == '-' || (sign == '+' && !is_variable);
        if (source_.substr(pos_ + has_sign).starts_with(end)) {
          Add(is_variable ? Type::kVariableEnd : Type::kBlockEnd);
          pos_ += has_sign + end.size();
          FinishTag(has_sign ? sign : '\0', is_variable);
          return kOk;
        }
      }
      const char c = source_[pos_];
      if (IsDigit(c)) {
        RL_RETURN_IF_ERROR(Number());
      } else if (c == '\'' || c == '"') {
        RL_RETURN_IF_ERROR(String());
      } else if (!Name()) {
        RL_RETURN_IF_ERROR(Operator(&open));
      }
    }
  }

  bool Name() {
    size_t end = pos_;
    while (end < source_.size()) {
      size_t next = end;
      const uint32_t c = tokenizers::NextCodePoint(source_, &next);
      if (!tokenizers::IsWordCharacter(c)) break;
      end = next;
    }
    if (end == pos_) return false;
    Add(Type::kName, source_.substr(pos_, end - pos_));
    pos_ = end;
    return true;
  }

  Error Operator(std::string* open) {
    constexpr std::string_view kOperators[] = {"**", "//", "==", "!=", ">=", "<=", "+", "-", "/",
                                               "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                               ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    const std::string_view rest = source_.substr(pos_);
    const auto* op = std::find_if(std::begin(kOperators), std::end(kOperators),
                                  [&](std::string_view o) { return rest.starts_with(o); });
    RL_CHECK(op != std::end(kOperators), Reason::kTemplateSyntax, line_);
    const char c = (*op)[0];
    if (c == '(') open->push_back(')');
    if (c == '[') open->push_back(']');
    if (c == '{') open->push_back('}');
    if (c == ')' || c == ']' || c == '}') {
      RL_CHECK(open->ends_with(c), Reason::kTemplateSyntax, line_);
      open->pop_back();
    }
    Add(Type::kOperator, *op);
    pos_ += op->size();
    return kOk;
  }

  // Digits of a base with single '_' between them, from `pos` on.
  std::string Digits(size_t* pos, int base) const {
    std::string digits;
    while (*pos < source_.size()) {
      const bool separated = source_[*pos] == '_' && !digits.empty() && *pos + 1 < source_.size();
      const char c = source_[*pos + separated];
      if (DigitValue(c) >= base) break;
      digits.push_back(c);
      *pos += 1 + separated;
    }
    return digits;
  }

  Error Number() {
    const size_t start = pos_;
    int base = 10;
    if (source_[start] == '0' && start + 2 < source_.size()) {
      const char marker = static_cast<char>(source_[start + 1] | 0x20);
      base = marker == 'x' ? 16 : marker == 'o' ? 8 : marker == 'b' ? 2 : 10;
      if (base != 10 && DigitValue(source_[start + 2]) >= base) base = 10;
    }
    size_t end = start + (base == 10 ? 0 : 2);
    std::string digits = Digits(&end, base);
    bool is_float = false;
    if (base == 10) {
      if (end + 1 < source_.size() && source_[end] == '.' && IsDigit(source_[end + 1])) {
        is_float = true;
        ++end;
        digits.append(".").append(Digits(&end, 10));
      }
      if (end < source_.size() && (source_[end] | 0x20) == 'e') {
        size_t exponent = end + 1;
        const bool minus = exponent < source_.size() && source_[exponent] == '-';
        if (minus || (exponent < source_.size() && source_[exponent] == '+')) ++exponent;
        const std::string power = Digits(&exponent, 10);
        if (!power.empty()) {
          is_float = true;
          digits.append(minus ? "e-" : "e").append(power);
          end = exponent;
        }
      }
    }
    TemplateToken& token = Add(is_float ? Type::kFloat : Type::kInteger);
    const char* const last = digits.data() + digits.size();
    const auto parsed = is_float ? std::from_chars(digits.data(), last, token.number)
                                 : std::from_chars(digits.data(), last, token.integer, base);
    RL_CHECK(parsed.ec == std::errc() && parsed.ptr == last, Reason::kTemplateLimit, line_);
    pos_ = end;
    return kOk;
  }

  Error String() {
    const char quote = source_[pos_];
    std::string text;
    size_t i = pos_ + 1;
    while (true) {
      RL_CHECK(i < source_.size(), Reason::kTemplateSyntax, line_);
      const char c = source_[i++];
      if (c == quote) break;
      if (c != '\\') {
        text.push_back(c);
        continue;
      }
      RL_CHECK(i < source_.size(), Reason::kTemplateSyntax, line_);
      RL_RETURN_IF_ERROR(EscapeSequence(&i, &text));
    }
    Add(Type::kString, text);
    pos_ = i;
    return kOk;
  }

  // Behind a backslash; as in Python.  What it does not know stays as it is.
  Error EscapeSequence(size_t* i, std::string* text) const {
    constexpr std::string_view kLetters = "abfnrtv\\'\"", kMeanings = "\a\b\f\n\r\t\v\\'\"";
    const char c = source_[(*i)++];
    if (c == '\n') return kOk;
    const size_t named = kLetters.find(c);
    if (named != std::string_view::npos) {
      text->push_back(kMeanings[named]);
      return kOk;
    }
    const bool octal = c >= '0' && c <= '7';
    const size_t digits = octal ? 3 : c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits == 0) {
      RL_CHECK(c != 'N', Reason::kTemplateSyntax, line_);  // names of characters
      text->push_back('\\');
      text->push_back(c);
      return kOk;
    }
    if (octal) --*i;
    uint32_t value = 0;
    size_t count = 0;
    while (count < digits && *i < source_.size() && DigitValue(source_[*i]) < (octal ? 8 : 16)) {
      value = value * (octal ? 8 : 16) + static_cast<uint32_t>(DigitValue(source_[(*i)++]));
      ++count;
    }
    const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
    RL_CHECK((octal || count == digits) && value <= 0x10FFFF && !surrogate, Reason::kTemplateSyntax,
             line_);
    tokenizers::AppendUtf8(value, text);
    return kOk;
  }

  const std::string_view source_;
  size_t pos_ = 0;
  uint32_t line_ = 1;   // of what was read last
  size_t counted_ = 0;  // up to where lines are counted
  uint32_t counted_line_ = 1;
  bool at_line_start_ = true;  // whether what comes starts a line
  std::vector<TemplateToken> tokens_;
};

}  // namespace

Result<std::vector<TemplateToken>> TokenizeTemplate(std::string_view source) {
  RL_CHECK(source.size() <= kMaxSourceBytes, Reason::kTemplateLimit, 1,
           static_cast<int64_t>(source.size()), kMaxSourceBytes);
  RL_CHECK(tokenizers::IsUtf8(source), Reason::kTemplateSyntax, 1);
  const std::string text = NormalizeLineEnds(source);
  return Lexer(text).Run();
}

}  // namespace rushlight::llm
