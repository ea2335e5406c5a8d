// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Filters of sequences.

#include <algorithm>
#include <optional>
#include <utility>

#include "src/llm/template_filters.h"
#include "src/llm/template_interpreter.h"
#include "src/llm/template_text.h"
#include "src/tokenizers/utf8.h"

namespace rushlight::llm::filters {
namespace {

// "message.content.0": an attribute of an attribute; absent or none: the item itself.
class Getter {
 public:
  static Result<Getter> Make(const Value& attribute) {
    Getter getter;
    if (attribute.is_absent() || attribute.is_none()) return getter;
    if (!attribute.is_string()) {
      getter.parts_.push_back(attribute);
      return getter;
    }
    const std::string& text = attribute.string();
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find('.', begin), text.size());
      const std::string part = text.substr(begin, end - begin);
      const bool is_number = !part.empty() && part.size() < 10 &&
                             part.find_first_not_of("0123456789") == std::string::npos;
      getter.parts_.push_back(is_number ? Value::Int(std::stoi(part)) : Value::String(part));
      begin = end + 1;
    }
    return getter;
  }

  // `otherwise` takes the place of what is undefined, unless it is absent or none.
  Result<Value> Get(Interpreter& in, Value item, const Value& otherwise = Value::Absent()) const {
    for (const Value& part : parts_) {
      RL_RETURN_IF_ERROR(in.Spend(1));
      RL_ASSIGN_OR_RETURN(item, in.Item(item, part));
      const bool has_default = !otherwise.is_absent() && !otherwise.is_none();
      if (has_default && item.is_undefined()) item = otherwise;
    }
    return item;
  }

 private:
  std::vector<Value> parts_;
};

Value IgnoringCase(const Value& value, bool case_sensitive) {
  return value.is_string() && !case_sensitive ? Value::String(Lower(value.string())) : value;
}

// Sorts items by their keys; stable, also in reverse.
Error SortByKeys(Interpreter& in, bool reverse, std::vector<std::pair<Value, Value>>* keyed) {
  Error error;
  std::stable_sort(keyed->begin(), keyed->end(), [&](const auto& a, const auto& b) {
    if (!error.ok()) return false;
    const Result<int> order = Compare(a.first, b.first);
    error = order.ok() ? in.Spend(1) : order.error();
    if (!error.ok()) return false;
    return reverse ? *order > 0 : *order < 0;
  });
  return error;
}

Result<Value> Extreme(Interpreter& in, const Value& subject, const Arguments& arguments, int sign) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<2>(arguments, {"case_sensitive", "attribute"}, 0));
  RL_ASSIGN_OR_RETURN(const Getter getter, Getter::Make(bound[1]));
  RL_ASSIGN_OR_RETURN(const List items, in.Items(subject));
  std::optional<std::pair<Value, Value>> best;  // key, item
  for (const Value& item : items) {
    RL_ASSIGN_OR_RETURN(const Value found, getter.Get(in, item));
    const Value key = IgnoringCase(found, bound[0].Truth());
    if (best) {
      RL_ASSIGN_OR_RETURN(const int order, Compare(key, best->first));
      if (order * sign <= 0) continue;
    }
    best.emplace(key, item);
  }
  return best ? Value(best->second) : Value();
}

// The items for which a test holds, or does not; the test is the truth of the item if none is
// named.
Result<Value> Choose(Interpreter& in, const Value& subject, const Arguments& arguments,
                     bool by_attribute, bool wanted) {
  List chosen;
  if (!subject.Truth()) return in.NewIterator(std::move(chosen));
  std::vector<Value> rest = arguments.positional;
  Getter getter;
  if (by_attribute) {
    RL_CHECK(!rest.empty(), Reason::kTemplateType);
    RL_ASSIGN_OR_RETURN(getter, Getter::Make(rest[0]));
    rest.erase(rest.begin());
  }
  const Builtin* test = nullptr;
  if (!rest.empty()) {
    RL_CHECK(rest[0].is_string(), Reason::kTemplateName);
    test = FindTest(rest[0].string());
    RL_CHECK(test != nullptr, Reason::kTemplateName);
    rest.erase(rest.begin());
  }
  const Arguments test_arguments{std::move(rest), arguments.named};
  RL_ASSIGN_OR_RETURN(const List items, in.Items(subject));
  for (const Value& item : items) {
    RL_ASSIGN_OR_RETURN(Value value, getter.Get(in, item));
    if (test != nullptr) {
      RL_ASSIGN_OR_RETURN(value, in.Apply(test, value, test_arguments));
    }
    if (value.Truth() == wanted) chosen.push_back(item);
  }
  return in.NewIterator(std::move(chosen));
}

}  // namespace

