// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Methods of strings, lists and dicts: those of Python that change nothing.

#include <algorithm>
#include <optional>
#include <utility>

#include "src/llm/template_builtins.h"
#include "src/llm/template_filters.h"
#include "src/llm/template_interpreter.h"
#include "src/llm/template_text.h"
#include "src/tokenizers/unicode.h"
#include "src/tokenizers/utf8.h"

namespace rushlight::llm {
namespace {

// Strings

using Rewrite = std::string (*)(std::string_view text);
template <Rewrite kRewrite>
Result<Value> RewriteText(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_RETURN_IF_ERROR(BindNone(arguments));
  return in.NewString(kRewrite(subject.string()));
}

// str.title(): unlike the filter, a word starts behind everything that is no letter.
std::string Title(std::string_view text) {
  std::string out;
  bool in_word = false;
  for (size_t pos = 0; pos < text.size();) {
    const size_t start = pos;
    const bool is_letter = tokenizers::IsLetter(tokenizers::NextCodePoint(text, &pos));
    const std::string_view character = text.substr(start, pos - start);
    out.append(in_word ? Lower(character) : Upper(character));
    in_word = is_letter;
  }
  return out;
}

// Whether every character is of a class, and there is one.
using Classify = bool (*)(uint32_t c);
template <Classify kIs>
Result<Value> All(Interpreter&, const Value& subject, const Arguments& arguments) {
  RL_RETURN_IF_ERROR(BindNone(arguments));
  const std::string& text = subject.string();
  bool all = !text.empty();
  for (size_t pos = 0; pos < text.size() && all;) all = kIs(tokenizers::NextCodePoint(text, &pos));
  return Value::Bool(all);
}
bool IsDigit(uint32_t c) { return (tokenizers::CategoryOf(c) & 1u << 9) != 0; }
bool IsLetterOrNumber(uint32_t c) { return tokenizers::IsLetter(c) || tokenizers::IsNumber(c); }

template <Rewrite kCased>
Result<Value> HasCase(Interpreter&, const Value& subject, const Arguments& arguments) {
  RL_RETURN_IF_ERROR(BindNone(arguments));
  const std::string& text = subject.string();
  return Value::Bool(kCased(text) == text && Upper(text) != Lower(text));
}

template <bool kLeft, bool kRight>
Result<Value> StripText(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<1>(arguments, {"chars"}, 0));
  const std::string& text = subject.string();
  if (bound[0].is_absent() || bound[0].is_none()) {
    return in.NewString(std::string(Strip(text, kLeft, kRight)));
  }
  RL_RETURN_IF_ERROR(in.CheckDefined(bound[0]));
  RL_CHECK(bound[0].is_string(), Reason::kTemplateType);
  return in.NewString(std::string(Strip(text, bound[0].string(), kLeft, kRight)));
}

// The count of an argument that may be missing or negative: no limit.
Result<size_t> ReadCount(const Value& value) {
  if (value.is_absent()) return ~size_t{0};
  RL_CHECK(value.is_integer(), Reason::kTemplateType);
  return value.integer() < 0 ? ~size_t{0} : static_cast<size_t>(value.integer());
}

// The words between spaces; at most `limit` cuts, from the left or the right.
std::vector<std::string_view> SplitAtSpaces(std::string_view text, size_t limit, bool from_right) {
  std::vector<std::string_view> words;
  text = Strip(text, !from_right, from_right);
  while (!text.empty()) {
    if (words.size() == limit) {
      words.push_back(text);
      break;
    }
    size_t pos = from_right ? text.size() : 0;
    while (from_right ? pos > 0 : pos < text.size()) {
      size_t next = from_right ? tokenizers::PreviousStart(text, pos) : pos;
      const size_t start = next;
      const uint32_t c = tokenizers::NextCodePoint(text, &next);
      if (IsSpace(c)) break;
      pos = from_right ? start : next;
    }
    words.push_back(from_right ? text.substr(pos) : text.substr(0, pos));
    text = from_right ? text.substr(0, pos) : text.substr(pos);
    text = Strip(text, !from_right, from_right);
  }
  if (from_right) std::reverse(words.begin(), words.end());
  return words;
}

std::vector<std::string_view> SplitAt(std::string_view text, std::string_view separator,
                                      size_t limit, bool from_right) {
  std::vector<std::string_view> parts;
  while (parts.size() < limit) {
    const size_t found = from_right ? text.rfind(separator) : text.find(separator);
    if (found == std::string_view::npos) break;
    const std::string_view behind = text.substr(found + separator.size());
    parts.push_back(from_right ? behind : text.substr(0, found));
    text = from_right ? text.substr(0, found) : behind;
  }
  parts.push_back(text);
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

Result<Value> NewStrings(Interpreter& in, const std::vector<std::string_view>& parts,
                         Kind kind = Kind::kList) {
  List items;
  for (const std::string_view part : parts) {
    RL_ASSIGN_OR_RETURN(Value text, in.NewString(std::string(part)));
    items.push_back(std::move(text));
  }
  return in.NewList(std::move(items), kind);
}

// split(sep=None, maxsplit=-1)
template <bool kFromRight>
Result<Value> Split(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<2>(arguments, {"sep", "maxsplit"}, 0));
  RL_ASSIGN_OR_RETURN(const size_t limit, ReadCount(bound[1]));
  const std::string& text = subject.string();
  RL_RETURN_IF_ERROR(in.Hold(text.size()));  // the list may have that many items
  if (bound[0].is_absent() || bound[0].is_none()) {
    return NewStrings(in, SplitAtSpaces(text, limit, kFromRight));
  }
  RL_CHECK(bound[0].is_string() && !bound[0].string().empty(), Reason::kTemplateType);
  RL_RETURN_IF_ERROR(in.SpendSearch(text, bound[0].string()));
  return NewStrings(in, SplitAt(text, bound[0].string(), limit, kFromRight));
}

// (in front, the separator, behind)
template <bool kFromRight>
Result<Value> Partition(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<1>(arguments, {"sep"}, 1));
  RL_CHECK(bound[0].is_string() && !bound[0].string().empty(), Reason::kTemplateType);
  const std::string_view text = subject.string(), separator = bound[0].string();
  RL_RETURN_IF_ERROR(in.SpendSearch(text, separator));
  const std::vector<std::string_view> parts = SplitAt(text, separator, 1, kFromRight);
  if (parts.size() == 2) return NewStrings(in, {parts[0], separator, parts[1]}, Kind::kTuple);
  if (kFromRight) return NewStrings(in, {"", "", text}, Kind::kTuple);
  return NewStrings(in, {text, "", ""}, Kind::kTuple);
}

