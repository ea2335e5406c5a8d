// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/llm/template_expression_parser.h"

#include <algorithm>
#include <utility>

#include "src/llm/template_builtins.h"
#include "src/llm/template_parser.h"  // kMaxExpressionHeight

namespace rushlight::llm {
namespace {

constexpr int kMaxDepth = 64;  // of parentheses and the like, while parsing

}  // namespace

bool ExpressionParser::SkipName(std::string_view name) {
  if (!IsName(name)) return false;
  Next();
  return true;
}

bool ExpressionParser::SkipOperator(std::string_view op) {
  if (!IsOperator(op)) return false;
  Next();
  return true;
}

Error ExpressionParser::Expect(Type type) {
  RL_CHECK(current().type == type, Reason::kTemplateSyntax, current().line);
  Next();
  return kOk;
}

Result<std::string> ExpressionParser::ExpectName() {
  RL_CHECK(current().type == Type::kName, Reason::kTemplateSyntax, current().line);
  std::string name = current().text;
  Next();
  return name;
}

NameId ExpressionParser::NameOf(const std::string& name) {
  const auto [entry, is_new] = name_ids_.emplace(name, static_cast<NameId>(names_.size()));
  if (is_new) names_.push_back(name);
  return entry->second;
}

Error ExpressionParser::CheckBuiltins() const {
  RL_CHECK(unknown_.empty(), Reason::kTemplateName, unknown_.empty() ? 0 : unknown_[0]);
  return kOk;
}

ExpressionParser::Ptr ExpressionParser::New(Kind kind) const {
  auto node = std::make_unique<Expression>();
  node->kind = kind;
  node->line = current().line;
  return node;
}

Result<ExpressionParser::Ptr> ExpressionParser::Finish(Ptr node) const {
  const auto include = [&](const Ptr& child) {
    if (child) node->height = std::max(node->height, child->height + 1);
  };
  for (const Ptr& child : node->operands) include(child);
  for (const Ptr& child : node->arguments) include(child);
  for (const auto& [name, child] : node->named_arguments) include(child);
  include(node->more_arguments);
  include(node->more_named_arguments);
  RL_CHECK(node->height <= kMaxExpressionHeight, Reason::kTemplateLimit, node->line);
  return node;
}

Result<ExpressionParser::Ptr> ExpressionParser::Finish(Kind kind, Ptr left, Ptr right) const {
  Ptr node = New(kind);
  node->operands.push_back(std::move(left));
  node->operands.push_back(std::move(right));
  return Finish(std::move(node));
}

// a if b else c
Result<ExpressionParser::Ptr> ExpressionParser::ParseCondition() {
  RL_CHECK(depth_ < kMaxDepth, Reason::kTemplateLimit, current().line);
  ++depth_;
  const size_t unknown_before = unknown_.size();
  RL_ASSIGN_OR_RETURN(Ptr value, ParseOr());
  while (SkipName("if")) {
    Ptr node = New(Kind::kCondition);
    RL_ASSIGN_OR_RETURN(Ptr test, ParseOr());
    Ptr otherwise;
    if (SkipName("else")) {
      RL_ASSIGN_OR_RETURN(otherwise, ParseCondition());
    }
    node->operands.push_back(std::move(value));
    node->operands.push_back(std::move(test));
    node->operands.push_back(std::move(otherwise));
    RL_ASSIGN_OR_RETURN(value, Finish(std::move(node)));
    unknown_.resize(unknown_before);
  }
  --depth_;
  return value;
}

Result<ExpressionParser::Ptr> ExpressionParser::ParseOr() {
  RL_ASSIGN_OR_RETURN(Ptr left, ParseAnd());
  while (SkipName("or")) {
    RL_ASSIGN_OR_RETURN(Ptr right, ParseAnd());
    RL_ASSIGN_OR_RETURN(left, Finish(Kind::kOr, std::move(left), std::move(right)));
  }
  return left;
}

Result<ExpressionParser::Ptr> ExpressionParser::ParseAnd() {
  RL_ASSIGN_OR_RETURN(Ptr left, ParseNot());
  while (SkipName("and")) {
    RL_ASSIGN_OR_RETURN(Ptr right, ParseNot());
    RL_ASSIGN_OR_RETURN(left, Finish(Kind::kAnd, std::move(left), std::move(right)));
  }
  return left;
}

Result<ExpressionParser::Ptr> ExpressionParser::ParseNot() {
  int count = 0;
  while (SkipName("not")) ++count;
  RL_ASSIGN_OR_RETURN(Ptr node, ParseCompare());
  for (; count > 0; --count) {
    Ptr negated = New(Kind::kNot);
    negated->operands.push_back(std::move(node));
    RL_ASSIGN_OR_RETURN(node, Finish(std::move(negated)));
  }
  return node;
}

// a < b <= c
Result<ExpressionParser::Ptr> ExpressionParser::ParseCompare() {
  using Comparison = Expression::Comparison;
  constexpr std::pair<std::string_view, Comparison> kComparisons[] = {
      {"==", Comparison::kEq}, {"!=", Comparison::kNe}, {"<", Comparison::kLt},
      {"<=", Comparison::kLe}, {">", Comparison::kGt},  {">=", Comparison::kGe}};
  Ptr node = New(Kind::kCompare);
  RL_ASSIGN_OR_RETURN(Ptr first, ParseSum());
  node->operands.push_back(std::move(first));
  while (true) {
    const auto* found =
        std::find_if(std::begin(kComparisons), std::end(kComparisons),
                     [&](const auto& comparison) { return IsOperator(comparison.first); });
    if (found != std::end(kComparisons)) {
      Next();
      node->comparisons.push_back(found->second);
    } else if (SkipName("in")) {
      node->comparisons.push_back(Comparison::kIn);
    } else if (IsName("not") && position_ + 1 < tokens_.size() &&
               tokens_[position_ + 1].type == Type::kName && tokens_[position_ + 1].text == "in") {
      Next();
      Next();
      node->comparisons.push_back(Comparison::kNotIn);
    } else {
      break;
    }
    RL_ASSIGN_OR_RETURN(Ptr operand, ParseSum());
    node->operands.push_back(std::move(operand));
  }
  if (node->comparisons.empty()) return std::move(node->operands[0]);
  return Finish(std::move(node));
}

Result<ExpressionParser::Ptr> ExpressionParser::ParseSum() {
  RL_ASSIGN_OR_RETURN(Ptr left, ParseConcat());
  while (IsOperator("+") || IsOperator("-")) {
    const Kind kind = IsOperator("+") ? Kind::kAdd : Kind::kSubtract;
    Next();
    RL_ASSIGN_OR_RETURN(Ptr right, ParseConcat());
    RL_ASSIGN_OR_RETURN(left, Finish(kind, std::move(left), std::move(right)));
  }
  return left;
}

Result<ExpressionParser::Ptr> ExpressionParser::ParseConcat() {
  Ptr node = New(Kind::kConcat);
  do {
    RL_ASSIGN_OR_RETURN(Ptr operand, ParseProduct());
    node->operands.push_back(std::move(operand));
  } while (SkipOperator("~"));
  if (node->operands.size() == 1) return std::move(node->operands[0]);
  return Finish(std::move(node));
}

Result<ExpressionParser::Ptr> ExpressionParser::ParseProduct() {
  RL_ASSIGN_OR_RETURN(Ptr left, ParsePower());
  while (true) {
    Kind kind;
    if (SkipOperator("*")) {
      kind = Kind::kMultiply;
    } else if (SkipOperator("/")) {
      kind = Kind::kDivide;
    } else if (SkipOperator("//")) {
      kind = Kind::kFloorDivide;
    } else if (SkipOperator("%")) {
      kind = Kind::kModulo;
    } else {
      return left;
    }
    RL_ASSIGN_OR_RETURN(Ptr right, ParsePower());
    RL_ASSIGN_OR_RETURN(left, Finish(kind, std::move(left), std::move(right)));
  }
}

Result<ExpressionParser::Ptr> ExpressionParser::ParsePower() {
  RL_ASSIGN_OR_RETURN(Ptr left, ParseUnary());
  while (SkipOperator("**")) {
    RL_ASSIGN_OR_RETURN(Ptr right, ParseUnary());
    RL_ASSIGN_OR_RETURN(left, Finish(Kind::kPower, std::move(left), std::move(right)));
  }
  return left;
}

Result<ExpressionParser::Ptr> ExpressionParser::ParseUnary(bool with_filters) {
  Ptr node;
  if (IsOperator("-") || IsOperator("+")) {
    RL_CHECK(depth_ < kMaxDepth, Reason::kTemplateLimit, current().line);
    ++depth_;
    Ptr sign = New(IsOperator("-") ? Kind::kNegative : Kind::kPositive);
    Next();
    RL_ASSIGN_OR_RETURN(Ptr operand, ParseUnary(false));
    --depth_;
    sign->operands.push_back(std::move(operand));
    RL_ASSIGN_OR_RETURN(node, Finish(std::move(sign)));
  } else {
    RL_ASSIGN_OR_RETURN(node, ParsePrimary());
  }
  RL_ASSIGN_OR_RETURN(node, ParsePostfix(std::move(node)));
  if (!with_filters) return node;
  return ParseFiltersAndTests(std::move(node));
}

Result<ExpressionParser::Ptr> ExpressionParser::ParsePrimary(bool with_namespace) {
  Ptr node = New(Kind::kConstant);
  const TemplateToken& token = current();
  switch (token.type) {
    case Type::kName: {
      const std::string name = token.text;
      Next();
      if (name == "true" || name == "True" || name == "false" || name == "False") {
        node->constant = Value::Bool(name == "true" || name == "True");
        return node;
      }
      if (name == "none" || name == "None") {
        node->constant = Value::None();
        return node;
      }
      node->name = NameOf(name);
      node->kind = Kind::kName;
      if (with_namespace && SkipOperator(".")) {
        node->kind = Kind::kNamespaceAttribute;
        RL_ASSIGN_OR_RETURN(node->text, ExpectName());
      }
      for (Function* function : functions_) {
        function->uses_caller |= name == "caller";
        function->uses_varargs |= name == "varargs";
        function->uses_kwargs |= name == "kwargs";
      }
      return node;
    }
    case Type::kString: {
      std::string text;
      for (; current().type == Type::kString; Next()) text.append(current().text);
      node->constant = Value::String(std::move(text));
      return node;
    }
    case Type::kInteger:
      node->constant = Value::Int(token.integer);
      Next();
      return node;
    case Type::kFloat:
      node->constant = Value::Float(token.number);
      Next();
      return node;
    default:
      break;
  }
  if (SkipOperator("(")) {
    RL_ASSIGN_OR_RETURN(Ptr tuple, ParseTuple(true, /*in_parentheses=*/true));
    RL_CHECK(SkipOperator(")"), Reason::kTemplateSyntax, current().line);
    return tuple;
  }
  if (IsOperator("[")) return ParseList();
  if (IsOperator("{")) return ParseDict();
  return Error(Reason::kTemplateSyntax, token.line);
}

bool ExpressionParser::AtTupleEnd(std::string_view end_name) const {
  return current().type == Type::kVariableEnd || current().type == Type::kBlockEnd ||
         IsOperator(")") || (!end_name.empty() && IsName(end_name));
}

Result<ExpressionParser::Ptr> ExpressionParser::ParseTuple(bool with_condition,
                                                           bool in_parentheses) {
  Ptr tuple = New(Kind::kTuple);
  bool has_comma = false;
  while (!AtTupleEnd({})) {
    RL_ASSIGN_OR_RETURN(Ptr item, with_condition ? ParseCondition() : ParseOr());
    tuple->operands.push_back(std::move(item));
    if (!SkipOperator(",")) break;
    has_comma = true;
  }
  if (!has_comma && !tuple->operands.empty()) return std::move(tuple->operands[0]);
  RL_CHECK(has_comma || in_parentheses, Reason::kTemplateSyntax, current().line);
  return Finish(std::move(tuple));
}

Result<ExpressionParser::Ptr> ExpressionParser::ParseTarget(bool with_namespace,
                                                            std::string_view end_name) {
  Ptr tuple = New(Kind::kTuple);
  bool has_comma = false;
  while (!AtTupleEnd(end_name)) {
    RL_ASSIGN_OR_RETURN(Ptr item, ParsePrimary(with_namespace));
    RL_RETURN_IF_ERROR(CheckTarget(*item));
    tuple->operands.push_back(std::move(item));
    if (!SkipOperator(",")) break;
    has_comma = true;
  }
  if (!has_comma && !tuple->operands.empty()) return std::move(tuple->operands[0]);
  RL_CHECK(has_comma, Reason::kTemplateSyntax, current().line);
  return Finish(std::move(tuple));
}

Error ExpressionParser::CheckTarget(const Expression& target) const {
  const bool is_tuple = target.kind == Kind::kTuple;
  const bool is_name = target.kind == Kind::kName && names_[target.name] != "loop";
  RL_CHECK(is_name || is_tuple || target.kind == Kind::kNamespaceAttribute, Reason::kTemplateSyntax,
           target.line);
  if (is_tuple) {
    for (const Ptr& item : target.operands) RL_RETURN_IF_ERROR(CheckTarget(*item));
  }
  return kOk;
}

Result<ExpressionParser::Ptr> ExpressionParser::ParseList() {
  Ptr list = New(Kind::kList);
  Next();
  while (!IsOperator("]")) {
    RL_ASSIGN_OR_RETURN(Ptr item, ParseExpression());
    list->operands.push_back(std::move(item));
    if (!SkipOperator(",")) break;
  }
  RL_CHECK(SkipOperator("]"), Reason::kTemplateSyntax, current().line);
  return Finish(std::move(list));
}

Result<ExpressionParser::Ptr> ExpressionParser::ParseDict() {
  Ptr dict = New(Kind::kDict);
  Next();
  while (!IsOperator("}")) {
    RL_ASSIGN_OR_RETURN(Ptr key, ParseExpression());
    RL_CHECK(SkipOperator(":"), Reason::kTemplateSyntax, current().line);
    RL_ASSIGN_OR_RETURN(Ptr value, ParseExpression());
    dict->operands.push_back(std::move(key));
    dict->operands.push_back(std::move(value));
    if (!SkipOperator(",")) break;
  }
  RL_CHECK(SkipOperator("}"), Reason::kTemplateSyntax, current().line);
  return Finish(std::move(dict));
}

Result<ExpressionParser::Ptr> ExpressionParser::ParsePostfix(Ptr node) {
  while (true) {
    if (IsOperator(".") || IsOperator("[")) {
      RL_ASSIGN_OR_RETURN(node, ParseSubscript(std::move(node)));
    } else if (IsOperator("(")) {
      Ptr call = New(Kind::kCall);
      call->operands.push_back(std::move(node));
      RL_RETURN_IF_ERROR(ParseArguments(call.get()));
      RL_ASSIGN_OR_RETURN(node, Finish(std::move(call)));
    } else {
      return node;
    }
  }
}

Result<ExpressionParser::Ptr> ExpressionParser::ParseFiltersAndTests(Ptr node) {
  while (true) {
    if (IsOperator("|")) {
      RL_ASSIGN_OR_RETURN(node, ParseFilters(std::move(node)));
    } else if (SkipName("is")) {
      RL_ASSIGN_OR_RETURN(node, ParseTest(std::move(node)));
    } else if (IsOperator("(")) {
      Ptr call = New(Kind::kCall);
      call->operands.push_back(std::move(node));
      RL_RETURN_IF_ERROR(ParseArguments(call.get()));
      RL_ASSIGN_OR_RETURN(node, Finish(std::move(call)));
    } else {
      return node;
    }
  }
}

Result<ExpressionParser::Ptr> ExpressionParser::ParseSubscript(Ptr operand) {
  if (SkipOperator(".")) {
    Ptr node = New(Kind::kAttribute);
    node->operands.push_back(std::move(operand));
    if (current().type == Type::kInteger) {  // x.0
      node->kind = Kind::kItem;
      Ptr index = New(Kind::kConstant);
      index->constant = Value::Int(current().integer);
      node->operands.push_back(std::move(index));
      Next();
    } else {
      RL_ASSIGN_OR_RETURN(node->text, ExpectName());
    }
    return Finish(std::move(node));
  }
  Next();  // [
  RL_ASSIGN_OR_RETURN(Ptr node, ParseSubscriptArgument(std::move(operand)));
  RL_CHECK(SkipOperator("]"), Reason::kTemplateSyntax, current().line);
  return Finish(std::move(node));
}

// An expression, or start:stop:step.
Result<ExpressionParser::Ptr> ExpressionParser::ParseSubscriptArgument(Ptr operand) {
  Ptr node = New(Kind::kItem);
  node->operands.push_back(std::move(operand));
  Ptr parts[3];
  for (int i = 0; i < 3; ++i) {
    if (!IsOperator(":") && !IsOperator("]")) {
      RL_ASSIGN_OR_RETURN(parts[i], ParseExpression());
    }
    if (!SkipOperator(":")) break;
    node->kind = Kind::kSlice;
  }
  if (node->kind == Kind::kSlice) {
    for (Ptr& part : parts) node->operands.push_back(std::move(part));
  } else {
    RL_CHECK(parts[0] != nullptr, Reason::kTemplateSyntax, current().line);
    node->operands.push_back(std::move(parts[0]));
  }
  return node;
}

Error ExpressionParser::ParseArguments(Expression* call) {
  const uint32_t line = current().line;
  RL_CHECK(SkipOperator("("), Reason::kTemplateSyntax, line);
  while (!IsOperator(")")) {
    if (SkipOperator("*")) {
      RL_CHECK(!call->more_arguments && !call->more_named_arguments, Reason::kTemplateSyntax, line);
      RL_ASSIGN_OR_RETURN(call->more_arguments, ParseExpression());
    } else if (SkipOperator("**")) {
      RL_CHECK(!call->more_named_arguments, Reason::kTemplateSyntax, line);
      RL_ASSIGN_OR_RETURN(call->more_named_arguments, ParseExpression());
    } else if (current().type == Type::kName && tokens_[position_ + 1].type == Type::kOperator &&
               tokens_[position_ + 1].text == "=") {
      RL_CHECK(!call->more_named_arguments, Reason::kTemplateSyntax, line);
      std::string name = current().text;
      for (const auto& argument : call->named_arguments) {
        RL_CHECK(argument.first != name, Reason::kTemplateSyntax, line);
      }
      Next();
      Next();
      RL_ASSIGN_OR_RETURN(Ptr value, ParseExpression());
      call->named_arguments.emplace_back(std::move(name), std::move(value));
    } else {
      RL_CHECK(
          call->named_arguments.empty() && !call->more_arguments && !call->more_named_arguments,
          Reason::kTemplateSyntax, line);
      RL_ASSIGN_OR_RETURN(Ptr value, ParseExpression());
      call->arguments.push_back(std::move(value));
    }
    if (!SkipOperator(",")) break;
  }
  RL_CHECK(SkipOperator(")"), Reason::kTemplateSyntax, current().line);
  return kOk;
}

Result<ExpressionParser::Ptr> ExpressionParser::ParseFilters(Ptr node, bool first_without_bar) {
  while (SkipOperator("|") || first_without_bar) {
    first_without_bar = false;
    Ptr filter = New(Kind::kFilter);
    RL_ASSIGN_OR_RETURN(const std::string name, ExpectName());
    filter->builtin = FindFilter(name);
    if (filter->builtin == nullptr && !soft_) unknown_.push_back(filter->line);
    filter->operands.push_back(std::move(node));
    if (IsOperator("(")) RL_RETURN_IF_ERROR(ParseArguments(filter.get()));
    RL_ASSIGN_OR_RETURN(node, Finish(std::move(filter)));
  }
  return node;
}

// Behind "is".
Result<ExpressionParser::Ptr> ExpressionParser::ParseTest(Ptr operand) {
  Ptr test = New(Kind::kTest);
  const bool negated = SkipName("not");
  RL_ASSIGN_OR_RETURN(const std::string name, ExpectName());
  test->builtin = FindTest(name);
  if (test->builtin == nullptr && !soft_) unknown_.push_back(test->line);
  test->operands.push_back(std::move(operand));
  const bool is_word = IsName("else") || IsName("or") || IsName("and");
  if (IsOperator("(")) {
    RL_RETURN_IF_ERROR(ParseArguments(test.get()));
  } else if ((current().type == Type::kName && !is_word) || current().type == Type::kString ||
             current().type == Type::kInteger || current().type == Type::kFloat ||
             IsOperator("[") || IsOperator("{")) {
    RL_CHECK(!IsName("is"), Reason::kTemplateSyntax, current().line);
    RL_ASSIGN_OR_RETURN(Ptr argument, ParsePrimary());
    RL_ASSIGN_OR_RETURN(argument, ParsePostfix(std::move(argument)));
    test->arguments.push_back(std::move(argument));
  }
  RL_ASSIGN_OR_RETURN(Ptr node, Finish(std::move(test)));
  if (!negated) return node;
  Ptr opposite = New(Kind::kNot);
  opposite->operands.push_back(std::move(node));
  return Finish(std::move(opposite));
}

}  // namespace rushlight::llm