Result<Value> Attr(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<1>(arguments, {"name"}, 1));
  RL_CHECK(bound[0].is_string(), Reason::kTemplateType);
  // Not an item of a dict.
  if (subject.is(Kind::kDict) && FindDictMethod(bound[0].string()) == nullptr) return Value();
  return in.Attribute(subject, bound[0].string());
}

Result<Value> Batch(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<2>(arguments, {"linecount", "fill_with"}, 1));
  RL_CHECK(bound[0].is_integer() && bound[0].integer() > 0, Reason::kTemplateType);
  const auto size = static_cast<size_t>(bound[0].integer());
  RL_ASSIGN_OR_RETURN(const List items, in.Items(subject));
  List batches, batch;
  for (size_t i = 0; i < items.size(); ++i) {
    batch.push_back(items[i]);
    if (batch.size() < size && i + 1 < items.size()) continue;
    if (!bound[1].is_absent() && !bound[1].is_none()) {
      RL_RETURN_IF_ERROR(in.Hold((size - batch.size()) * sizeof(Value)));
      batch.resize(size, bound[1]);
    }
    RL_ASSIGN_OR_RETURN(Value list, in.NewList(std::exchange(batch, {})));
    batches.push_back(std::move(list));
  }
  return in.NewIterator(std::move(batches));
}

Result<Value> Count(Interpreter&, const Value& subject, const Arguments& arguments) {
  RL_RETURN_IF_ERROR(BindNone(arguments));
  if (subject.is_undefined()) return Value::Int(0);
  if (subject.is_string()) return Value::Int(static_cast<int64_t>(Length(subject.string())));
  RL_CHECK(subject.has_list() || subject.is(Kind::kDict) || subject.is(Kind::kRange),
           Reason::kTemplateType);
  return Value::Int(static_cast<int64_t>(subject.Weight()));
}

// dictsort(case_sensitive=false, by="key", reverse=false)
Result<Value> DictSort(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<3>(arguments, {"case_sensitive", "by", "reverse"}, 0));
  RL_RETURN_IF_ERROR(in.CheckDefined(subject));
  RL_CHECK(subject.is(Kind::kDict) && (bound[1].is_absent() || bound[1].is_string()),
           Reason::kTemplateType);
  const std::string by = bound[1].is_absent() ? "key" : bound[1].string();
  RL_CHECK(by == "key" || by == "value", Reason::kTemplateType);
  std::vector<std::pair<Value, Value>> keyed;
  for (const auto& [key, value] : subject.dict().items) {
    RL_ASSIGN_OR_RETURN(const Value pair, in.NewList({key, value}, Kind::kTuple));
    keyed.emplace_back(IgnoringCase(by == "key" ? key : value, bound[0].Truth()), pair);
  }
  RL_RETURN_IF_ERROR(SortByKeys(in, bound[2].Truth(), &keyed));
  List sorted;
  for (const auto& item : keyed) sorted.push_back(item.second);
  return in.NewList(std::move(sorted));
}

Result<Value> First(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_RETURN_IF_ERROR(BindNone(arguments));
  if (subject.is(Kind::kIterator)) {  // the rest can still be read
    Iterator& iterator = subject.iterator();
    return iterator.next < iterator.items.size() ? Value(iterator.items[iterator.next++]) : Value();
  }
  RL_ASSIGN_OR_RETURN(const List items, in.Items(subject));
  return items.empty() ? Value() : Value(items.front());
}

