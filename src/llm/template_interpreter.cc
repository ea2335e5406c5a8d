// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Statements, variables and limits.  Expressions are in template_expressions.cc.

#include "src/llm/template_interpreter.h"

#include <algorithm>

#include "src/llm/template_text.h"

namespace rushlight::llm {

void Interpreter::SetVariable(std::string_view name, Value value) {
  const std::optional<NameId> id = NameOf(name);
  if (id) root_.variables.emplace_back(*id, std::move(value));  // else the template does not use it
}

Result<std::string> Interpreter::Run() {
  std::string text;
  output_ = &text;
  RL_RETURN_IF_ERROR(ExecuteBody(tree_.body));
  return text;
}

// Limits

Error Interpreter::Spend(size_t work) {
  RL_CHECK(work <= kMaxWork - work_, Reason::kTemplateLimit, line_, 0, kMaxWork);
  work_ += work;
  return kOk;
}

Result<Value> Interpreter::NewString(std::string text) {
  RL_RETURN_IF_ERROR(Spend(text.size() / 16));
  return Value::String(std::move(text));
}

Error Interpreter::Hold(size_t bytes) {
  RL_CHECK(bytes <= kMaxValueBytes - value_bytes_, Reason::kTemplateLimit, line_, 0,
           kMaxValueBytes);
  value_bytes_ += bytes;
  return Spend(bytes / 256);
}

Result<Value> Interpreter::NewList(List items, Kind kind) {
  RL_RETURN_IF_ERROR(Hold(sizeof(List) + items.size() * sizeof(Value)));
  return heap_.NewList(std::move(items), kind);
}

Result<Value> Interpreter::NewDict(Dict dict) {
  RL_RETURN_IF_ERROR(Hold(sizeof(Dict) + dict.items.size() * 4 * sizeof(Value)));
  return heap_.NewDict(std::move(dict));
}

Result<Value> Interpreter::NewIterator(List items) {
  RL_RETURN_IF_ERROR(Hold(sizeof(Iterator) + items.size() * sizeof(Value)));
  return heap_.NewIterator(std::move(items));
}

Result<Value> Interpreter::NewBoundMethod(const Builtin* method, const Value& subject) {
  RL_RETURN_IF_ERROR(Hold(sizeof(Callable)));
  return Value(&callables_.emplace_back(Callable{method, subject, nullptr, nullptr}));
}

// Variables

std::optional<NameId> Interpreter::NameOf(std::string_view name) const {
  const auto found = std::find(tree_.names.begin(), tree_.names.end(), name);
  if (found == tree_.names.end()) return std::nullopt;
  return static_cast<NameId>(found - tree_.names.begin());
}

Value Interpreter::Lookup(NameId name) {
  for (const Scope* scope = scope_; scope != nullptr; scope = scope->outer) {
    for (const auto& [id, value] : scope->variables) {
      if (id == name) return value;
    }
  }
  const Builtin* global = FindGlobal(tree_.names[name]);
  if (global == nullptr) return Value();
  root_.variables.emplace_back(
      name, Value(&callables_.emplace_back(Callable{global, Value(), nullptr, nullptr})));
  return root_.variables.back().second;
}

void Interpreter::Set(NameId name, const Value& value) {
  for (auto& [id, old] : scope_->variables) {
    if (id != name) continue;
    old = value;
    return;
  }
  scope_->variables.emplace_back(name, value);
}

Scope* Interpreter::EnterScope(Scope* outer) {
  Scope* scope = nullptr;
  if (free_scopes_.empty()) {
    scope = &scopes_.emplace_back();
  } else {
    scope = free_scopes_.back();
    free_scopes_.pop_back();
  }
  scope->outer = outer;
  scope_ = scope;
  return scope;
}

void Interpreter::LeaveScope(Scope* scope, Scope* previous) {
  scope_ = previous;
  if (scope->is_kept) return;
  scope->variables.clear();
  free_scopes_.push_back(scope);
}

Result<Value> Interpreter::NewMacro(const Function& function) {
  RL_RETURN_IF_ERROR(Hold(sizeof(Callable) + 4 * sizeof(Scope)));
  for (Scope* s = scope_; s != nullptr && !s->is_kept; s = s->outer) s->is_kept = true;
  return Value(&callables_.emplace_back(Callable{nullptr, Value(), &function, scope_}));
}

Error Interpreter::Assign(const Expression& target, const Value& value) {
  if (target.kind == Expression::Kind::kName) {
    Set(target.name, value);
    return kOk;
  }
  if (target.kind == Expression::Kind::kNamespaceAttribute) {
    const Value ns = Lookup(target.name);
    RL_CHECK(ns.is(Kind::kNamespace) && !target.text.starts_with('_'), Reason::kTemplateType,
             target.line);
    ns.ns().attributes.Set(Value::String(target.text), value);
    return kOk;
  }
  RL_ASSIGN_OR_RETURN(const List items, Items(value));
  RL_CHECK(items.size() == target.operands.size(), Reason::kTemplateType, target.line);
  for (size_t i = 0; i < items.size(); ++i) {
    RL_RETURN_IF_ERROR(Assign(*target.operands[i], items[i]));
  }
  return kOk;
}

// Statements

Error Interpreter::Write(std::string_view text) {
  RL_RETURN_IF_ERROR(Spend(text.size() / 16));
  RL_CHECK(text.size() <= kMaxOutputBytes - output_->size(), Reason::kTemplateLimit, line_, 0,
           kMaxOutputBytes);
  output_->append(text);
  return kOk;
}

Error Interpreter::ExecuteBody(const Body& body) {
  const DepthGuard guard(&depth_);
  RL_CHECK(depth_ <= kMaxDepth, Reason::kTemplateLimit, line_);
  for (const auto& statement : body) {
    RL_RETURN_IF_ERROR(Execute(*statement));
    if (flow_ != Flow::kNext) break;
  }
  return kOk;
}

Error Interpreter::Execute(const Statement& s) {
  line_ = s.line;
  RL_RETURN_IF_ERROR(Spend(1));
  switch (s.kind) {
    case Statement::Kind::kText:
      return Write(s.text);
    case Statement::Kind::kOutput: {
      RL_ASSIGN_OR_RETURN(const Value value, Evaluate(*s.expression));
      if (value.is_string()) return Write(value.string());
      RL_ASSIGN_OR_RETURN(const std::string text, Text(value));
      return Write(text);
    }
    case Statement::Kind::kFor:
      return ExecuteFor(s);
    case Statement::Kind::kIf:
      return ExecuteIf(s);
    case Statement::Kind::kSet: {
      RL_ASSIGN_OR_RETURN(const Value value, Evaluate(*s.expression));
      return Assign(*s.target, value);
    }
    case Statement::Kind::kSetBlock: {
      RL_ASSIGN_OR_RETURN(std::string text, Capture(s.body, scope_));
      if (flow_ != Flow::kNext) return kOk;
      RL_ASSIGN_OR_RETURN(const Value value, Filtered(s.expression.get(), std::move(text)));
      return Assign(*s.target, value);
    }
    case Statement::Kind::kMacro: {
      RL_ASSIGN_OR_RETURN(const Value macro, NewMacro(s.function));
      Set(s.name, macro);
      return kOk;
    }
    case Statement::Kind::kCallBlock:
      return ExecuteCallBlock(s);
    case Statement::Kind::kFilterBlock: {
      RL_ASSIGN_OR_RETURN(std::string text, Capture(s.body, scope_));
      if (flow_ != Flow::kNext) return kOk;
      RL_ASSIGN_OR_RETURN(const Value value, Filtered(s.expression.get(), std::move(text)));
      RL_ASSIGN_OR_RETURN(const std::string filtered, Text(value));
      return Write(filtered);
    }
    case Statement::Kind::kWith:
      return ExecuteWith(s);
    case Statement::Kind::kScope: {
      Scope* const outer = scope_;
      Scope* const inner = EnterScope(outer);
      RL_RETURN_IF_ERROR(ExecuteBody(s.body));
      LeaveScope(inner, outer);
      return kOk;
    }
    case Statement::Kind::kBreak:
      flow_ = Flow::kBreak;
      return kOk;
    case Statement::Kind::kContinue:
      flow_ = Flow::kContinue;
      return kOk;
  }
  return kOk;
}

Error Interpreter::ExecuteIf(const Statement& s) {
  for (const auto& [test, body] : s.branches) {
    RL_ASSIGN_OR_RETURN(const Value value, Evaluate(*test));
    if (value.Truth()) return ExecuteBody(body);
  }
  return ExecuteBody(s.otherwise);
}

Error Interpreter::ExecuteFor(const Statement& s) {
  RL_ASSIGN_OR_RETURN(const Value iterable, Evaluate(*s.expression));
  Scope* const outer = scope_;
  RL_RETURN_IF_ERROR(Hold(sizeof(Loop)));
  Loop& loop = loops_.emplace_back();
  loop.statement = &s;
  loop.scope = outer;
  RL_ASSIGN_OR_RETURN(loop.items, Items(iterable));

  while (true) {
    RL_ASSIGN_OR_RETURN(const bool has_next, HasNext(&loop));
    if (!has_next) break;
    RL_RETURN_IF_ERROR(Spend(1));
    loop.previous = std::move(loop.current);
    loop.current = loop.ahead[loop.next_ahead++];
    ++loop.index0;
    Scope* const inner = EnterScope(outer);
    if (loop_name_) Set(*loop_name_, Value(&loop));
    RL_RETURN_IF_ERROR(Assign(*s.target, loop.current));
    RL_RETURN_IF_ERROR(ExecuteBody(s.body));
    LeaveScope(inner, outer);
    const Flow flow = std::exchange(flow_, Flow::kNext);
    if (flow == Flow::kBreak) break;
  }
  loop.items.clear();
  if (loop.index0 >= 0 || s.otherwise.empty()) return kOk;
  Scope* const inner = EnterScope(outer);
  RL_RETURN_IF_ERROR(ExecuteBody(s.otherwise));
  LeaveScope(inner, outer);
  return kOk;
}

Result<bool> Interpreter::Fetch(Loop* loop) {
  if (loop->next_ahead == loop->ahead.size()) {
    loop->ahead.clear();
    loop->next_ahead = 0;
  }
  const Statement& s = *loop->statement;
  while (loop->next_item < loop->items.size()) {
    const Value& item = loop->items[loop->next_item++];
    bool passes = true;
    if (s.test) {
      Scope* const previous = scope_;
      Scope* const inner = EnterScope(loop->scope);
      RL_RETURN_IF_ERROR(Assign(*s.target, item));
      RL_ASSIGN_OR_RETURN(const Value value, Evaluate(*s.test));
      LeaveScope(inner, previous);
      passes = value.Truth();
    }
    if (!passes) continue;
    loop->ahead.push_back(item);
    return true;
  }
  return false;
}

Result<bool> Interpreter::HasNext(Loop* loop) {
  if (loop->next_ahead < loop->ahead.size()) return true;
  return Fetch(loop);
}

Error Interpreter::ExecuteCallBlock(const Statement& s) {
  RL_ASSIGN_OR_RETURN(const Value caller, NewMacro(s.function));
  RL_ASSIGN_OR_RETURN(const Value value, EvaluateCall(*s.expression, &caller));
  RL_ASSIGN_OR_RETURN(const std::string text, Text(value));
  return Write(text);
}

Error Interpreter::ExecuteWith(const Statement& s) {
  List values;
  for (const auto& [name, expression] : s.assignments) {
    RL_ASSIGN_OR_RETURN(Value value, Evaluate(*expression));
    values.push_back(std::move(value));
  }
  Scope* const outer = scope_;
  Scope* const inner = EnterScope(outer);
  for (size_t i = 0; i < values.size(); ++i) Set(s.assignments[i].first, values[i]);
  RL_RETURN_IF_ERROR(ExecuteBody(s.body));
  LeaveScope(inner, outer);
  return kOk;
}

Result<std::string> Interpreter::Capture(const Body& body, Scope* outer) {
  std::string text;
  std::string* const previous_output = std::exchange(output_, &text);
  Scope* const previous = scope_;
  Scope* const inner = EnterScope(outer);
  const Error error = ExecuteBody(body);
  output_ = previous_output;
  RL_RETURN_IF_ERROR(error);
  LeaveScope(inner, previous);
  return text;
}

// `filters`: null for none.
Result<Value> Interpreter::Filtered(const Expression* filters, std::string text) {
  RL_ASSIGN_OR_RETURN(Value value, NewString(std::move(text)));
  if (filters == nullptr) return value;
  const Value previous = std::exchange(filter_block_, value);
  RL_ASSIGN_OR_RETURN(Value result, Evaluate(*filters));
  filter_block_ = previous;
  return result;
}

Result<Value> Interpreter::CallMacro(const Callable& callable, const Arguments& arguments) {
  const DepthGuard guard(&depth_);
  RL_CHECK(depth_ <= kMaxDepth, Reason::kTemplateLimit, line_);
  const Function& macro = *callable.macro;
  const size_t count = macro.parameters.size();
  Scope* const previous = scope_;
  // The parameters have a scope of their own around the body's; their defaults see those before.
  Scope* const inner = EnterScope(callable.scope);
  Dict more_named;
  std::vector<bool> used(arguments.named.size());
  for (size_t i = 0; i < count; ++i) {
    const Function::Parameter& parameter = macro.parameters[i];
    Value value = i < arguments.positional.size() ? arguments.positional[i] : Value::Absent();
    for (size_t n = 0; n < arguments.named.size(); ++n) {
      if (arguments.named[n].first != parameter.text) continue;
      RL_CHECK(value.is_absent(), Reason::kTemplateType, line_);
      value = arguments.named[n].second;
      used[n] = true;
    }
    if (value.is_absent()) {
      value = Value();
      if (parameter.initial) {
        RL_ASSIGN_OR_RETURN(value, Evaluate(*parameter.initial));
      }
    }
    Set(parameter.name, value);
  }
  for (size_t n = 0; n < arguments.named.size(); ++n) {
    const auto& [name, value] = arguments.named[n];
    if (used[n]) continue;
    if (name == "caller" && macro.uses_caller) {
      Set(*NameOf("caller"), value);
      continue;
    }
    RL_CHECK(macro.uses_kwargs && name != "caller", Reason::kTemplateType, line_);
    more_named.Set(Value::String(name), value);
  }
  List more;
  for (size_t i = count; i < arguments.positional.size(); ++i) {
    more.push_back(arguments.positional[i]);
  }
  RL_CHECK(macro.uses_varargs || more.empty(), Reason::kTemplateType, line_);
  if (macro.uses_varargs) {
    RL_ASSIGN_OR_RETURN(const Value list, NewList(std::move(more), Kind::kTuple));
    Set(*NameOf("varargs"), list);
  }
  if (macro.uses_kwargs) {
    RL_ASSIGN_OR_RETURN(const Value dict, NewDict(std::move(more_named)));
    Set(*NameOf("kwargs"), dict);
  }
  RL_ASSIGN_OR_RETURN(std::string text, Capture(macro.body, inner));
  LeaveScope(inner, previous);
  return NewString(std::move(text));
}

}  // namespace rushlight::llm
