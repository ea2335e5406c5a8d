// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Runs the syntax tree of a template.
//
// Errors carry the line of the expression that failed: kTemplateType (what Python calls TypeError,
// ValueError, ...), kTemplateName (an operation on something undefined, a filter that does not
// exist), kTemplateRaised (raise_exception), kTemplateLimit.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rushlight/error.h"
#include "src/llm/template_ast.h"
#include "src/llm/template_builtins.h"
#include "src/llm/template_value.h"

namespace rushlight::llm {

// The variables of a body; what is not there is looked for in the one around it.
struct Scope {
  Scope* outer = nullptr;
  std::vector<std::pair<NameId, Value>> variables;
  bool is_kept = false;  // a function may come back to it
};

// One for {"strip", ...} of a string, a global function, or a macro.
struct Callable {
  const Builtin* builtin = nullptr;
  Value subject;                    // of the builtin
  const Function* macro = nullptr;  // if not a builtin
  Scope* scope = nullptr;           // around the macro
};

// The state of a loop: its items are taken one ahead only if the template asks for what is ahead.
struct Loop {
  const Statement* statement;
  List items;  // of the iterable, before the test
  size_t next_item = 0;
  List ahead;  // passed the test, and taken up to next_ahead
  size_t next_ahead = 0;
  Value previous, current;
  int64_t index0 = -1;
  std::optional<Value> changed;  // what changed() was called with last
  Scope* scope;                  // around the loop, for the test
};

class Interpreter {
 public:
  static constexpr size_t kMaxWork = 16'000'000;  // steps, and 16 bytes or elements each
  static constexpr size_t kMaxOutputBytes = 8 << 20;
  static constexpr size_t kMaxValueBytes = 256 << 20;  // of all lists and dicts
  static constexpr int64_t kMaxRangeItems = 100'000;   // as in Jinja's sandbox
  static constexpr int kMaxDepth = 400;                // of expressions, bodies and macros together

  // Requires: the tree outlives this object.
  explicit Interpreter(const TemplateTree& tree) : tree_(tree), loop_name_(NameOf("loop")) {}

  void SetVariable(std::string_view name, Value value);
  // Seconds since 1970; the system's clock if not set.
  void SetTime(int64_t now) { now_ = now; }
  Result<std::string> Run();
  // What raise_exception was called with.
  const std::string& message() const { return message_; }

  // For builtins.

  Heap& heap() { return heap_; }
  std::optional<int64_t> now() const { return now_; }
  Error Fail(Reason reason) const { return Error(reason, line_); }
  Error Raise(std::string message) {
    message_ = std::move(message);
    return Fail(Reason::kTemplateRaised);
  }
  // Of an operation on something undefined.
  Error CheckDefined(const Value& value) const {
    return value.is_undefined() ? Fail(Reason::kTemplateName) : kOk;
  }
  Error Spend(size_t work);
  // For looking for `pattern` in `text`.
  Error SpendSearch(std::string_view text, std::string_view pattern);
  // For memory that stays until the end.
  Error Hold(size_t bytes);
  Result<Value> NewString(std::string text);
  Result<Value> NewList(List items, Kind kind = Kind::kList);
  Result<Value> NewDict(Dict dict);
  Result<Value> NewIterator(List items);
  Result<Value> NewBoundMethod(const Builtin* method, const Value& subject);

  Result<std::string> Text(const Value& value);  // str()
  // The items of anything that can be iterated; reads iterators to their end.
  Result<List> Items(const Value& value);
  Result<Value> Item(const Value& of, const Value& key);
  Result<Value> Attribute(const Value& of, const std::string& name);
  Result<bool> Contains(const Value& container, const Value& item);
  Result<bool> Compares(Expression::Comparison comparison, const Value& a, const Value& b);
  Result<Value> Add(const Value& a, const Value& b);
  // printf-style formatting, as of "%d items" % 3.
  Result<Value> Format(const std::string& format, const Value& values);
  Result<Value> Apply(const Builtin* builtin, const Value& subject, const Arguments& arguments);

 private:
  enum class Flow : uint8_t { kNext, kBreak, kContinue };

  class DepthGuard {
   public:
    explicit DepthGuard(int* depth) : depth_(*depth) { ++depth_; }
    ~DepthGuard() { --depth_; }

   private:
    int& depth_;
  };

  // Statements
  Error ExecuteBody(const Body& body);
  Error Execute(const Statement& statement);
  Error ExecuteFor(const Statement& statement);
  Error ExecuteIf(const Statement& statement);
  Error ExecuteCallBlock(const Statement& statement);
  Error ExecuteWith(const Statement& statement);
  // What the body writes, in a scope of its own.
  Result<std::string> Capture(const Body& body, Scope* outer);
  Result<Value> Filtered(const Expression* filters, std::string text);
  Error Assign(const Expression& target, const Value& value);
  Error Write(std::string_view text);

  // Expressions
  Result<Value> Evaluate(const Expression& e);
  Result<Value> EvaluateNode(const Expression& e);
  Result<Value> EvaluateOperation(const Expression& e);
  Result<Value> EvaluateCompare(const Expression& e);
  Result<Value> EvaluateSlice(const Expression& e);
  Result<Value> EvaluateCall(const Expression& e, const Value* caller);
  Result<Value> EvaluateFilter(const Expression& e);
  Result<List> EvaluateAll(const std::vector<std::unique_ptr<Expression>>& expressions);
  Result<Arguments> EvaluateArguments(const Expression& e);
  Result<Value> IntegerOperation(Expression::Kind kind, int64_t a, int64_t b);
  Result<Value> FloatOperation(Expression::Kind kind, double a, double b);
  Result<Value> Repeat(const Value& unit, size_t count);
  Result<Value> CallMacro(const Callable& callable, const Arguments& arguments);
  Result<Value> LoopAttribute(Loop& loop, const std::string& name);
  // Puts the next item that passes the test to loop->ahead; whether there was one.
  Result<bool> Fetch(Loop* loop);
  Result<bool> HasNext(Loop* loop);

  // Variables
  std::optional<NameId> NameOf(std::string_view name) const;
  Value Lookup(NameId name);
  void Set(NameId name, const Value& value);
  Scope* EnterScope(Scope* outer);
  void LeaveScope(Scope* scope, Scope* previous);
  Result<Value> NewMacro(const Function& function);

  const TemplateTree& tree_;
  std::optional<int64_t> now_;
  std::string message_;

  Heap heap_;
  std::deque<Callable> callables_;
  std::deque<Loop> loops_;
  std::deque<Scope> scopes_;
  std::vector<Scope*> free_scopes_;

  const std::optional<NameId> loop_name_;  // if the template has the name "loop" at all
  Scope root_;
  Scope* scope_ = &root_;
  std::string* output_ = nullptr;
  Value filter_block_;  // what a filter block has written
  Flow flow_ = Flow::kNext;
  uint32_t line_ = 1;
  int depth_ = 0;
  size_t work_ = 0;
  size_t value_bytes_ = 0;
};

}  // namespace rushlight::llm
