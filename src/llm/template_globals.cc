// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Functions that every template can call, and methods of loops.

#include <algorithm>
#include <ctime>
#include <iterator>

#include "src/llm/template_builtins.h"
#include "src/llm/template_interpreter.h"

namespace rushlight::llm {
namespace {

constexpr size_t kMaxTimeBytes = 1024;

Result<Value> MakeRange(Interpreter& in, const Value&, const Arguments& arguments) {
  const std::vector<Value>& given = arguments.positional;
  RL_CHECK(!given.empty() && given.size() <= 3 && arguments.named.empty(), Reason::kTemplateType);
  for (const Value& v : given) {
    RL_RETURN_IF_ERROR(in.CheckDefined(v));
    RL_CHECK(v.is_integer(), Reason::kTemplateType);
  }
  Range range{0, given[0].integer(), 1};
  if (given.size() > 1) range = {given[0].integer(), given[1].integer(), 1};
  if (given.size() > 2) range.step = given[2].integer();
  RL_CHECK(range.step != 0, Reason::kTemplateType);
  // A size beyond 2^63 is negative here.
  RL_CHECK(range.size() >= 0 && range.size() <= Interpreter::kMaxRangeItems,
           Reason::kTemplateLimit);
  RL_RETURN_IF_ERROR(in.Hold(sizeof(Range)));
  return in.heap().NewRange(range);
}

// dict(other or pairs, name=value, ...)
Result<Dict> DictOf(Interpreter& in, const Arguments& arguments) {
  Dict dict;
  RL_CHECK(arguments.positional.size() <= 1, Reason::kTemplateType);
  if (!arguments.positional.empty()) {
    const Value& other = arguments.positional[0];
    if (other.is(Kind::kDict)) {
      dict = other.dict();
    } else {
      RL_ASSIGN_OR_RETURN(const List pairs, in.Items(other));
      for (const Value& pair : pairs) {
        RL_ASSIGN_OR_RETURN(const List parts, in.Items(pair));
        RL_CHECK(parts.size() == 2 && !parts[0].is(Kind::kList) && !parts[0].is(Kind::kDict),
                 Reason::kTemplateType);
        RL_RETURN_IF_ERROR(in.Spend(parts[0].is_string() ? 1 : 1 + dict.items.size()));
        dict.Set(parts[0], parts[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.named) dict.Set(Value::String(name), value);
  return dict;
}

Result<Value> MakeDict(Interpreter& in, const Value&, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(Dict dict, DictOf(in, arguments));
  return in.NewDict(std::move(dict));
}

Result<Value> MakeNamespace(Interpreter& in, const Value&, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(Dict dict, DictOf(in, arguments));
  for (const auto& [key, value] : dict.items) {
    RL_CHECK(!key.is_string() || !key.string().starts_with('_'), Reason::kTemplateType);
  }
  RL_RETURN_IF_ERROR(in.Hold(sizeof(Namespace) + dict.items.size() * 4 * sizeof(Value)));
  const Value ns = in.heap().NewNamespace();
  ns.ns().attributes = std::move(dict);
  return ns;
}

Result<Value> RaiseException(Interpreter& in, const Value&, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<1>(arguments, {"message"}, 1));
  RL_ASSIGN_OR_RETURN(std::string message, in.Text(bound[0]));
  return in.Raise(std::move(message));
}

Result<Value> StrftimeNow(Interpreter& in, const Value&, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<1>(arguments, {"format"}, 1));
  RL_CHECK(bound[0].is_string(), Reason::kTemplateType);
  if (bound[0].string().empty()) return Value::String("");
  const std::time_t now = in.now() ? static_cast<std::time_t>(*in.now()) : std::time(nullptr);
  std::tm local{};
  RL_CHECK(localtime_r(&now, &local) != nullptr, Reason::kTemplateType);
  char text[kMaxTimeBytes];
  const size_t size = std::strftime(text, sizeof(text), bound[0].string().c_str(), &local);
  RL_CHECK(size > 0, Reason::kTemplateLimit);
  return in.NewString(std::string(text, size));
}

Result<Value> LoopChanged(Interpreter& in, const Value& subject, const Arguments& arguments) {
  RL_CHECK(arguments.named.empty(), Reason::kTemplateType);
  RL_ASSIGN_OR_RETURN(const Value values, in.NewList(arguments.positional, Kind::kTuple));
  Loop& loop = subject.loop();
  const bool changed = !loop.changed || !Equal(*loop.changed, values);
  loop.changed = values;
  return Value::Bool(changed);
}

Result<Value> LoopCycle(Interpreter&, const Value& subject, const Arguments& arguments) {
  const std::vector<Value>& values = arguments.positional;
  RL_CHECK(!values.empty() && arguments.named.empty(), Reason::kTemplateType);
  return Value(values[static_cast<size_t>(subject.loop().index0) % values.size()]);
}

constexpr Builtin kGlobals[] = {
    {"dict", MakeDict},   {"namespace", MakeNamespace},  {"raise_exception", RaiseException},
    {"range", MakeRange}, {"strftime_now", StrftimeNow},
};
static_assert(SortedUnique(kGlobals));

constexpr Builtin kLoopMethods[] = {
    {"changed", LoopChanged},
    {"cycle", LoopCycle},
};
static_assert(SortedUnique(kLoopMethods));

}  // namespace

const Builtin* FindBuiltin(Span<const Builtin> sorted, std::string_view name) {
  const Builtin* found =
      std::lower_bound(sorted.begin(), sorted.end(), name,
                       [](const Builtin& b, std::string_view value) { return b.name < value; });
  return found != sorted.end() && found->name == name ? found : nullptr;
}

const Builtin* FindGlobal(std::string_view name) { return FindBuiltin(kGlobals, name); }
const Builtin* FindLoopMethod(std::string_view name) { return FindBuiltin(kLoopMethods, name); }

}  // namespace rushlight::llm