Result<Value> Last(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_RETURN_IF_ERROR(BindNone(arguments));
  RL_CHECK(!subject.is(Kind::kIterator), Reason::kTemplateType);
  RL_ASSIGN_OR_RETURN(const List items, in.Items(subject));
  return items.empty() ? Value() : Value(items.back());
}

Result<Value> Items(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_RETURN_IF_ERROR(BindNone(arguments));
  List pairs;
  if (subject.is_undefined()) return in.NewIterator(std::move(pairs));
  RL_CHECK(subject.is(Kind::kDict), Reason::kTemplateType);
  for (const auto& [key, value] : subject.dict().items) {
    RL_ASSIGN_OR_RETURN(Value pair, in.NewList({key, value}, Kind::kTuple));
    pairs.push_back(std::move(pair));
  }
  return in.NewIterator(std::move(pairs));
}

// join(d="", attribute=none)
Result<Value> Join(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<2>(arguments, {"d", "attribute"}, 0));
  RL_ASSIGN_OR_RETURN(const Getter getter, Getter::Make(bound[1]));
  std::string separator;
  if (!bound[0].is_absent()) {
    RL_ASSIGN_OR_RETURN(separator, in.Text(bound[0]));
  }
  RL_ASSIGN_OR_RETURN(const List items, in.Items(subject));
  std::string text;
  for (size_t i = 0; i < items.size(); ++i) {
    RL_ASSIGN_OR_RETURN(const Value value, getter.Get(in, items[i]));
    RL_ASSIGN_OR_RETURN(const std::string part, in.Text(value));
    text.append(i == 0 ? "" : separator).append(part);
    RL_CHECK(text.size() <= Interpreter::kMaxOutputBytes, Reason::kTemplateLimit);
  }
  return in.NewString(std::move(text));
}

Result<Value> ToList(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_RETURN_IF_ERROR(BindNone(arguments));
  RL_ASSIGN_OR_RETURN(List items, in.Items(subject));
  return in.NewList(std::move(items));
}

// map(attribute="name", default=...) or map("filter", its arguments...)
Result<Value> Map(Interpreter& in, const Value& subject, const Arguments& arguments) {
  List mapped;
  if (!subject.Truth()) return in.NewIterator(std::move(mapped));
  const bool by_attribute = arguments.positional.empty();
  Getter getter;
  Value otherwise;
  const Builtin* filter = nullptr;
  Arguments filter_arguments;
  if (by_attribute) {
    RL_ASSIGN_OR_RETURN(const auto bound, Bind<2>(arguments, {"attribute", "default"}, 1));
    RL_ASSIGN_OR_RETURN(getter, Getter::Make(bound[0]));
    otherwise = bound[1];
  } else {
    RL_CHECK(arguments.positional[0].is_string(), Reason::kTemplateName);
    filter = FindFilter(arguments.positional[0].string());
    RL_CHECK(filter != nullptr, Reason::kTemplateName);
    filter_arguments = arguments;
    filter_arguments.positional.erase(filter_arguments.positional.begin());
  }
  RL_ASSIGN_OR_RETURN(const List items, in.Items(subject));
  for (const Value& item : items) {
    RL_ASSIGN_OR_RETURN(Value value, by_attribute ? getter.Get(in, item, otherwise)
                                                  : in.Apply(filter, item, filter_arguments));
    mapped.push_back(std::move(value));
  }
  return in.NewIterator(std::move(mapped));
}

Result<Value> Max(Interpreter& in, const Value& subject, const Arguments& arguments) {
  return Extreme(in, subject, arguments, 1);
}

Result<Value> Min(Interpreter& in, const Value& subject, const Arguments& arguments) {
  return Extreme(in, subject, arguments, -1);
}

Result<Value> Select(Interpreter& in, const Value& subject, const Arguments& arguments) {
  return Choose(in, subject, arguments, false, true);
}

Result<Value> Reject(Interpreter& in, const Value& subject, const Arguments& arguments) {
  return Choose(in, subject, arguments, false, false);
}

Result<Value> SelectAttr(Interpreter& in, const Value& subject, const Arguments& arguments) {
  return Choose(in, subject, arguments, true, true);
}

