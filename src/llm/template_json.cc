// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/llm/template_json.h"

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

namespace rushlight::llm {
namespace {

constexpr size_t kMaxDepth = 48;  // below what writing a value may have

class Reader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Reader(Heap* heap) : heap_(*heap) {}

  bool null() override { return Add(Value::None()); }
  bool boolean(bool value) override { return Add(Value::Bool(value)); }
  bool number_integer(number_integer_t value) override { return Add(Value::Int(value)); }
  bool number_unsigned(number_unsigned_t value) override {
    return value <= INT64_MAX && Add(Value::Int(static_cast<int64_t>(value)));
  }
  bool number_float(number_float_t value, const string_t& text) override {
    // An integer that has no place in 64 bits comes here too.
    return text.find_first_of(".eE") != std::string::npos && Add(Value::Float(value));
  }
  bool string(string_t& value) override { return Add(Value::String(std::move(value))); }
  bool binary(binary_t&) override { return false; }  // does not occur in text
  bool key(string_t& value) override {
    open_.back().key = Value::String(std::move(value));
    return true;
  }
  bool start_object(size_t) override { return Open(true); }
  bool start_array(size_t) override { return Open(false); }
  bool end_object() override {
    Dict dict = std::move(open_.back().dict);
    open_.pop_back();
    return Add(heap_.NewDict(std::move(dict)));
  }
  bool end_array() override {
    List list = std::move(open_.back().list);
    open_.pop_back();
    return Add(heap_.NewList(std::move(list)));
  }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    position_ = position;
    return false;
  }

  Value result() const { return result_; }
  size_t position() const { return position_; }

 private:
  struct Container {
    bool is_object;
    List list;
    Dict dict;
    Value key;
  };

  bool Open(bool is_object) {
    open_.push_back({is_object, {}, {}, {}});
    return open_.size() <= kMaxDepth;
  }
  bool Add(Value value) {
    if (open_.empty()) {
      result_ = std::move(value);
    } else if (open_.back().is_object) {
      open_.back().dict.Set(open_.back().key, value);
    } else {
      open_.back().list.push_back(std::move(value));
    }
    return true;
  }

  Heap& heap_;
  std::vector<Container> open_;
  Value result_;
  size_t position_ = 0;
};

}  // namespace

Result<Value> ReadJson(std::string_view text, Heap* heap) {
  Reader reader(heap);
  RL_CHECK(nlohmann::json::sax_parse(text.begin(), text.end(), &reader), Reason::kOptionInvalid,
           Error::kNone, static_cast<int64_t>(reader.position()));
  return reader.result();
}

}  // namespace rushlight::llm
