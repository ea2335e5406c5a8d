// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Filters of single values: text, numbers, JSON.  Those of sequences are in
// template_sequence_filters.cc.

#include "src/llm/template_filters.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "src/llm/template_builtins.h"
#include "src/llm/template_interpreter.h"
#include "src/llm/template_text.h"
#include "src/tokenizers/utf8.h"

namespace rushlight::llm {
namespace {

// A filter of text alone.
using Rewrite = std::string (*)(std::string_view text);
template <Rewrite kRewrite>
Result<Value> RewriteText(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_RETURN_IF_ERROR(BindNone(arguments));
  RL_ASSIGN_OR_RETURN(const std::string text, in.Text(subject));
  return in.NewString(kRewrite(text));
}

std::string Same(std::string_view text) { return std::string(text); }

// Every word starts in upper case, where words are what is between these characters.
std::string Title(std::string_view text) {
  std::string out;
  bool at_start = true;
  for (size_t pos = 0; pos < text.size();) {
    const size_t start = pos;
    const uint32_t c = tokenizers::NextCodePoint(text, &pos);
    const std::string_view character = text.substr(start, pos - start);
    const bool separates = IsSpace(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    out.append(at_start ? Upper(character) : Lower(character));
    at_start = separates;
  }
  return out;
}

std::string Escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out.append("&amp;");
        break;
      case '<':
        out.append("&lt;");
        break;
      case '>':
        out.append("&gt;");
        break;
      case '"':
        out.append("&#34;");
        break;
      case '\'':
        out.append("&#39;");
        break;
      default:
        out.push_back(c);
    }
  }
  return out;
}

Result<Value> Trim(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<1>(arguments, {"chars"}, 0));
  RL_ASSIGN_OR_RETURN(const std::string text, in.Text(subject));
  const Value& set = bound[0];
  if (set.is_absent() || set.is_none()) return in.NewString(std::string(Strip(text, true, true)));
  RL_CHECK(set.is_string(), Reason::kTemplateType);
  return in.NewString(std::string(Strip(text, set.string(), true, true)));
}

Result<Value> ReplaceFilter(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<3>(arguments, {"old", "new", "count"}, 2));
  RL_ASSIGN_OR_RETURN(const std::string text, in.Text(subject));
  RL_ASSIGN_OR_RETURN(const std::string from, in.Text(bound[0]));
  RL_ASSIGN_OR_RETURN(const std::string to, in.Text(bound[1]));
  int64_t count = -1;
  if (!bound[2].is_absent() && !bound[2].is_none()) {
    RL_CHECK(bound[2].is_integer(), Reason::kTemplateType);
    count = bound[2].integer();
  }
  RL_ASSIGN_OR_RETURN(std::string replaced, ReplaceText(in, text, from, to, count));
  return in.NewString(std::move(replaced));
}

// indent(width=4, first=false, blank=false)
Result<Value> Indent(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<3>(arguments, {"width", "first", "blank"}, 0));
  RL_RETURN_IF_ERROR(in.CheckDefined(subject));
  RL_CHECK(subject.is_string(), Reason::kTemplateType);
  std::string indention(4, ' ');
  if (bound[0].is_string()) {
    indention = bound[0].string();
  } else if (!bound[0].is_absent()) {
    RL_CHECK(bound[0].is_integer(), Reason::kTemplateType);
    RL_CHECK(bound[0].integer() <= 1000, Reason::kTemplateLimit);
    indention.assign(static_cast<size_t>(std::max<int64_t>(0, bound[0].integer())), ' ');
  }
  std::string out;
  size_t number = 0;
  for (const std::string_view line : SplitLines(subject.string())) {
    if (number > 0) out.push_back('\n');
    const bool indents = number == 0 ? bound[1].Truth() : !line.empty() || bound[2].Truth();
    RL_RETURN_IF_ERROR(in.Spend(1 + indention.size() / 16));
    if (indents) out.append(indention);
    out.append(line);
    ++number;
  }
  // The filter adds a line feed before it splits: one at the end is kept as an empty line.
  if (subject.string().ends_with('\n')) {
    out.push_back('\n');
    if (bound[2].Truth()) out.append(indention);
  }
  return in.NewString(std::move(out));
}

Result<Value> Default(Interpreter&, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<2>(arguments, {"default_value", "boolean"}, 0));
  if (!subject.is_undefined() && !(bound[1].Truth() && !subject.Truth())) return Value(subject);
  return bound[0].is_absent() ? Value::String("") : Value(bound[0]);
}

// Numbers

