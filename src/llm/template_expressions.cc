// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Expressions.

#include <algorithm>
#include <cmath>

#include "src/llm/template_interpreter.h"
#include "src/llm/template_text.h"
#include "src/tokenizers/utf8.h"

namespace rushlight::llm {
namespace {

// What can be a key, as far as kinds tell.
bool IsHashable(const Value& value) {
  switch (value.kind()) {
    case Kind::kList:
    case Kind::kDict:
    case Kind::kView:
      return false;
    case Kind::kTuple:
      return std::all_of(value.list().begin(), value.list().end(), &IsHashable);
    default:
      return true;
  }
}

// Methods that Jinja's sandbox hides, since they would change a value.
bool IsHidden(std::string_view method) {
  constexpr std::string_view kHidden[] = {"append",  "clear",  "extend",     "insert", "pop",
                                          "popitem", "remove", "setdefault", "sort",   "update"};
  return std::find(std::begin(kHidden), std::end(kHidden), method) != std::end(kHidden);
}

// Towards minus infinity, as Python divides.
template <class T>
T FloorMod(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    if (b == -1) return 0;  // the division could overflow
    const T remainder = a % b;
    return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
  } else {
    const T remainder = std::fmod(a, b);
    return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
  }
}

}  // namespace

Result<Value> Interpreter::Evaluate(const Expression& e) {
  const DepthGuard guard(&depth_);
  line_ = e.line;
  RL_CHECK(depth_ <= kMaxDepth, Reason::kTemplateLimit, line_);
  RL_RETURN_IF_ERROR(Spend(1));
  return EvaluateNode(e);
}

Result<Value> Interpreter::EvaluateNode(const Expression& e) {
  using EKind = Expression::Kind;
  switch (e.kind) {
    case EKind::kConstant:
      return Value(e.constant);
    case EKind::kName:
      return Lookup(e.name);
    case EKind::kNamespaceAttribute:
      return Fail(Reason::kBug);  // only a target
    case EKind::kList:
    case EKind::kTuple: {
      RL_ASSIGN_OR_RETURN(List items, EvaluateAll(e.operands));
      return NewList(std::move(items), e.kind == EKind::kList ? Kind::kList : Kind::kTuple);
    }
    case EKind::kDict: {
      RL_ASSIGN_OR_RETURN(const List items, EvaluateAll(e.operands));
      Dict dict;
      for (size_t i = 0; i < items.size(); i += 2) {
        RL_CHECK(IsHashable(items[i]), Reason::kTemplateType, line_);
        RL_RETURN_IF_ERROR(Spend(items[i].is_string() ? 1 : dict.items.size() / 16));
        dict.Set(items[i], items[i + 1]);
      }
      return NewDict(std::move(dict));
    }
    case EKind::kConcat: {
      RL_ASSIGN_OR_RETURN(const List items, EvaluateAll(e.operands));
      std::string text;
      for (const Value& item : items) {
        RL_ASSIGN_OR_RETURN(const std::string part, Text(item));
        text.append(part);
      }
      return NewString(std::move(text));
    }
    case EKind::kAnd:
    case EKind::kOr: {
      RL_ASSIGN_OR_RETURN(Value left, Evaluate(*e.operands[0]));
      if (left.Truth() == (e.kind == EKind::kOr)) return left;
      return Evaluate(*e.operands[1]);
    }
    case EKind::kCondition: {
      RL_ASSIGN_OR_RETURN(const Value test, Evaluate(*e.operands[1]));
      if (test.Truth()) return Evaluate(*e.operands[0]);
      if (!e.operands[2]) return Value();
      return Evaluate(*e.operands[2]);
    }
    case EKind::kCompare:
      return EvaluateCompare(e);
    case EKind::kAttribute: {
      RL_ASSIGN_OR_RETURN(const Value of, Evaluate(*e.operands[0]));
      return Attribute(of, e.text);
    }
    case EKind::kItem: {
      RL_ASSIGN_OR_RETURN(const Value of, Evaluate(*e.operands[0]));
      RL_ASSIGN_OR_RETURN(const Value key, Evaluate(*e.operands[1]));
      return Item(of, key);
    }
    case EKind::kSlice:
      return EvaluateSlice(e);
    case EKind::kCall:
      return EvaluateCall(e, nullptr);
    case EKind::kFilter:
    case EKind::kTest:
      return EvaluateFilter(e);
    default:
      return EvaluateOperation(e);
  }
}

