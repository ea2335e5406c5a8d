// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/llm/template_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <vector>

#include "src/tokenizers/unicode.h"
#include "src/tokenizers/utf8.h"

namespace rushlight::llm {
namespace {

using tokenizers::AppendUtf8;
using tokenizers::NextCodePoint;
using tokenizers::PreviousStart;

constexpr int kMaxDepth = 64;

void AppendEscape(const char* format, uint32_t c, std::string* out) {
  char digits[12];
  std::snprintf(digits, sizeof(digits), format, c);
  out->append(digits);
}

// As str.isprintable().
bool IsPrintable(uint32_t c) {
  return c == ' ' ||
         (tokenizers::CategoryOf(c) & (tokenizers::kOthers | tokenizers::kSeparators)) == 0;
}

void AppendQuoted(std::string_view text, std::string* out) {
  const bool single = text.find('\'') == std::string_view::npos;
  const char quote = single || text.find('"') != std::string_view::npos ? '\'' : '"';
  out->push_back(quote);
  for (size_t pos = 0; pos < text.size();) {
    const uint32_t c = NextCodePoint(text, &pos);
    if (c == static_cast<uint32_t>(quote) || c == '\\') {
      out->push_back('\\');
      out->push_back(static_cast<char>(c));
    } else if (c == '\n') {
      out->append("\\n");
    } else if (c == '\r') {
      out->append("\\r");
    } else if (c == '\t') {
      out->append("\\t");
    } else if (IsPrintable(c)) {
      AppendUtf8(c, out);
    } else {
      AppendEscape(c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c, out);
    }
  }
  out->push_back(quote);
}

// Writes str() of the whole and repr() of the parts.
class Writer {
 public:
  Writer(size_t max_bytes, std::string* out) : max_bytes_(max_bytes), out_(out) {}

  Error Repr(const Value& v, int depth) {
    RL_CHECK(depth <= kMaxDepth && out_->size() <= max_bytes_, Reason::kTemplateLimit);
    switch (v.kind()) {
      case Kind::kAbsent:
      case Kind::kUndefined:
        out_->append("Undefined");
        return kOk;
      case Kind::kNone:
        out_->append("None");
        return kOk;
      case Kind::kBool:
        out_->append(v.integer() != 0 ? "True" : "False");
        return kOk;
      case Kind::kInt:
        out_->append(std::to_string(v.integer()));
        return kOk;
      case Kind::kFloat:
        out_->append(FloatText(v.number()));
        return kOk;
      case Kind::kString:
        AppendQuoted(v.string(), out_);
        return kOk;
      case Kind::kList:
        return Items(v.list(), "[", "]", depth);
      case Kind::kTuple:
        return Items(v.list(), "(", v.list().size() == 1 ? ",)" : ")", depth);
      case Kind::kDict:
        return Members(v.dict(), "{", "}", depth);
      case Kind::kNamespace:
        return Members(v.ns().attributes, "<Namespace {", "}>", depth);
      case Kind::kRange: {
        const Range& r = v.range();
        out_->append("range(").append(std::to_string(r.start));
        out_->append(", ").append(std::to_string(r.stop));
        if (r.step != 1) out_->append(", ").append(std::to_string(r.step));
        out_->push_back(')');
        return kOk;
      }
      case Kind::kView:
      case Kind::kIterator:
      case Kind::kLoop:
      case Kind::kCallable:
        return Error(Reason::kTemplateType);  // Python would print where they are in memory
    }
    return kOk;
  }

 private:
  Error Items(const List& items, std::string_view open, std::string_view close, int depth) {
    out_->append(open);
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_->append(", ");
      RL_RETURN_IF_ERROR(Repr(items[i], depth + 1));
    }
    out_->append(close);
    return kOk;
  }
  Error Members(const Dict& dict, std::string_view open, std::string_view close, int depth) {
    out_->append(open);
    for (size_t i = 0; i < dict.items.size(); ++i) {
      if (i > 0) out_->append(", ");
      RL_RETURN_IF_ERROR(Repr(dict.items[i].first, depth + 1));
      out_->append(": ");
      RL_RETURN_IF_ERROR(Repr(dict.items[i].second, depth + 1));
    }
    out_->append(close);
    return kOk;
  }