// Text of a number as Python's int() and float() read it: without spaces around it and "_" in it,
// and without "+".
std::string Digits(std::string_view text) {
  std::string digits;
  for (const char c : Lower(Strip(text, true, true))) {
    if (c != '_') digits.push_back(c);
  }
  const bool plus = digits.starts_with('+') && !digits.starts_with("+-");
  return digits.substr(plus ? 1 : 0);
}

std::optional<double> ParseFloat(std::string_view text) {
  const std::string digits = Digits(text);
  if (digits.find_first_of("(x") != std::string::npos) return std::nullopt;
  double value = 0;
  const char* const end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, value);
  if (parsed.ptr != end || parsed.ec == std::errc::invalid_argument) return std::nullopt;
  return value;
}

std::optional<int64_t> ParseInteger(std::string_view text, int base, bool* overflows) {
  std::string digits = Digits(text);
  const std::string_view prefix = base == 16 ? "0x" : base == 8 ? "0o" : base == 2 ? "0b" : "";
  const size_t sign = digits.starts_with('-') ? 1 : 0;
  if (!prefix.empty() && digits.compare(sign, 2, prefix) == 0) digits.erase(sign, 2);
  int64_t value = 0;
  const char* const end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, value, base);
  *overflows = parsed.ec == std::errc::result_out_of_range && parsed.ptr == end;
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return value;
}

std::optional<int64_t> Truncated(double value) {
  if (!(std::abs(value) < 9.2e18)) return std::nullopt;
  return static_cast<int64_t>(value);
}

// int(default=0, base=10)
Result<Value> ToInteger(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<2>(arguments, {"default", "base"}, 0));
  RL_RETURN_IF_ERROR(in.CheckDefined(subject));
  const Value otherwise = bound[0].is_absent() ? Value::Int(0) : bound[0];
  const int64_t base = bound[1].is_integer() ? bound[1].integer() : 10;
  RL_CHECK(base >= 2 && base <= 36, Reason::kTemplateType);
  if (subject.is_integer()) return Value::Int(subject.integer());
  std::optional<double> number;
  if (subject.is(Kind::kFloat)) number = subject.number();
  if (subject.is_string()) {
    bool overflows = false;
    const auto integer = ParseInteger(subject.string(), static_cast<int>(base), &overflows);
    RL_CHECK(!overflows, Reason::kTemplateLimit);
    if (integer) return Value::Int(*integer);
    number = ParseFloat(subject.string());
  }
  if (!number || !std::isfinite(*number)) return otherwise;
  const std::optional<int64_t> truncated = Truncated(*number);
  RL_CHECK(truncated.has_value(), Reason::kTemplateLimit);
  return Value::Int(*truncated);
}

Result<Value> ToFloat(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<1>(arguments, {"default"}, 0));
  RL_RETURN_IF_ERROR(in.CheckDefined(subject));
  if (subject.is_number()) return Value::Float(subject.number());
  if (subject.is_string()) {
    if (const auto number = ParseFloat(subject.string())) return Value::Float(*number);
  }
  return bound[0].is_absent() ? Value::Float(0) : Value(bound[0]);
}

Result<Value> Absolute(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_RETURN_IF_ERROR(BindNone(arguments));
  RL_RETURN_IF_ERROR(in.CheckDefined(subject));
  RL_CHECK(subject.is_number(), Reason::kTemplateType);
  if (!subject.is_integer()) return Value::Float(std::abs(subject.number()));
  RL_CHECK(subject.integer() != INT64_MIN, Reason::kTemplateLimit);
  return Value::Int(std::abs(subject.integer()));
}

// The decimal number with so many digits behind the point that is nearest to what `value` is
// exactly.
double RoundedTo(double value, int digits) {
  if (!std::isfinite(value)) return value;
  if (digits < 0) {
    const double unit = std::pow(10.0, -digits);
    return std::nearbyint(value / unit) * unit;
  }
  char text[512];
  const auto written =
      std::to_chars(text, text + sizeof(text), value, std::chars_format::fixed, digits);
  double rounded = value;
  std::from_chars(text, written.ptr, rounded);
  return rounded;
}

