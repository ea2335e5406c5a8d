// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Statements: the blocks of a template.  Expressions are in template_expression_parser.

#include "src/llm/template_parser.h"

#include <initializer_list>
#include <utility>

#include "src/llm/template_expression_parser.h"

namespace rushlight::llm {
namespace {

using Ptr = std::unique_ptr<Expression>;
using StatementPtr = std::unique_ptr<Statement>;
using Type = TemplateToken::Type;

class Parser : ExpressionParser {
 public:
  explicit Parser(std::vector<TemplateToken> tokens) : ExpressionParser(std::move(tokens)) {}

  Result<TemplateTree> Run() {
    TemplateTree tree;
    RL_ASSIGN_OR_RETURN(tree.body, ParseBody({}));
    RL_RETURN_IF_ERROR(CheckBuiltins());
    tree.names = TakeNames();
    return tree;
  }

 private:
  StatementPtr NewStatement(Statement::Kind kind) const {
    auto statement = std::make_unique<Statement>();
    statement->kind = kind;
    statement->line = current().line;
    return statement;
  }

  // Statements up to "{% x", where x is one of `ends` and becomes the current token; without `ends`
  // up to the end of the template.
  Result<Body> ParseBody(std::initializer_list<std::string_view> ends) {
    RL_CHECK(++depth_ <= kMaxBlockDepth, Reason::kTemplateLimit, current().line);
    Body body;
    while (true) {
      if (current().type == Type::kEnd) {
        RL_CHECK(ends.size() == 0, Reason::kTemplateSyntax, current().line);
        break;
      }
      if (current().type == Type::kData) {
        StatementPtr text = NewStatement(Statement::Kind::kText);
        text->text = current().text;
        Next();
        body.push_back(std::move(text));
      } else if (current().type == Type::kVariableBegin) {
        Next();
        StatementPtr output = NewStatement(Statement::Kind::kOutput);
        RL_ASSIGN_OR_RETURN(output->expression, ParseTuple());
        RL_RETURN_IF_ERROR(Expect(Type::kVariableEnd));
        body.push_back(std::move(output));
      } else {
        RL_RETURN_IF_ERROR(Expect(Type::kBlockBegin));
        bool at_end = false;
        for (const std::string_view end : ends) at_end |= IsName(end);
        if (at_end) break;
        RL_ASSIGN_OR_RETURN(StatementPtr statement, ParseStatement());
        RL_RETURN_IF_ERROR(Expect(Type::kBlockEnd));
        body.push_back(std::move(statement));
      }
    }
    --depth_;
    return body;
  }

  // From the "%}" of the first tag to the name in the tag that ends the body.
  Result<Body> ParseBlock(std::initializer_list<std::string_view> ends, bool soft = false) {
    SkipOperator(":");
    RL_RETURN_IF_ERROR(Expect(Type::kBlockEnd));
    const bool outer_soft = std::exchange(soft_, soft);
    RL_ASSIGN_OR_RETURN(Body body, ParseBody(ends));
    soft_ = outer_soft;
    return body;
  }

  Result<StatementPtr> ParseStatement() {
    RL_CHECK(current().type == Type::kName, Reason::kTemplateSyntax, current().line);
    if (SkipName("if")) return ParseIf();
    if (SkipName("for")) return ParseFor();
    if (SkipName("set")) return ParseSet();
    if (SkipName("macro")) return ParseMacro();
    if (SkipName("call")) return ParseCall();
    if (SkipName("filter")) return ParseFilterBlock();
    if (SkipName("with")) return ParseWith();
    if (SkipName("generation")) return ParseGeneration();
    if (IsName("break") || IsName("continue")) {
      RL_CHECK(loops_ > 0, Reason::kTemplateSyntax, current().line);
      StatementPtr jump =
          NewStatement(IsName("break") ? Statement::Kind::kBreak : Statement::Kind::kContinue);
      Next();
      return jump;
    }
    return Error(Reason::kTemplateSyntax, current().line);
  }

  Result<StatementPtr> ParseIf() {
    StatementPtr statement = NewStatement(Statement::Kind::kIf);
    const bool outer_soft = std::exchange(soft_, true);
    while (true) {
      RL_ASSIGN_OR_RETURN(Ptr test, ParseTuple(/*with_condition=*/false));
      RL_ASSIGN_OR_RETURN(Body body, ParseBlock({"elif", "else", "endif"}, /*soft=*/true));
      statement->branches.emplace_back(std::move(test), std::move(body));
      if (SkipName("elif")) continue;
      if (SkipName("else")) {
        RL_ASSIGN_OR_RETURN(statement->otherwise, ParseBlock({"endif"}, /*soft=*/true));
      }
      Next();
      break;
    }
    soft_ = outer_soft;
    return statement;
  }

  Result<StatementPtr> ParseFor() {
    StatementPtr statement = NewStatement(Statement::Kind::kFor);
    RL_ASSIGN_OR_RETURN(statement->target, ParseTarget(/*with_namespace=*/false, "in"));
    RL_CHECK(SkipName("in"), Reason::kTemplateSyntax, current().line);
    RL_ASSIGN_OR_RETURN(statement->expression, ParseTuple(/*with_condition=*/false));
    if (SkipName("if")) {
      RL_ASSIGN_OR_RETURN(statement->test, ParseExpression());
    }
    ++loops_;
    RL_ASSIGN_OR_RETURN(statement->body, ParseBlock({"endfor", "else"}));
    --loops_;
    if (SkipName("else")) {
      RL_ASSIGN_OR_RETURN(statement->otherwise, ParseBlock({"endfor"}));
    }
    Next();
    return statement;
  }