Result<List> Interpreter::EvaluateAll(const std::vector<std::unique_ptr<Expression>>& expressions) {
  List values;
  for (const auto& expression : expressions) {
    RL_ASSIGN_OR_RETURN(Value value, Evaluate(*expression));
    values.push_back(std::move(value));
  }
  return values;
}

Result<Value> Interpreter::EvaluateOperation(const Expression& e) {
  using EKind = Expression::Kind;
  RL_ASSIGN_OR_RETURN(const Value a, Evaluate(*e.operands[0]));
  if (e.kind == EKind::kNot) return Value::Bool(!a.Truth());
  Value b;
  if (e.operands.size() == 2) {
    RL_ASSIGN_OR_RETURN(b, Evaluate(*e.operands[1]));
    line_ = e.line;
    RL_RETURN_IF_ERROR(CheckDefined(b));
  }
  RL_RETURN_IF_ERROR(CheckDefined(a));
  if (e.kind == EKind::kAdd) return Add(a, b);
  if (e.kind == EKind::kModulo && a.is_string()) return Format(a.string(), b);
  if (e.kind == EKind::kMultiply && (a.is_integer() != b.is_integer())) {
    const Value& unit = a.is_integer() ? b : a;
    const int64_t count = std::max<int64_t>(0, a.is_integer() ? a.integer() : b.integer());
    if (unit.is_string() || unit.is(Kind::kList) || unit.is(Kind::kTuple)) {
      return Repeat(unit, static_cast<size_t>(count));
    }
  }
  RL_CHECK(a.is_number() && (e.operands.size() == 1 || b.is_number()), Reason::kTemplateType,
           line_);
  if (e.operands.size() == 1) {
    if (e.kind == EKind::kPositive) return a.is_integer() ? Value::Int(a.integer()) : Value(a);
    if (!a.is_integer()) return Value::Float(-a.number());
    return IntegerOperation(EKind::kSubtract, 0, a.integer());
  }
  if (a.is_integer() && b.is_integer() && e.kind != EKind::kDivide) {
    return IntegerOperation(e.kind, a.integer(), b.integer());
  }
  return FloatOperation(e.kind, a.number(), b.number());
}

Result<Value> Interpreter::IntegerOperation(Expression::Kind kind, int64_t a, int64_t b) {
  using EKind = Expression::Kind;
  int64_t result = 0;
  bool overflows = false;
  switch (kind) {
    case EKind::kAdd:
      overflows = __builtin_add_overflow(a, b, &result);
      break;
    case EKind::kSubtract:
      overflows = __builtin_sub_overflow(a, b, &result);
      break;
    case EKind::kMultiply:
      overflows = __builtin_mul_overflow(a, b, &result);
      break;
    case EKind::kFloorDivide:
      RL_CHECK(b != 0, Reason::kTemplateType, line_);
      overflows = a == INT64_MIN && b == -1;
      if (!overflows) result = (a - FloorMod(a, b)) / b;
      break;
    case EKind::kModulo:
      RL_CHECK(b != 0, Reason::kTemplateType, line_);
      result = FloorMod(a, b);
      break;
    default:  // kPower
      if (b < 0) return FloatOperation(kind, static_cast<double>(a), static_cast<double>(b));
      if (a >= -1 && a <= 1) b = std::min<int64_t>(b, 2 - b % 2);  // only this much matters
      result = 1;
      for (; b > 0 && !overflows; --b) overflows = __builtin_mul_overflow(result, a, &result);
  }
  RL_CHECK(!overflows, Reason::kTemplateLimit, line_);  // Python's integers have no end
  return Value::Int(result);
}