// round(precision=0, method="common")
Result<Value> Round(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<2>(arguments, {"precision", "method"}, 0));
  RL_RETURN_IF_ERROR(in.CheckDefined(subject));
  RL_CHECK(subject.is_number() && (bound[0].is_absent() || bound[0].is_integer()) &&
               (bound[1].is_absent() || bound[1].is_string()),
           Reason::kTemplateType);
  const int64_t precision = bound[0].is_absent() ? 0 : bound[0].integer();
  const std::string method = bound[1].is_absent() ? "common" : bound[1].string();
  RL_CHECK(std::abs(precision) <= 100, Reason::kTemplateLimit);
  if (method == "common") {
    if (subject.is_integer() && precision >= 0) return Value::Int(subject.integer());
    const double rounded = RoundedTo(subject.number(), static_cast<int>(precision));
    if (!subject.is_integer()) return Value::Float(rounded);
    const std::optional<int64_t> integer = Truncated(rounded);
    RL_CHECK(integer.has_value(), Reason::kTemplateLimit);
    return Value::Int(*integer);
  }
  RL_CHECK(method == "ceil" || method == "floor", Reason::kTemplateType);
  const double unit = std::pow(10.0, static_cast<double>(precision));
  const double scaled = subject.number() * unit;
  return Value::Float((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / unit);
}

// JSON

// What separates levels: None, a number of spaces, or text.
Result<std::optional<std::string>> ReadIndent(const Value& value) {
  if (value.is_absent() || value.is_none()) return std::optional<std::string>();
  if (value.is_string()) return std::optional<std::string>(value.string());
  RL_CHECK(value.is_integer(), Reason::kTemplateType);
  RL_CHECK(value.integer() <= 100, Reason::kTemplateLimit);
  return std::optional<std::string>(
      std::string(static_cast<size_t>(std::max<int64_t>(0, value.integer())), ' '));
}

Result<Value> ToJson(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound,
                      Bind<4>(arguments, {"ensure_ascii", "indent", "separators", "sort_keys"}, 0));
  JsonStyle style;
  style.ensure_ascii = bound[0].Truth();
  RL_ASSIGN_OR_RETURN(style.indent, ReadIndent(bound[1]));
  if (style.indent) style.item_separator = ",";
  if (!bound[2].is_absent() && !bound[2].is_none()) {
    RL_ASSIGN_OR_RETURN(const List separators, in.Items(bound[2]));
    RL_CHECK(separators.size() == 2 && separators[0].is_string() && separators[1].is_string(),
             Reason::kTemplateType);
    style.item_separator = separators[0].string();
    style.key_separator = separators[1].string();
  }
  style.sort_keys = bound[3].Truth();
  std::string text;
  const Error error = AppendJson(subject, style, Interpreter::kMaxOutputBytes, &text);
  RL_CHECK(error.ok(), error.reason);
  return in.NewString(std::move(text));
}

// "%s items"|format(3)
Result<Value> FormatFilter(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_CHECK(arguments.named.empty(), Reason::kTemplateType);
  RL_ASSIGN_OR_RETURN(const std::string text, in.Text(subject));
  RL_ASSIGN_OR_RETURN(const Value values, in.NewList(arguments.positional, Kind::kTuple));
  return in.Format(text, values);
}

constexpr Builtin kFilters[] = {
    {"abs", Absolute},
    {"attr", filters::Attr},
    {"batch", filters::Batch},
    {"capitalize", RewriteText<Capitalized>},
    {"count", filters::Count},
    {"d", Default},
    {"default", Default},
    {"dictsort", filters::DictSort},
    {"e", RewriteText<Escape>},
    {"escape", RewriteText<Escape>},
    {"first", filters::First},
    {"float", ToFloat},
    {"format", FormatFilter},
    {"indent", Indent},
    {"int", ToInteger},
    {"items", filters::Items},
    {"join", filters::Join},
    {"last", filters::Last},
    {"length", filters::Count},
    {"list", filters::ToList},
    {"lower", RewriteText<Lower>},
    {"map", filters::Map},
    {"max", filters::Max},
    {"min", filters::Min},
    {"reject", filters::Reject},
    {"rejectattr", filters::RejectAttr},
    {"replace", ReplaceFilter},
    {"reverse", filters::Reverse},
    {"round", Round},
    {"safe", RewriteText<Same>},
    {"select", filters::Select},
    {"selectattr", filters::SelectAttr},
    {"sort", filters::Sort},
    {"string", RewriteText<Same>},
    {"sum", filters::Sum},
    {"title", RewriteText<Title>},
    {"tojson", ToJson},
    {"trim", Trim},
    {"unique", filters::Unique},
    {"upper", RewriteText<Upper>},
};
static_assert(SortedUnique(kFilters));

}  // namespace

const Builtin* FindFilter(std::string_view name) { return FindBuiltin(kFilters, name); }

}  // namespace rushlight::llm
