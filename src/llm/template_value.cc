// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/llm/template_value.h"

#include <algorithm>

namespace rushlight::llm {
namespace {

constexpr int kMaxDepth = 64;

}  // namespace

bool Value::Truth() const {
  switch (kind_) {
    case Kind::kAbsent:
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return int_ != 0;
    case Kind::kFloat:
      return float_ != 0;
    case Kind::kString:
      return !string().empty();
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kView:
      return !list().empty();
    case Kind::kDict:
      return !dict().items.empty();
    case Kind::kRange:
      return range().size() > 0;
    case Kind::kIterator:
    case Kind::kNamespace:
    case Kind::kLoop:
    case Kind::kCallable:
      return true;
  }
  return false;
}

size_t Value::Weight() const {
  switch (kind_) {
    case Kind::kString:
      return string().size();
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kView:
      return list().size();
    case Kind::kDict:
      return dict().items.size();
    case Kind::kIterator:
      return iterator().items.size();
    case Kind::kRange:
      return static_cast<size_t>(range().size());
    default:
      return 1;
  }
}

void Dict::Set(const Value& key, const Value& value) {
  const size_t position = PositionOf(key);
  if (position < items.size()) {
    items[position].second = value;
    return;
  }
  if (key.is_string()) strings_.emplace(key.string(), position);
  items.emplace_back(key, value);
}

const Value* Dict::Find(std::string_view key) const {
  const auto found = strings_.find(key);
  return found == strings_.end() ? nullptr : &items[found->second].second;
}

const Value* Dict::Find(const Value& key) const {
  const size_t position = PositionOf(key);
  return position < items.size() ? &items[position].second : nullptr;
}

size_t Dict::PositionOf(const Value& key) const {
  if (key.is_string()) {
    const auto found = strings_.find(key.string());
    return found == strings_.end() ? items.size() : found->second;
  }
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].first.is_string() && Equal(items[i].first, key)) return i;
  }
  return items.size();
}

int64_t Range::size() const {
  // In unsigned numbers, where differences do not overflow.
  const auto distance = [](int64_t from, int64_t to) {
    return static_cast<uint64_t>(to) - static_cast<uint64_t>(from);
  };
  if (step > 0) {
    return start < stop
               ? static_cast<int64_t>((distance(start, stop) - 1) / static_cast<uint64_t>(step)) + 1
               : 0;
  }
  return stop < start ? static_cast<int64_t>((distance(stop, start) - 1) /
                                             (0 - static_cast<uint64_t>(step))) +
                            1
                      : 0;
}

bool Equal(const Value& a, const Value& b, int depth) {
  if (depth > kMaxDepth) return false;
  if (a.is_number() && b.is_number()) {
    if (a.is_integer() && b.is_integer()) return a.integer() == b.integer();
    return a.number() == b.number();
  }
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kAbsent:
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      return a.string() == b.string();
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kView:
      return std::equal(a.list().begin(), a.list().end(), b.list().begin(), b.list().end(),
                        [depth](const Value& x, const Value& y) { return Equal(x, y, depth + 1); });
    case Kind::kDict: {
      if (a.dict().items.size() != b.dict().items.size()) return false;
      for (const auto& [key, value] : a.dict().items) {
        const Value* other = b.dict().Find(key);
        if (other == nullptr || !Equal(value, *other, depth + 1)) return false;
      }
      return true;
    }
    case Kind::kIterator:
      return &a.iterator() == &b.iterator();
    case Kind::kRange:
      return a.range().size() == b.range().size() &&
             (a.range().size() == 0 ||
              (a.range().start == b.range().start && a.range().step == b.range().step));
    case Kind::kNamespace:
      return &a.ns() == &b.ns();
    case Kind::kLoop:
      return &a.loop() == &b.loop();
    case Kind::kCallable:
      return &a.callable() == &b.callable();
    default:
      return false;
  }
}

Result<int> Compare(const Value& a, const Value& b, int depth) {
  const auto order = [](const auto& x, const auto& y) { return x < y ? -1 : y < x ? 1 : 0; };
  if (a.is_integer() && b.is_integer()) return order(a.integer(), b.integer());
  if (a.is_number() && b.is_number()) return order(a.number(), b.number());
  if (a.is_string() && b.is_string()) return order(a.string(), b.string());
  const bool lists = a.kind() == b.kind() && (a.is(Kind::kList) || a.is(Kind::kTuple));
  RL_CHECK(lists && depth < kMaxDepth, Reason::kTemplateType);
  for (size_t i = 0; i < a.list().size() && i < b.list().size(); ++i) {
    if (!Equal(a.list()[i], b.list()[i])) return Compare(a.list()[i], b.list()[i], depth + 1);
  }
  return order(a.list().size(), b.list().size());
}

}  // namespace rushlight::llm
