// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Filters, tests, functions and methods: tables of functions that are all alike.
#pragma once

#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "rushlight/error.h"
#include "rushlight/span.h"
#include "src/llm/template_value.h"

namespace rushlight::llm {

class Interpreter;

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// `subject`: what a filter or test is applied to, what a method belongs to.
using BuiltinFunction = Result<Value> (*)(Interpreter& in, const Value& subject,
                                          const Arguments& arguments);

struct Builtin {
  std::string_view name;
  BuiltinFunction run;
};

// Null if there is none of that name.
const Builtin* FindFilter(std::string_view name);
const Builtin* FindTest(std::string_view name);
const Builtin* FindGlobal(std::string_view name);
const Builtin* FindStringMethod(std::string_view name);
const Builtin* FindListMethod(std::string_view name);
const Builtin* FindDictMethod(std::string_view name);
const Builtin* FindLoopMethod(std::string_view name);

// Requires: sorted by name.
const Builtin* FindBuiltin(Span<const Builtin> sorted, std::string_view name);
constexpr bool SortedUnique(Span<const Builtin> table) {
  for (size_t i = 1; i < table.size(); ++i) {
    if (!(table[i - 1].name < table[i].name)) return false;
  }
  return true;
}

// The arguments in the order of the parameters; absent where there is none.  kTemplateType if there
// are too many, two for one parameter, or none for one of the first `required`.
template <size_t N>
Result<std::array<Value, N>> Bind(const Arguments& arguments,
                                  const std::array<std::string_view, N>& parameters,
                                  size_t required) {
  std::array<Value, N> bound;
  bound.fill(Value::Absent());
  RL_CHECK(arguments.positional.size() <= N, Reason::kTemplateType);
  for (size_t i = 0; i < arguments.positional.size(); ++i) bound[i] = arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    size_t i = 0;
    while (i < N && parameters[i] != name) ++i;
    RL_CHECK(i < N && bound[i].is_absent(), Reason::kTemplateType);
    bound[i] = value;
  }
  for (size_t i = 0; i < required; ++i) RL_CHECK(!bound[i].is_absent(), Reason::kTemplateType);
  return bound;
}

// Without parameters.
inline Error BindNone(const Arguments& arguments) {
  RL_CHECK(arguments.positional.empty() && arguments.named.empty(), Reason::kTemplateType);
  return kOk;
}

}  // namespace rushlight::llm