Result<Value> Interpreter::FloatOperation(Expression::Kind kind, double a, double b) {
  using EKind = Expression::Kind;
  const bool divides =
      kind == EKind::kDivide || kind == EKind::kFloorDivide || kind == EKind::kModulo;
  RL_CHECK(!divides || b != 0, Reason::kTemplateType, line_);
  switch (kind) {
    case EKind::kAdd:
      return Value::Float(a + b);
    case EKind::kSubtract:
      return Value::Float(a - b);
    case EKind::kMultiply:
      return Value::Float(a * b);
    case EKind::kDivide:
      return Value::Float(a / b);
    case EKind::kFloorDivide: {
      const double quotient = (a - FloorMod(a, b)) / b;  // an integer, but for rounding
      return Value::Float(std::round(quotient));
    }
    case EKind::kModulo:
      return Value::Float(FloorMod(a, b));
    default: {  // kPower
      const double power = std::pow(a, b);
      RL_CHECK(std::isfinite(power) || !std::isfinite(a) || !std::isfinite(b),
               Reason::kTemplateType, line_);
      return Value::Float(power);
    }
  }
}

Result<Value> Interpreter::Add(const Value& a, const Value& b) {
  if (a.is_string() && b.is_string()) {
    std::string text;
    text.reserve(a.string().size() + b.string().size());
    return NewString(text.append(a.string()).append(b.string()));
  }
  if (a.kind() == b.kind() && (a.is(Kind::kList) || a.is(Kind::kTuple))) {
    List items = a.list();
    items.insert(items.end(), b.list().begin(), b.list().end());
    return NewList(std::move(items), a.kind());
  }
  RL_RETURN_IF_ERROR(CheckDefined(a));
  RL_RETURN_IF_ERROR(CheckDefined(b));
  RL_CHECK(a.is_number() && b.is_number(), Reason::kTemplateType, line_);
  if (a.is_integer() && b.is_integer()) {
    return IntegerOperation(Expression::Kind::kAdd, a.integer(), b.integer());
  }
  return Value::Float(a.number() + b.number());
}

Result<Value> Interpreter::Repeat(const Value& unit, size_t count) {
  const size_t size = unit.Weight();
  RL_CHECK(size == 0 || count <= kMaxOutputBytes / size, Reason::kTemplateLimit, line_);
  if (unit.is_string()) {
    std::string text;
    for (size_t i = 0; i < count && size > 0; ++i) text.append(unit.string());
    return NewString(std::move(text));
  }
  RL_RETURN_IF_ERROR(Spend(size * count));
  List items;
  for (size_t i = 0; i < count && size > 0; ++i) {
    items.insert(items.end(), unit.list().begin(), unit.list().end());
  }
  return NewList(std::move(items), unit.kind());
}

Result<Value> Interpreter::EvaluateCompare(const Expression& e) {
  RL_ASSIGN_OR_RETURN(Value left, Evaluate(*e.operands[0]));
  for (size_t i = 0; i < e.comparisons.size(); ++i) {
    RL_ASSIGN_OR_RETURN(Value right, Evaluate(*e.operands[i + 1]));
    line_ = e.line;
    RL_ASSIGN_OR_RETURN(const bool holds, Compares(e.comparisons[i], left, right));
    if (!holds) return Value::Bool(false);
    left = std::move(right);
  }
  return Value::Bool(true);
}

Result<bool> Interpreter::Compares(Expression::Comparison comparison, const Value& a,
                                   const Value& b) {
  using Comparison = Expression::Comparison;
  RL_RETURN_IF_ERROR(Spend(std::min(a.Weight(), b.Weight()) / 16));
  switch (comparison) {
    case Comparison::kEq:
      return Equal(a, b);
    case Comparison::kNe:
      return !Equal(a, b);
    case Comparison::kIn:
      return Contains(b, a);
    case Comparison::kNotIn: {
      RL_ASSIGN_OR_RETURN(const bool contains, Contains(b, a));
      return !contains;
    }
    default:
      break;
  }
  RL_RETURN_IF_ERROR(CheckDefined(a));
  RL_RETURN_IF_ERROR(CheckDefined(b));
  const Result<int> order = Compare(a, b);
  RL_CHECK(order.ok(), Reason::kTemplateType, line_);
  const bool is_nan = (a.is(Kind::kFloat) && std::isnan(a.number())) ||
                      (b.is(Kind::kFloat) && std::isnan(b.number()));
  switch (comparison) {
    case Comparison::kLt:
      return !is_nan && *order < 0;
    case Comparison::kLe:
      return !is_nan && *order <= 0;
    case Comparison::kGt:
      return !is_nan && *order > 0;
    default:
      return !is_nan && *order >= 0;
  }
}