Result<Value> SplitIntoLines(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_RETURN_IF_ERROR(BindNone(arguments));
  return NewStrings(in, SplitLines(subject.string()));
}

// A prefix or suffix, or a tuple of them.
template <bool kAtStart>
Result<Value> StartsOrEnds(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<1>(arguments, {"prefix"}, 1));
  RL_RETURN_IF_ERROR(in.CheckDefined(bound[0]));
  RL_CHECK(bound[0].is_string() || bound[0].is(Kind::kTuple), Reason::kTemplateType);
  const List affixes = bound[0].is_string() ? List{bound[0]} : bound[0].list();
  bool holds = false;
  for (const Value& affix : affixes) {
    RL_CHECK(affix.is_string(), Reason::kTemplateType);
    holds |= kAtStart ? subject.string().starts_with(affix.string())
                      : subject.string().ends_with(affix.string());
  }
  return Value::Bool(holds);
}

template <bool kAtStart>
Result<Value> RemoveAffix(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<1>(arguments, {"prefix"}, 1));
  RL_CHECK(bound[0].is_string(), Reason::kTemplateType);
  std::string_view text = subject.string();
  const std::string& affix = bound[0].string();
  if (kAtStart && text.starts_with(affix)) text.remove_prefix(affix.size());
  if (!kAtStart && text.ends_with(affix)) text.remove_suffix(affix.size());
  return in.NewString(std::string(text));
}

Result<Value> Replace(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<3>(arguments, {"old", "new", "count"}, 2));
  RL_CHECK(bound[0].is_string() && bound[1].is_string() &&
               (bound[2].is_absent() || bound[2].is_integer()),
           Reason::kTemplateType);
  const int64_t count = bound[2].is_absent() ? -1 : bound[2].integer();
  RL_ASSIGN_OR_RETURN(std::string replaced, ReplaceText(in, subject.string(), bound[0].string(),
                                                        bound[1].string(), count));
  return in.NewString(std::move(replaced));
}

