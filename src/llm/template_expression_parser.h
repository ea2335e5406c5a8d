// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Recursive descent over the tokens of expressions, from the loosest operator to the tightest:
// if-else, or, and, not, comparisons, + -, ~, * / // %, **, unary + -, then .x [x] (x) |filter is
// test.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rushlight/error.h"
#include "src/llm/template_ast.h"
#include "src/llm/template_lexer.h"

namespace rushlight::llm {

class ExpressionParser {
 protected:
  using Ptr = std::unique_ptr<Expression>;
  using Kind = Expression::Kind;
  using Type = TemplateToken::Type;

  // Requires: the last token is kEnd.
  explicit ExpressionParser(std::vector<TemplateToken> tokens) : tokens_(std::move(tokens)) {}

  const TemplateToken& current() const { return tokens_[position_]; }
  void Next() { position_ += position_ + 1 < tokens_.size(); }
  bool IsName(std::string_view name) const {
    return current().type == Type::kName && current().text == name;
  }
  bool IsOperator(std::string_view op) const {
    return current().type == Type::kOperator && current().text == op;
  }
  bool SkipName(std::string_view name);
  bool SkipOperator(std::string_view op);
  Error Expect(Type type);
  Result<std::string> ExpectName();

  NameId NameOf(const std::string& name);
  std::vector<std::string> TakeNames() { return std::move(names_); }

  // Notes for the functions around the current token whether they use "caller" and its like.
  void EnterFunction(Function* function) { functions_.push_back(function); }
  void LeaveFunction() { functions_.pop_back(); }

  Result<Ptr> ParseExpression() { return ParseCondition(); }
  // One expression, or several with commas between them.
  Result<Ptr> ParseTuple(bool with_condition = true, bool in_parentheses = false);
  // What can be assigned to: names, tuples of them, and attributes of namespaces.
  Result<Ptr> ParseTarget(bool with_namespace, std::string_view end_name = {});
  // The filters behind `operand`, which is null for those of a block.
  Result<Ptr> ParseFilters(Ptr operand, bool first_without_bar = false);

  // Filters and tests need not exist where they may never run: in "if".  kOk if all others do.
  Error CheckBuiltins() const;
  bool soft_ = false;  // whether the current token is in the body of an "if", directly

 private:
  Ptr New(Kind kind) const;
  // Computes the height, or fails if it is too great.
  Result<Ptr> Finish(Ptr node) const;
  Result<Ptr> Finish(Kind kind, Ptr left, Ptr right) const;

  Result<Ptr> ParseCondition();
  Result<Ptr> ParseOr();
  Result<Ptr> ParseAnd();
  Result<Ptr> ParseNot();
  Result<Ptr> ParseCompare();
  Result<Ptr> ParseSum();
  Result<Ptr> ParseConcat();
  Result<Ptr> ParseProduct();
  Result<Ptr> ParsePower();
  Result<Ptr> ParseUnary(bool with_filters = true);
  Result<Ptr> ParsePrimary(bool with_namespace = false);
  Result<Ptr> ParseList();
  Result<Ptr> ParseDict();
  Result<Ptr> ParsePostfix(Ptr operand);
  Result<Ptr> ParseFiltersAndTests(Ptr operand);
  Result<Ptr> ParseSubscript(Ptr operand);
  Result<Ptr> ParseSubscriptArgument(Ptr operand);
  Result<Ptr> ParseTest(Ptr operand);
  Error ParseArguments(Expression* call);
  bool AtTupleEnd(std::string_view end_name) const;
  Error CheckTarget(const Expression& target) const;

  std::vector<TemplateToken> tokens_;
  size_t position_ = 0;
  int depth_ = 0;
  std::vector<std::string> names_;
  std::map<std::string, NameId> name_ids_;
  std::vector<Function*> functions_;
  std::vector<uint32_t> unknown_;  // lines where filters and tests must exist, but do not
};

}  // namespace rushlight::llm
