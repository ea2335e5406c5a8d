// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Values of templates: those of Python as far as templates see them.
//
// Strings are shared; everything else that has parts lives in the Heap of a rendering until it
// ends, so that values may refer to each other in circles.  Nothing but namespaces and iterators
// changes once it is made.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rushlight/error.h"

namespace rushlight::llm {

struct Callable;  // template_interpreter.h
struct Dict;
struct Iterator;
struct Loop;  // template_interpreter.h
struct Namespace;
struct Range;

enum class Kind : uint8_t {
  kAbsent,  // an argument that was not given; never a value of a template
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kList,
  kTuple,
  kView,  // dict.items() and the like: a list that cannot be indexed
  kDict,
  kIterator,  // what filters such as map() return: can be read once
  kRange,
  kNamespace,
  kLoop,
  kCallable,
};

class Value {
 public:
  using List = std::vector<Value>;

  Value() = default;  // undefined
  static Value Absent() { return Value(Kind::kAbsent); }
  static Value None() { return Value(Kind::kNone); }
  static Value Bool(bool b) {
    Value v(Kind::kBool);
    v.int_ = b;
    return v;
  }
  static Value Int(int64_t i) {
    Value v(Kind::kInt);
    v.int_ = i;
    return v;
  }
  static Value Float(double d) {
    Value v(Kind::kFloat);
    v.float_ = d;
    return v;
  }
  static Value String(std::string s) {
    Value v(Kind::kString);
    v.string_ = std::make_shared<const std::string>(std::move(s));
    return v;
  }
  explicit Value(Kind kind, const List* list) : kind_(kind), list_(list) {}
  explicit Value(const Dict* dict) : kind_(Kind::kDict), dict_(dict) {}
  explicit Value(Iterator* iterator) : kind_(Kind::kIterator), iterator_(iterator) {}
  explicit Value(const Range* range) : kind_(Kind::kRange), range_(range) {}
  explicit Value(Namespace* ns) : kind_(Kind::kNamespace), namespace_(ns) {}
  explicit Value(Loop* loop) : kind_(Kind::kLoop), loop_(loop) {}
  explicit Value(const Callable* callable) : kind_(Kind::kCallable), callable_(callable) {}

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_absent() const { return kind_ == Kind::kAbsent; }
  bool is_undefined() const { return kind_ == Kind::kUndefined; }
  bool is_none() const { return kind_ == Kind::kNone; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_integer() const { return kind_ == Kind::kInt || kind_ == Kind::kBool; }  // as in Python
  bool is_number() const { return is_integer() || kind_ == Kind::kFloat; }
  bool has_list() const {
    return kind_ == Kind::kList || kind_ == Kind::kTuple || kind_ == Kind::kView;
  }

  // Requires: the kind, here and below.
  int64_t integer() const { return int_; }
  double number() const { return is_integer() ? static_cast<double>(int_) : float_; }
  const std::string& string() const { return *string_; }
  const List& list() const { return *list_; }
  const Dict& dict() const { return *dict_; }
  Iterator& iterator() const { return *iterator_; }
  const Range& range() const { return *range_; }
  Namespace& ns() const { return *namespace_; }
  Loop& loop() const { return *loop_; }
  const Callable& callable() const { return *callable_; }

  // Python's bool().
  bool Truth() const;
  // Bytes or elements: how much work a single look at all of it is.
  size_t Weight() const;

 private:
  explicit Value(Kind kind) : kind_(kind) {}

  Kind kind_ = Kind::kUndefined;
  union {
    int64_t int_ = 0;
    double float_;
    const List* list_;
    const Dict* dict_;
    Iterator* iterator_;
    const Range* range_;
    Namespace* namespace_;
    Loop* loop_;
    const Callable* callable_;
  };
  std::shared_ptr<const std::string> string_;
};

using List = Value::List;

// In the order of insertion.
struct Dict {
  std::vector<std::pair<Value, Value>> items;

  // Sets the value of a key, in the place of an equal one.
  void Set(const Value& key, const Value& value);
  const Value* Find(const Value& key) const;
  const Value* Find(std::string_view key) const;

 private:
  // items.size(): there is none.
  size_t PositionOf(const Value& key) const;

  std::map<std::string, size_t, std::less<>> strings_;  // positions of the keys that are strings
};

struct Iterator {
  List items;
  size_t next = 0;
};

struct Range {
  int64_t start, stop, step;  // step is not 0
  int64_t size() const;
  // Requires: 0 <= i < size().
  int64_t at(int64_t i) const { return start + i * step; }
};

struct Namespace {
  Dict attributes;
};

// Python's ==, of values up to a depth that templates do not reach.
bool Equal(const Value& a, const Value& b, int depth = 0);

// Python's <: -1, 0, 1; Reason::kTemplateType where it has no order.
Result<int> Compare(const Value& a, const Value& b, int depth = 0);

// Owns what has parts.
class Heap {
 public:
  Heap() = default;
  Heap(const Heap&) = delete;

  Value NewList(List items, Kind kind = Kind::kList) {
    return Value(kind, &lists_.emplace_back(std::move(items)));
  }
  Value NewDict(Dict dict) { return Value(&dicts_.emplace_back(std::move(dict))); }
  Value NewIterator(List items) {
    return Value(&iterators_.emplace_back(Iterator{std::move(items)}));
  }
  Value NewRange(Range range) { return Value(&ranges_.emplace_back(range)); }
  Value NewNamespace() { return Value(&namespaces_.emplace_back()); }

 private:
  std::deque<List> lists_;
  std::deque<Dict> dicts_;
  std::deque<Iterator> iterators_;
  std::deque<Range> ranges_;
  std::deque<Namespace> namespaces_;
};

}  // namespace rushlight::llm