Result<Value> JoinStrings(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<1>(arguments, {"iterable"}, 1));
  RL_ASSIGN_OR_RETURN(const List items, in.Items(bound[0]));
  std::string text;
  for (size_t i = 0; i < items.size(); ++i) {
    RL_CHECK(items[i].is_string(), Reason::kTemplateType);
    text.append(i == 0 ? "" : subject.string()).append(items[i].string());
    RL_CHECK(text.size() <= Interpreter::kMaxOutputBytes, Reason::kTemplateLimit);
  }
  return in.NewString(std::move(text));
}

// The number of the character where `sub` is found; -1 or an Error if it is not.
template <bool kFromRight, bool kMustExist>
Result<Value> Find(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<1>(arguments, {"sub"}, 1));
  RL_RETURN_IF_ERROR(in.CheckDefined(bound[0]));
  RL_CHECK(bound[0].is_string(), Reason::kTemplateType);
  const std::string& text = subject.string();
  RL_RETURN_IF_ERROR(in.SpendSearch(text, bound[0].string()));
  const size_t found = kFromRight ? text.rfind(bound[0].string()) : text.find(bound[0].string());
  RL_CHECK(!kMustExist || found != std::string::npos, Reason::kTemplateType);
  if (found == std::string::npos) return Value::Int(-1);
  return Value::Int(static_cast<int64_t>(Length(std::string_view(text).substr(0, found))));
}

Result<Value> CountText(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<1>(arguments, {"sub"}, 1));
  RL_CHECK(bound[0].is_string(), Reason::kTemplateType);
  const std::string &text = subject.string(), &sub = bound[0].string();
  if (sub.empty()) return Value::Int(static_cast<int64_t>(Length(text)) + 1);
  RL_RETURN_IF_ERROR(in.SpendSearch(text, sub));
  int64_t count = 0;
  for (size_t pos = 0; (pos = text.find(sub, pos)) != std::string::npos; pos += sub.size()) ++count;
  return Value::Int(count);
}

// "{} and {name}".format(...), without format specifications.
Result<Value> FormatText(Interpreter& in, const Value& subject, const Arguments& arguments) {
  const std::string& format = subject.string();
  std::string out;
  size_t next = 0;
  for (size_t i = 0; i < format.size(); ++i) {
    const char c = format[i];
    if (c != '{' && c != '}') {
      out.push_back(c);
      continue;
    }
    if (i + 1 < format.size() && format[i + 1] == c) {  // "{{" and "}}"
      out.push_back(c);
      ++i;
      continue;
    }
    const size_t end = format.find('}', i);
    RL_CHECK(c == '{' && end != std::string::npos, Reason::kTemplateType);
    const std::string field = format.substr(i + 1, end - i - 1);
    i = end;
    const Value* value = nullptr;
    const bool is_number = field.find_first_not_of("0123456789") == std::string::npos;
    if (is_number) {
      RL_CHECK(field.size() < 4, Reason::kTemplateType);
      const size_t position = field.empty() ? next++ : static_cast<size_t>(std::stoi(field));
      if (position < arguments.positional.size()) value = &arguments.positional[position];
    } else {
      for (const auto& argument : arguments.named) {
        if (argument.first == field) value = &argument.second;
      }
    }
    RL_CHECK(value != nullptr, Reason::kTemplateType);
    RL_ASSIGN_OR_RETURN(const std::string text, in.Text(*value));
    out.append(text);
    RL_CHECK(out.size() <= Interpreter::kMaxOutputBytes, Reason::kTemplateLimit);
  }
  return in.NewString(std::move(out));
}

constexpr Builtin kStringMethods[] = {
    {"capitalize", RewriteText<Capitalized>},
    {"count", CountText},
    {"endswith", StartsOrEnds<false>},
    {"find", Find<false, false>},
    {"format", FormatText},
    {"index", Find<false, true>},
    {"isalnum", All<IsLetterOrNumber>},
    {"isalpha", All<tokenizers::IsLetter>},
    {"isdigit", All<IsDigit>},
    {"islower", HasCase<Lower>},
    {"isspace", All<IsSpace>},
    {"isupper", HasCase<Upper>},
    {"join", JoinStrings},
    {"lower", RewriteText<Lower>},
    {"lstrip", StripText<true, false>},
    {"partition", Partition<false>},
    {"removeprefix", RemoveAffix<true>},
    {"removesuffix", RemoveAffix<false>},
    {"replace", Replace},
    {"rfind", Find<true, false>},
    {"rindex", Find<true, true>},
    {"rpartition", Partition<true>},
    {"rsplit", Split<true>},
    {"rstrip", StripText<false, true>},
    {"split", Split<false>},
    {"splitlines", SplitIntoLines},
    {"startswith", StartsOrEnds<true>},
    {"strip", StripText<true, true>},
    {"title", RewriteText<Title>},
    {"upper", RewriteText<Upper>},
};
static_assert(SortedUnique(kStringMethods));