Result<bool> Interpreter::Contains(const Value& container, const Value& item) {
  RL_RETURN_IF_ERROR(Spend(container.Weight() / 16));
  switch (container.kind()) {
    case Kind::kString:
      RL_RETURN_IF_ERROR(CheckDefined(item));
      RL_CHECK(item.is_string(), Reason::kTemplateType, line_);
      RL_RETURN_IF_ERROR(SpendSearch(container.string(), item.string()));
      return container.string().find(item.string()) != std::string::npos;
    case Kind::kDict:
      RL_CHECK(IsHashable(item), Reason::kTemplateType, line_);
      return container.dict().Find(item) != nullptr;
    default: {
      RL_ASSIGN_OR_RETURN(const List items, Items(container));
      for (const Value& other : items) {
        RL_RETURN_IF_ERROR(Spend(1));
        if (Equal(other, item)) return true;
      }
      return false;
    }
  }
}

Error Interpreter::SpendSearch(std::string_view text, std::string_view pattern) {
  const size_t rounds = 1 + pattern.size() / 64;
  RL_CHECK(text.size() / 16 <= kMaxWork / rounds, Reason::kTemplateLimit, line_);
  return Spend(text.size() / 16 * rounds);
}

// x.name: a method or the like comes first, then an item of that name.
Result<Value> Interpreter::Attribute(const Value& of, const std::string& name) {
  const auto method = [&](const Builtin* builtin) { return NewBoundMethod(builtin, of); };
  RL_RETURN_IF_ERROR(CheckDefined(of));
  const Builtin* builtin = nullptr;
  switch (of.kind()) {
    case Kind::kString:
      builtin = FindStringMethod(name);
      break;
    case Kind::kList:
    case Kind::kTuple:
      builtin = FindListMethod(name);
      break;
    case Kind::kDict:
      builtin = FindDictMethod(name);
      if (builtin == nullptr && !IsHidden(name)) {
        const Value* item = of.dict().Find(std::string_view(name));
        return item == nullptr ? Value() : Value(*item);
      }
      break;
    case Kind::kNamespace: {
      const Value* attribute = of.ns().attributes.Find(std::string_view(name));
      return attribute == nullptr ? Value() : Value(*attribute);
    }
    case Kind::kLoop:
      return LoopAttribute(of.loop(), name);
    default:
      break;
  }
  if (builtin == nullptr) return Value();
  return method(builtin);
}

// x[key]: an item comes first, then an attribute.
Result<Value> Interpreter::Item(const Value& of, const Value& key) {
  RL_RETURN_IF_ERROR(CheckDefined(of));
  if (of.is(Kind::kDict) && IsHashable(key)) {
    if (!key.is_string()) RL_RETURN_IF_ERROR(Spend(of.Weight() / 16));
    if (const Value* item = of.dict().Find(key)) return Value(*item);
  }
  const bool is_sequence =
      of.is_string() || of.is(Kind::kList) || of.is(Kind::kTuple) || of.is(Kind::kRange);
  if (is_sequence && key.is_integer()) {
    if (of.is_string()) RL_RETURN_IF_ERROR(Spend(of.Weight() / 16));
    const auto size = static_cast<int64_t>(of.is_string() ? Length(of.string()) : of.Weight());
    const int64_t i = key.integer() < 0 ? key.integer() + size : key.integer();
    if (i < 0 || i >= size) return Value();
    if (of.is(Kind::kRange)) return Value::Int(of.range().at(i));
    if (!of.is_string()) return Value(of.list()[static_cast<size_t>(i)]);
    const std::string_view rest =
        std::string_view(of.string()).substr(OffsetOf(of.string(), static_cast<size_t>(i)));
    return NewString(std::string(rest.substr(0, OffsetOf(rest, 1))));
  }
  if (!key.is_string()) return Value();
  if (of.is(Kind::kDict) && FindDictMethod(key.string()) == nullptr) return Value();
  return Attribute(of, key.string());
}