  Result<StatementPtr> ParseSet() {
    StatementPtr statement = NewStatement(Statement::Kind::kSet);
    RL_ASSIGN_OR_RETURN(statement->target, ParseTarget(/*with_namespace=*/true));
    if (SkipOperator("=")) {
      RL_ASSIGN_OR_RETURN(statement->expression, ParseTuple());
      return statement;
    }
    statement->kind = Statement::Kind::kSetBlock;
    if (IsOperator("|")) {
      RL_ASSIGN_OR_RETURN(statement->expression, ParseFilters(nullptr));
    }
    RL_ASSIGN_OR_RETURN(statement->body, ParseBlock({"endset"}));
    Next();
    return statement;
  }

  Result<StatementPtr> ParseMacro() {
    StatementPtr statement = NewStatement(Statement::Kind::kMacro);
    RL_ASSIGN_OR_RETURN(const std::string name, ExpectName());
    statement->name = NameOf(name);
    RL_RETURN_IF_ERROR(ParseSignature(&statement->function));
    RL_RETURN_IF_ERROR(ParseFunctionBody("endmacro", &statement->function));
    return statement;
  }

  Result<StatementPtr> ParseCall() {
    StatementPtr statement = NewStatement(Statement::Kind::kCallBlock);
    if (IsOperator("(")) RL_RETURN_IF_ERROR(ParseSignature(&statement->function));
    RL_ASSIGN_OR_RETURN(statement->expression, ParseExpression());
    RL_CHECK(statement->expression->kind == Expression::Kind::kCall, Reason::kTemplateSyntax,
             statement->line);
    RL_RETURN_IF_ERROR(ParseFunctionBody("endcall", &statement->function));
    return statement;
  }

  Error ParseSignature(Function* function) {
    RL_CHECK(SkipOperator("("), Reason::kTemplateSyntax, current().line);
    while (!IsOperator(")")) {
      auto& parameters = function->parameters;
      RL_CHECK(parameters.empty() || SkipOperator(","), Reason::kTemplateSyntax, current().line);
      RL_ASSIGN_OR_RETURN(const std::string name, ExpectName());
      Ptr initial;
      if (SkipOperator("=")) {
        RL_ASSIGN_OR_RETURN(initial, ParseExpression());
      }
      // Behind a parameter with a default there is none without.
      RL_CHECK(initial || parameters.empty() || !parameters.back().initial, Reason::kTemplateSyntax,
               current().line);
      parameters.push_back({NameOf(name), name, std::move(initial)});
    }
    Next();
    return kOk;
  }

  // A function's body is not in the loop around it.
  Error ParseFunctionBody(std::string_view end, Function* function) {
    const int loops = std::exchange(loops_, 0);
    EnterFunction(function);
    RL_ASSIGN_OR_RETURN(function->body, ParseBlock({end}));
    LeaveFunction();
    loops_ = loops;
    Next();
    return kOk;
  }

  Result<StatementPtr> ParseFilterBlock() {
    StatementPtr statement = NewStatement(Statement::Kind::kFilterBlock);
    RL_ASSIGN_OR_RETURN(statement->expression, ParseFilters(nullptr, /*first_without_bar=*/true));
    RL_ASSIGN_OR_RETURN(statement->body, ParseBlock({"endfilter"}));
    Next();
    return statement;
  }

  Result<StatementPtr> ParseWith() {
    StatementPtr statement = NewStatement(Statement::Kind::kWith);
    while (current().type != Type::kBlockEnd) {
      auto& assignments = statement->assignments;
      RL_CHECK(assignments.empty() || SkipOperator(","), Reason::kTemplateSyntax, current().line);
      RL_ASSIGN_OR_RETURN(const std::string name, ExpectName());
      RL_CHECK(SkipOperator("="), Reason::kTemplateSyntax, current().line);
      RL_ASSIGN_OR_RETURN(Ptr value, ParseExpression());
      assignments.emplace_back(NameOf(name), std::move(value));
    }
    RL_ASSIGN_OR_RETURN(statement->body, ParseBlock({"endwith"}));
    Next();
    return statement;
  }

  // Marks what the model said, for training; here it is only a scope, and a function as above.
  Result<StatementPtr> ParseGeneration() {
    StatementPtr statement = NewStatement(Statement::Kind::kScope);
    const int loops = std::exchange(loops_, 0);
    RL_ASSIGN_OR_RETURN(statement->body, ParseBlock({"endgeneration"}));
    loops_ = loops;
    Next();
    return statement;
  }

  int depth_ = 0;
  int loops_ = 0;  // around the current token
};

}  // namespace

Result<TemplateTree> ParseTemplate(std::string_view source) {
  RL_ASSIGN_OR_RETURN(std::vector<TemplateToken> tokens, TokenizeTemplate(source));
  return Parser(std::move(tokens)).Run();
}

}  // namespace rushlight::llm