// Lists and tuples

Result<Value> CountItems(Interpreter&, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<1>(arguments, {"value"}, 1));
  return Value::Int(std::count_if(subject.list().begin(), subject.list().end(),
                                  [&](const Value& item) { return Equal(item, bound[0]); }));
}

Result<Value> IndexOfItem(Interpreter&, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<1>(arguments, {"value"}, 1));
  const List& items = subject.list();
  const auto found = std::find_if(items.begin(), items.end(),
                                  [&](const Value& item) { return Equal(item, bound[0]); });
  RL_CHECK(found != items.end(), Reason::kTemplateType);
  return Value::Int(found - items.begin());
}

Result<Value> Same(Interpreter&, const Value& subject, const Arguments& arguments) {
  RL_RETURN_IF_ERROR(BindNone(arguments));
  return Value(subject);  // nothing can change it
}

constexpr Builtin kListMethods[] = {
    {"copy", Same},
    {"count", CountItems},
    {"index", IndexOfItem},
};
static_assert(SortedUnique(kListMethods));

// Dicts

Result<Value> GetItem(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<2>(arguments, {"key", "default"}, 1));
  RL_CHECK(!bound[0].is(Kind::kList) && !bound[0].is(Kind::kDict), Reason::kTemplateType);
  RL_RETURN_IF_ERROR(in.Spend(subject.Weight() / 16));
  if (const Value* found = subject.dict().Find(bound[0])) return Value(*found);
  return bound[1].is_absent() ? Value::None() : Value(bound[1]);
}

enum class Part { kKeys, kValues, kItems };
template <Part kPart>
Result<Value> View(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_RETURN_IF_ERROR(BindNone(arguments));
  List items;
  for (const auto& [key, value] : subject.dict().items) {
    if (kPart == Part::kItems) {
      RL_ASSIGN_OR_RETURN(Value pair, in.NewList({key, value}, Kind::kTuple));
      items.push_back(std::move(pair));
    } else {
      items.push_back(kPart == Part::kKeys ? key : value);
    }
  }
  return in.NewList(std::move(items), Kind::kView);
}

constexpr Builtin kDictMethods[] = {
    {"copy", Same},
    {"get", GetItem},
    {"items", View<Part::kItems>},
    {"keys", View<Part::kKeys>},
    {"values", View<Part::kValues>},
};
static_assert(SortedUnique(kDictMethods));

}  // namespace

const Builtin* FindStringMethod(std::string_view name) { return FindBuiltin(kStringMethods, name); }
const Builtin* FindListMethod(std::string_view name) { return FindBuiltin(kListMethods, name); }
const Builtin* FindDictMethod(std::string_view name) { return FindBuiltin(kDictMethods, name); }

std::vector<std::string_view> SplitLines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of("\r\n"), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end);
    text.remove_prefix(text.starts_with("\r\n") ? 2 : text.empty() ? 0 : 1);
  }
  return lines;
}

Result<std::string> ReplaceText(Interpreter& in, std::string_view text, std::string_view from,
                                std::string_view to, int64_t count) {
  RL_RETURN_IF_ERROR(in.SpendSearch(text, from));
  std::string out;
  size_t pos = 0;
  while (count != 0) {
    const size_t found = text.find(from, pos);
    if (found == std::string_view::npos) break;
    RL_RETURN_IF_ERROR(in.Spend(1));
    RL_CHECK(out.size() + to.size() <= Interpreter::kMaxOutputBytes, Reason::kTemplateLimit);
    out.append(text.substr(pos, found - pos)).append(to);
    pos = found + from.size();
    if (from.empty()) {  // it is in front of every character and behind the last one
      if (pos == text.size()) break;
      size_t next = pos;
      tokenizers::NextCodePoint(text, &next);
      out.append(text.substr(pos, next - pos));
      pos = next;
    }
    if (count > 0) --count;
  }
  return out.append(text.substr(pos));
}

}  // namespace rushlight::llm