  const size_t max_bytes_;
  std::string* const out_;
};

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, size_t max_bytes, std::string* out)
      : style_(style), max_bytes_(max_bytes), out_(out) {}

  Error Write(const Value& v, int depth) {
    RL_CHECK(depth <= kMaxDepth && out_->size() <= max_bytes_, Reason::kTemplateLimit);
    switch (v.kind()) {
      case Kind::kString:
        Quoted(v.string());
        return kOk;
      case Kind::kList:
      case Kind::kTuple:
        return Array(v.list(), depth);
      case Kind::kDict:
        return Object(v.dict(), depth);
      default:
        return Scalar(v);
    }
  }

 private:
  Error Scalar(const Value& v) {
    switch (v.kind()) {
      case Kind::kNone:
        out_->append("null");
        return kOk;
      case Kind::kBool:
        out_->append(v.integer() != 0 ? "true" : "false");
        return kOk;
      case Kind::kInt:
        out_->append(std::to_string(v.integer()));
        return kOk;
      case Kind::kFloat:
        if (std::isfinite(v.number())) {
          out_->append(FloatText(v.number()));
        } else {
          out_->append(std::isnan(v.number()) ? "NaN" : v.number() > 0 ? "Infinity" : "-Infinity");
        }
        return kOk;
      default:
        return Error(Reason::kTemplateType);  // "is not JSON serializable"
    }
  }

  void Quoted(std::string_view text) {
    out_->push_back('"');
    for (size_t pos = 0; pos < text.size();) {
      const uint32_t c = NextCodePoint(text, &pos);
      constexpr std::string_view kNamed = "\"\\\n\r\t\b\f";
      const size_t named = c < 0x80 ? kNamed.find(static_cast<char>(c)) : std::string_view::npos;
      if (named != std::string_view::npos) {
        out_->push_back('\\');
        out_->push_back("\"\\nrtbf"[named]);
      } else if (c >= 0x20 && (c < 0x7F || !style_.ensure_ascii)) {
        AppendUtf8(c, out_);
      } else if (c < 0x10000) {
        AppendEscape("\\u%04x", c, out_);
      } else {
        AppendEscape("\\u%04x", 0xD800 + ((c - 0x10000) >> 10), out_);
        AppendEscape("\\u%04x", 0xDC00 + ((c - 0x10000) & 0x3FF), out_);
      }
    }
    out_->push_back('"');
  }

  void NewLine(int depth) {
    if (!style_.indent) return;
    out_->push_back('\n');
    for (int i = 0; i < depth; ++i) out_->append(*style_.indent);
  }

  Error Array(const List& items, int depth) {
    out_->push_back('[');
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_->append(style_.item_separator);
      NewLine(depth + 1);
      RL_RETURN_IF_ERROR(Write(items[i], depth + 1));
    }
    if (!items.empty()) NewLine(depth);
    out_->push_back(']');
    return kOk;
  }

  Error Object(const Dict& dict, int depth) {
    std::vector<const std::pair<Value, Value>*> members;
    for (const auto& member : dict.items) members.push_back(&member);
    if (style_.sort_keys) {
      for (const auto* m : members) {
        RL_CHECK(m->first.is_string(), Reason::kTemplateType);  // nothing else has an order
      }
      std::stable_sort(members.begin(), members.end(), [](const auto* a, const auto* b) {
        return a->first.string() < b->first.string();
      });
    }
    out_->push_back('{');
    for (size_t i = 0; i < members.size(); ++i) {
      if (i > 0) out_->append(style_.item_separator);
      NewLine(depth + 1);
      const Value& key = members[i]->first;
      if (key.is_string()) {
        Quoted(key.string());
      } else {
        out_->push_back('"');
        RL_RETURN_IF_ERROR(Scalar(key));
        out_->push_back('"');
      }
      out_->append(style_.key_separator);
      RL_RETURN_IF_ERROR(Write(members[i]->second, depth + 1));
    }
    if (!members.empty()) NewLine(depth);
    out_->push_back('}');
    return kOk;
  }

  const JsonStyle& style_;
  const size_t max_bytes_;
  std::string* const out_;
};

}  // namespace