Result<Value> Interpreter::LoopAttribute(Loop& loop, const std::string& name) {
  const auto length = [&]() -> Result<int64_t> {
    while (true) {
      RL_ASSIGN_OR_RETURN(const bool fetched, Fetch(&loop));
      if (!fetched) break;
    }
    return loop.index0 + 1 + static_cast<int64_t>(loop.ahead.size() - loop.next_ahead);
  };
  if (name == "index0") return Value::Int(loop.index0);
  if (name == "index") return Value::Int(loop.index0 + 1);
  if (name == "first") return Value::Bool(loop.index0 == 0);
  if (name == "depth") return Value::Int(1);
  if (name == "depth0") return Value::Int(0);
  if (name == "previtem") return loop.index0 > 0 ? Value(loop.previous) : Value();
  if (name == "last" || name == "nextitem") {
    RL_ASSIGN_OR_RETURN(const bool has_next, HasNext(&loop));
    if (name == "last") return Value::Bool(!has_next);
    return has_next ? Value(loop.ahead[loop.next_ahead]) : Value();
  }
  if (name == "length" || name == "revindex" || name == "revindex0") {
    RL_ASSIGN_OR_RETURN(const int64_t size, length());
    if (name == "length") return Value::Int(size);
    return Value::Int(size - loop.index0 - (name == "revindex0" ? 1 : 0));
  }
  const Builtin* method = FindLoopMethod(name);
  if (method == nullptr) return Value();
  return NewBoundMethod(method, Value(&loop));
}

Result<Value> Interpreter::EvaluateSlice(const Expression& e) {
  RL_ASSIGN_OR_RETURN(const Value of, Evaluate(*e.operands[0]));
  std::optional<int64_t> parts[3];
  for (size_t i = 0; i < 3; ++i) {
    if (!e.operands[i + 1]) continue;
    RL_ASSIGN_OR_RETURN(const Value part, Evaluate(*e.operands[i + 1]));
    RL_CHECK(part.is_integer() || part.is_none(), Reason::kTemplateType, e.line);
    if (part.is_integer()) parts[i] = part.integer();
  }
  line_ = e.line;
  RL_RETURN_IF_ERROR(CheckDefined(of));
  const int64_t step = parts[2].value_or(1);
  const bool is_list = of.is(Kind::kList) || of.is(Kind::kTuple);
  RL_CHECK((of.is_string() || is_list) && step != 0, Reason::kTemplateType, line_);
  RL_RETURN_IF_ERROR(Spend(of.Weight() / 16));

  // The positions, as Python counts them: from the end if negative, and never outside.
  const auto size = static_cast<int64_t>(of.is_string() ? Length(of.string()) : of.Weight());
  const auto clamp = [&](std::optional<int64_t> position, int64_t otherwise) {
    if (!position) return otherwise;
    const int64_t p = *position < 0 ? *position + size : *position;
    return step > 0 ? std::clamp<int64_t>(p, 0, size) : std::clamp<int64_t>(p, -1, size - 1);
  };
  const Range range{clamp(parts[0], step > 0 ? 0 : size - 1), clamp(parts[1], step > 0 ? size : -1),
                    step};
  if (is_list) {
    List items;
    for (int64_t i = 0; i < range.size(); ++i) {
      items.push_back(of.list()[static_cast<size_t>(range.at(i))]);
    }
    return NewList(std::move(items), of.kind());
  }
  const std::string_view text = of.string();
  if (step == 1) {
    const size_t begin = OffsetOf(text, static_cast<size_t>(range.start));
    const size_t length = OffsetOf(text.substr(begin), static_cast<size_t>(range.size()));
    return NewString(std::string(text.substr(begin, length)));
  }
  std::vector<uint32_t> characters;
  for (size_t pos = 0; pos < text.size();) {
    characters.push_back(tokenizers::NextCodePoint(text, &pos));
  }
  std::string out;
  for (int64_t i = 0; i < range.size(); ++i) {
    tokenizers::AppendUtf8(characters[static_cast<size_t>(range.at(i))], &out);
  }
  return NewString(std::move(out));
}

