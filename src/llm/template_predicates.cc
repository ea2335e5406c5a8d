// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Tests: what can follow "is".

#include "src/llm/template_builtins.h"
#include "src/llm/template_interpreter.h"
#include "src/llm/template_text.h"

namespace rushlight::llm {
namespace {

using Predicate = bool (*)(const Value& value);

// A test of the value alone.
template <Predicate kHolds>
Result<Value> Test(Interpreter&, const Value& value, const Arguments& arguments) {
  RL_RETURN_IF_ERROR(BindNone(arguments));
  return Value::Bool(kHolds(value));
}

bool IsDefined(const Value& v) { return !v.is_undefined(); }
bool IsUndefined(const Value& v) { return v.is_undefined(); }
bool IsNone(const Value& v) { return v.is_none(); }
bool IsBoolean(const Value& v) { return v.is(Kind::kBool); }
bool IsTrue(const Value& v) { return v.is(Kind::kBool) && v.integer() != 0; }
bool IsFalse(const Value& v) { return v.is(Kind::kBool) && v.integer() == 0; }
bool IsInteger(const Value& v) { return v.is(Kind::kInt); }
bool IsFloat(const Value& v) { return v.is(Kind::kFloat); }
bool IsNumber(const Value& v) { return v.is_number(); }
bool IsString(const Value& v) { return v.is_string(); }
bool IsMapping(const Value& v) { return v.is(Kind::kDict); }
bool IsCallable(const Value& v) {
  // Asking something undefined calls its class; loops can be called for recursion.
  return v.is(Kind::kCallable) || v.is(Kind::kLoop) || v.is_undefined();
}
bool IsEscaped(const Value&) { return false; }  // there is no escaping here

bool IsSequence(const Value& v) {
  return v.is_string() || v.is(Kind::kList) || v.is(Kind::kTuple) || v.is(Kind::kDict) ||
         v.is(Kind::kRange) || v.is_undefined();
}

bool IsIterable(const Value& v) {
  return IsSequence(v) || v.is(Kind::kView) || v.is(Kind::kIterator) || v.is(Kind::kLoop);
}

// Whether what `text` has of letters is all equal to `cased`.
Result<Value> HasCase(Interpreter& in, const Value& value, const Arguments& arguments,
                      std::string (*cased)(std::string_view)) {
  RL_RETURN_IF_ERROR(BindNone(arguments));
  RL_ASSIGN_OR_RETURN(const std::string text, in.Text(value));
  return Value::Bool(cased(text) == text && Upper(text) != Lower(text));
}

Result<Value> IsLower(Interpreter& in, const Value& value, const Arguments& arguments) {
  return HasCase(in, value, arguments, &Lower);
}

Result<Value> IsUpper(Interpreter& in, const Value& value, const Arguments& arguments) {
  return HasCase(in, value, arguments, &Upper);
}

Result<bool> Divides(Interpreter& in, const Value& value, int64_t divisor, int64_t rest) {
  RL_RETURN_IF_ERROR(in.CheckDefined(value));
  RL_CHECK(value.is_integer() && divisor != 0, Reason::kTemplateType);
  const int64_t remainder = divisor == -1 ? 0 : value.integer() % divisor;
  return remainder == rest || remainder == rest - divisor;
}

Result<Value> IsEven(Interpreter& in, const Value& value, const Arguments& arguments) {
  RL_RETURN_IF_ERROR(BindNone(arguments));
  RL_ASSIGN_OR_RETURN(const bool even, Divides(in, value, 2, 0));
  return Value::Bool(even);
}

Result<Value> IsOdd(Interpreter& in, const Value& value, const Arguments& arguments) {
  RL_RETURN_IF_ERROR(BindNone(arguments));
  RL_ASSIGN_OR_RETURN(const bool odd, Divides(in, value, 2, 1));
  return Value::Bool(odd);
}

Result<Value> IsDivisibleBy(Interpreter& in, const Value& value, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<1>(arguments, {"num"}, 1));
  RL_CHECK(bound[0].is_integer(), Reason::kTemplateType);
  RL_ASSIGN_OR_RETURN(const bool divides, Divides(in, value, bound[0].integer(), 0));
  return Value::Bool(divides);
}

Result<Value> IsIn(Interpreter& in, const Value& value, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<1>(arguments, {"seq"}, 1));
  RL_ASSIGN_OR_RETURN(const bool contains, in.Contains(bound[0], value));
  return Value::Bool(contains);
}

Result<Value> IsSameAs(Interpreter&, const Value& value, const Arguments& arguments) {
  RL_ASSIGN_OR_RETURN(const auto bound, Bind<1>(arguments, {"other"}, 1));
  return Value::Bool(value.kind() == bound[0].kind() && Equal(value, bound[0]));
}

using Comparison = Expression::Comparison;

template <Comparison kComparison>
Result<Value> Compares(Interpreter& in, const Value& value, const Arguments& arguments) {
  RL_CHECK(arguments.positional.size() == 1 && arguments.named.empty(), Reason::kTemplateType);
  RL_ASSIGN_OR_RETURN(const bool holds, in.Compares(kComparison, value, arguments.positional[0]));
  return Value::Bool(holds);
}

Result<Value> IsFilter(Interpreter&, const Value& value, const Arguments& arguments) {
  RL_RETURN_IF_ERROR(BindNone(arguments));
  return Value::Bool(value.is_string() && FindFilter(value.string()) != nullptr);
}

Result<Value> IsTest(Interpreter&, const Value& value, const Arguments& arguments) {
  RL_RETURN_IF_ERROR(BindNone(arguments));
  return Value::Bool(value.is_string() && FindTest(value.string()) != nullptr);
}

constexpr Builtin kTests[] = {
    {"!=", Compares<Comparison::kNe>},
    {"<", Compares<Comparison::kLt>},
    {"<=", Compares<Comparison::kLe>},
    {"==", Compares<Comparison::kEq>},
    {">", Compares<Comparison::kGt>},
    {">=", Compares<Comparison::kGe>},
    {"boolean", Test<IsBoolean>},
    {"callable", Test<IsCallable>},
    {"defined", Test<IsDefined>},
    {"divisibleby", IsDivisibleBy},
    {"eq", Compares<Comparison::kEq>},
    {"equalto", Compares<Comparison::kEq>},
    {"escaped", Test<IsEscaped>},
    {"even", IsEven},
    {"false", Test<IsFalse>},
    {"filter", IsFilter},
    {"float", Test<IsFloat>},
    {"ge", Compares<Comparison::kGe>},
    {"greaterthan", Compares<Comparison::kGt>},
    {"gt", Compares<Comparison::kGt>},
    {"in", IsIn},
    {"integer", Test<IsInteger>},
    {"iterable", Test<IsIterable>},
    {"le", Compares<Comparison::kLe>},
    {"lessthan", Compares<Comparison::kLt>},
    {"lower", IsLower},
    {"lt", Compares<Comparison::kLt>},
    {"mapping", Test<IsMapping>},
    {"ne", Compares<Comparison::kNe>},
    {"none", Test<IsNone>},
    {"number", Test<IsNumber>},
    {"odd", IsOdd},
    {"sameas", IsSameAs},
    {"sequence", Test<IsSequence>},
    {"string", Test<IsString>},
    {"test", IsTest},
    {"true", Test<IsTrue>},
    {"undefined", Test<IsUndefined>},
    {"upper", IsUpper},
};
static_assert(SortedUnique(kTests));

}  // namespace

const Builtin* FindTest(std::string_view name) { return FindBuiltin(kTests, name); }

}  // namespace rushlight::llm
