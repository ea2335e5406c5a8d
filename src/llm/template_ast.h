// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The syntax tree of a template.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/llm/template_value.h"

namespace rushlight::llm {

struct Builtin;  // template_builtins.h

// Names are numbered, so that looking up a variable compares numbers.
using NameId = uint32_t;

struct Expression {
  enum class Kind : uint8_t {
    kConstant,  // constant
    kName,      // name
    kList,      // operands
    kTuple,     // operands
    kDict,      // operands: key, value, key, ...
    kConcat,    // operands (~)
    kNot,       // operands: 1
    kNegative,
    kPositive,
    kAdd,  // operands: 2
    kSubtract,
    kMultiply,
    kDivide,
    kFloorDivide,
    kModulo,
    kPower,
    kAnd,
    kOr,
    kCompare,    // operands, comparisons between them
    kCondition,  // operands: then, test, else (may be null)
    kAttribute,  // operands: of what; text
    kItem,       // operands: of what, which
    kSlice,      // operands: of what, start, stop, step (may be null)
    kCall,       // operands: what; arguments
    kFilter,     // operands: of what (null: what a filter block rendered); arguments; builtin
    kTest,       // operands: of what; arguments; builtin
    kNamespaceAttribute,  // an assignment's target: name, text
  };
  enum class Comparison : uint8_t { kEq, kNe, kLt, kLe, kGt, kGe, kIn, kNotIn };

  Kind kind;
  uint32_t line;
  int height = 1;  // of the tree below and with it
  std::vector<std::unique_ptr<Expression>> operands;

  Value constant;
  NameId name = 0;
  std::string text;
  std::vector<Comparison> comparisons;
  const Builtin* builtin = nullptr;  // null: there is none of that name

  std::vector<std::unique_ptr<Expression>> arguments;
  std::vector<std::pair<std::string, std::unique_ptr<Expression>>> named_arguments;
  std::unique_ptr<Expression> more_arguments;        // *x
  std::unique_ptr<Expression> more_named_arguments;  // **x
};

struct Statement;
using Body = std::vector<std::unique_ptr<Statement>>;

// What a macro and the block of a call have in common.
struct Function {
  struct Parameter {
    NameId name;
    std::string text;
    std::unique_ptr<Expression> initial;  // null: none
  };
  std::vector<Parameter> parameters;
  Body body;
  bool uses_caller = false, uses_varargs = false, uses_kwargs = false;
};

struct Statement {
  enum class Kind : uint8_t {
    kText,         // text
    kOutput,       // expression
    kFor,          // target, expression: over what, test (may be null), body, otherwise
    kIf,           // branches; otherwise
    kSet,          // target, expression
    kSetBlock,     // target, expression: a chain of filters (may be null), body
    kMacro,        // name, function
    kCallBlock,    // expression: the call, function
    kFilterBlock,  // expression: a chain of filters, body
    kWith,         // assignments, body
    kScope,        // body ({% generation %})
    kBreak,
    kContinue,
  };

  Kind kind;
  uint32_t line;
  std::string text;
  NameId name = 0;
  std::unique_ptr<Expression> target, expression, test;
  Body body, otherwise;
  std::vector<std::pair<std::unique_ptr<Expression>, Body>> branches;
  std::vector<std::pair<NameId, std::unique_ptr<Expression>>> assignments;
  Function function;
};

struct TemplateTree {
  Body body;
  std::vector<std::string> names;  // by NameId
};

}  // namespace rushlight::llm