Result<Arguments> Interpreter::EvaluateArguments(const Expression& e) {
  Arguments arguments;
  RL_ASSIGN_OR_RETURN(arguments.positional, EvaluateAll(e.arguments));
  for (const auto& [name, expression] : e.named_arguments) {
    RL_ASSIGN_OR_RETURN(Value value, Evaluate(*expression));
    arguments.named.emplace_back(name, std::move(value));
  }
  if (e.more_arguments) {
    RL_ASSIGN_OR_RETURN(const Value more, Evaluate(*e.more_arguments));
    RL_ASSIGN_OR_RETURN(const List items, Items(more));
    arguments.positional.insert(arguments.positional.end(), items.begin(), items.end());
  }
  if (e.more_named_arguments) {
    RL_ASSIGN_OR_RETURN(const Value more, Evaluate(*e.more_named_arguments));
    RL_CHECK(more.is(Kind::kDict), Reason::kTemplateType, e.line);
    for (const auto& [key, value] : more.dict().items) {
      RL_CHECK(key.is_string(), Reason::kTemplateType, e.line);
      arguments.named.emplace_back(key.string(), value);
    }
  }
  line_ = e.line;
  return arguments;
}

Result<Value> Interpreter::EvaluateCall(const Expression& e, const Value* caller) {
  RL_ASSIGN_OR_RETURN(const Value function, Evaluate(*e.operands[0]));
  RL_ASSIGN_OR_RETURN(Arguments arguments, EvaluateArguments(e));
  if (caller != nullptr) arguments.named.emplace_back("caller", *caller);
  RL_RETURN_IF_ERROR(CheckDefined(function));
  RL_CHECK(function.is(Kind::kCallable), Reason::kTemplateType, line_);
  const Callable& callable = function.callable();
  if (callable.macro != nullptr) return CallMacro(callable, arguments);
  return Apply(callable.builtin, callable.subject, arguments);
}

Result<Value> Interpreter::EvaluateFilter(const Expression& e) {
  Value subject = filter_block_;
  if (e.operands[0]) {
    RL_ASSIGN_OR_RETURN(subject, Evaluate(*e.operands[0]));
  }
  RL_ASSIGN_OR_RETURN(const Arguments arguments, EvaluateArguments(e));
  return Apply(e.builtin, subject, arguments);
}

// Builtins fail without a line.
Result<Value> Interpreter::Apply(const Builtin* builtin, const Value& subject,
                                 const Arguments& arguments) {
  RL_CHECK(builtin != nullptr, Reason::kTemplateName, line_);
  RL_RETURN_IF_ERROR(Spend(1 + subject.Weight() / 16));
  Result<Value> result = builtin->run(*this, subject, arguments);
  if (!result.ok() && result.error().index == Error::kNone) return Fail(result.error().reason);
  return result;
}

Result<std::string> Interpreter::Text(const Value& value) {
  std::string text;
  const Error error = AppendText(value, kMaxOutputBytes, &text);
  RL_CHECK(error.ok(), error.reason, line_);
  return text;
}

Result<List> Interpreter::Items(const Value& value) {
  List items;
  switch (value.kind()) {
    case Kind::kUndefined:
      return items;
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kView:
      items = value.list();
      break;
    case Kind::kDict:
      for (const auto& item : value.dict().items) items.push_back(item.first);
      break;
    case Kind::kIterator: {
      Iterator& iterator = value.iterator();
      items.assign(iterator.items.begin() + static_cast<std::ptrdiff_t>(iterator.next),
                   iterator.items.end());
      iterator.next = iterator.items.size();
      break;
    }
    case Kind::kRange:
      for (int64_t i = 0; i < value.range().size(); ++i) {
        items.push_back(Value::Int(value.range().at(i)));
      }
      break;
    case Kind::kString: {
      const std::string& text = value.string();
      RL_RETURN_IF_ERROR(Spend(text.size()));
      for (size_t pos = 0; pos < text.size();) {
        const size_t start = pos;
        tokenizers::NextCodePoint(text, &pos);
        items.push_back(Value::String(text.substr(start, pos - start)));
      }
      break;
    }
    default:
      return Fail(Reason::kTemplateType);
  }
  RL_RETURN_IF_ERROR(Spend(items.size() / 16));
  return items;
}

}  // namespace rushlight::llm