Result<Value> RejectAttr(Interpreter& in, const Value& subject, const Arguments& arguments) {
  return Choose(in, subject, arguments, true, false);
}

Result<Value> Reverse(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_RETURN_IF_ERROR(BindNone(arguments));
  if (subject.is_string()) {
    std::string reversed;
    for (size_t end = subject.string().size(); end > 0;) {
      const size_t start = tokenizers::PreviousStart(subject.string(), end);
      reversed.append(subject.string(), start, end - start);
      end = start;
    }
    return in.NewString(std::move(reversed));
  }
  const bool was_iterator = subject.is(Kind::kIterator);
  RL_ASSIGN_OR_RETURN(List items, in.Items(subject));
  std::reverse(items.begin(), items.end());
  return was_iterator ? in.NewList(std::move(items)) : in.NewIterator(std::move(items));
}

// sort(reverse=false, case_sensitive=false, attribute=none); several attributes with commas between
Result<Value> Sort(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound,
                      Bind<3>(arguments, {"reverse", "case_sensitive", "attribute"}, 0));
  std::vector<Getter> getters;
  if (bound[2].is_string()) {
    const std::string& names = bound[2].string();
    for (size_t begin = 0; begin <= names.size();) {
      const size_t end = std::min(names.find(',', begin), names.size());
      RL_ASSIGN_OR_RETURN(Getter getter,
                          Getter::Make(Value::String(names.substr(begin, end - begin))));
      getters.push_back(std::move(getter));
      begin = end + 1;
    }
  } else {
    RL_ASSIGN_OR_RETURN(Getter getter, Getter::Make(bound[2]));
    getters.push_back(std::move(getter));
  }
  RL_ASSIGN_OR_RETURN(const List items, in.Items(subject));
  std::vector<std::pair<Value, Value>> keyed;
  for (const Value& item : items) {
    List parts;
    for (const Getter& getter : getters) {
      RL_ASSIGN_OR_RETURN(const Value value, getter.Get(in, item));
      parts.push_back(IgnoringCase(value, bound[1].Truth()));
    }
    RL_ASSIGN_OR_RETURN(const Value key, in.NewList(std::move(parts)));
    keyed.emplace_back(key, item);
  }
  RL_RETURN_IF_ERROR(SortByKeys(in, bound[0].Truth(), &keyed));
  List sorted;
  for (const auto& item : keyed) sorted.push_back(item.second);
  return in.NewList(std::move(sorted));
}

// sum(attribute=none, start=0)
Result<Value> Sum(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<2>(arguments, {"attribute", "start"}, 0));
  RL_ASSIGN_OR_RETURN(const Getter getter, Getter::Make(bound[0]));
  RL_ASSIGN_OR_RETURN(const List items, in.Items(subject));
  Value sum = bound[1].is_absent() ? Value::Int(0) : bound[1];
  RL_CHECK(!sum.is_string(), Reason::kTemplateType);
  for (const Value& item : items) {
    RL_ASSIGN_OR_RETURN(const Value value, getter.Get(in, item));
    RL_ASSIGN_OR_RETURN(sum, in.Add(sum, value));
  }
  return sum;
}

// unique(case_sensitive=false, attribute=none)
Result<Value> Unique(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<2>(arguments, {"case_sensitive", "attribute"}, 0));
  RL_ASSIGN_OR_RETURN(const Getter getter, Getter::Make(bound[1]));
  RL_ASSIGN_OR_RETURN(const List items, in.Items(subject));
  Dict seen;
  List unique;
  for (const Value& item : items) {
    RL_ASSIGN_OR_RETURN(const Value found, getter.Get(in, item));
    const Value key = IgnoringCase(found, bound[0].Truth());
    RL_CHECK(!key.is(Kind::kList) && !key.is(Kind::kDict), Reason::kTemplateType);  // not hashable
    RL_RETURN_IF_ERROR(in.Spend(key.is_string() ? 1 : 1 + seen.items.size() / 8));
    if (seen.Find(key) != nullptr) continue;
    seen.Set(key, Value::None());
    unique.push_back(item);
  }
  return in.NewIterator(std::move(unique));
}

}  // namespace rushlight::llm::filters