Error AppendText(const Value& value, size_t max_bytes, std::string* out) {
  if (value.is_undefined()) return kOk;
  if (value.is_string()) {
    RL_CHECK(value.string().size() <= max_bytes, Reason::kTemplateLimit);
    out->append(value.string());
    return kOk;
  }
  return Writer(max_bytes, out).Repr(value, 0);
}

Error AppendJson(const Value& value, const JsonStyle& style, size_t max_bytes, std::string* out) {
  return JsonWriter(style, max_bytes, out).Write(value, 0);
}

// The fewest digits that read back as the same number; an exponent below 1e-4 and from 1e16 on.
std::string FloatText(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[64];
  const auto scientific =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific);
  const std::string_view digits(buffer, static_cast<size_t>(scientific.ptr - buffer));
  const int exponent = std::atoi(std::string(digits.substr(digits.find('e') + 1)).c_str());
  if (value != 0 && (exponent < -4 || exponent >= 16)) return std::string(digits);
  const auto fixed =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::fixed);
  std::string text(buffer, static_cast<size_t>(fixed.ptr - buffer));
  if (text.find('.') == std::string::npos) text.append(".0");
  return text;
}

size_t Length(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

size_t OffsetOf(std::string_view text, size_t character) {
  size_t pos = 0;
  for (; character > 0 && pos < text.size(); --character) NextCodePoint(text, &pos);
  return pos;
}

bool IsSpace(uint32_t c) { return tokenizers::IsWhitespace(c) || (c >= 0x1C && c <= 0x1F); }

namespace {

template <class Predicate>
std::string_view StripIf(std::string_view text, bool left, bool right, const Predicate& strips) {
  while (left && !text.empty()) {
    size_t next = 0;
    if (!strips(NextCodePoint(text, &next))) break;
    text.remove_prefix(next);
  }
  while (right && !text.empty()) {
    const size_t last = PreviousStart(text, text.size());
    size_t pos = last;
    if (!strips(NextCodePoint(text, &pos))) break;
    text.remove_suffix(text.size() - last);
  }
  return text;
}

}  // namespace

std::string_view Strip(std::string_view text, bool left, bool right) {
  return StripIf(text, left, right, &IsSpace);
}

std::string_view Strip(std::string_view text, std::string_view set, bool left, bool right) {
  std::vector<uint32_t> characters;
  for (size_t pos = 0; pos < set.size();) characters.push_back(NextCodePoint(set, &pos));
  std::sort(characters.begin(), characters.end());
  return StripIf(text, left, right, [&](uint32_t c) {
    return std::binary_search(characters.begin(), characters.end(), c);
  });
}

std::string Upper(std::string_view text) {
  std::string out;
  for (size_t pos = 0; pos < text.size();) tokenizers::AppendUpper(NextCodePoint(text, &pos), &out);
  return out;
}

std::string Lower(std::string_view text) {
  std::string out;
  for (size_t pos = 0; pos < text.size();) tokenizers::AppendLower(NextCodePoint(text, &pos), &out);
  return out;
}

std::string Capitalized(std::string_view text) {
  const size_t first = OffsetOf(text, 1);
  return Upper(text.substr(0, first)).append(Lower(text.substr(first)));
}

}  // namespace rushlight::llm
