// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/tokenizers/json_tree.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace rushlight::tokenizers {
namespace {

constexpr size_t kMaxDepth = 64;

}  // namespace

// What the parser of nlohmann-json reports, in order, becomes nodes in order.
class TreeBuilder : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit TreeBuilder(JsonTree* tree) : tree_(*tree) {
    tree_.nodes_.push_back({Json::Kind::kNull, 1, {}, 0});  // what Find() does not find
  }

  bool null() override { return Add(Json::Kind::kNull, 0); }
  bool boolean(bool value) override { return Add(Json::Kind::kBool, value ? 1 : 0); }
  bool number_unsigned(number_unsigned_t value) override {
    return Add(Json::Kind::kUnsigned, value);
  }
  bool number_integer(number_integer_t) override { return Add(Json::Kind::kOtherNumber, 0); }
  bool number_float(number_float_t, const string_t&) override {
    return Add(Json::Kind::kOtherNumber, 0);
  }
  bool string(string_t& value) override {
    const JsonTree::Text text = AddText(value);
    return Add(Json::Kind::kString, uint64_t{text.begin} << 32 | text.size);
  }
  bool binary(binary_t&) override { return false; }  // does not occur in text
  bool key(string_t& value) override {
    key_ = AddText(value);
    return true;
  }
  bool start_object(size_t) override { return Open(Json::Kind::kObject); }
  bool start_array(size_t) override { return Open(Json::Kind::kArray); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    position_ = position;
    return false;
  }
  size_t position() const { return position_; }

 private:
  bool Add(Json::Kind kind, uint64_t value) {
    const auto end = static_cast<uint32_t>(tree_.nodes_.size()) + 1;
    tree_.nodes_.push_back({kind, end, std::exchange(key_, {}), value});
    return true;
  }
  bool Open(Json::Kind kind) {
    open_.push_back(tree_.nodes_.size());
    return Add(kind, 0) && open_.size() <= kMaxDepth;
  }
  bool Close() {
    tree_.nodes_[open_.back()].end = static_cast<uint32_t>(tree_.nodes_.size());
    open_.pop_back();
    return true;
  }
  JsonTree::Text AddText(const std::string& text) {
    const auto begin = static_cast<uint32_t>(tree_.strings_.size());
    tree_.strings_.append(text);
    return {begin, static_cast<uint32_t>(text.size())};
  }

  JsonTree& tree_;
  std::vector<size_t> open_;  // containers, innermost last
  JsonTree::Text key_;        // of the value to come
  size_t position_ = 0;
};

Result<JsonTree> JsonTree::Parse(std::string_view text) {
  // Every value and every byte of a string takes a byte of the file at least.
  RL_CHECK(text.size() < 0xffffffffu, Reason::kFileTooLarge, Error::kNone,
           static_cast<int64_t>(text.size()));
  JsonTree tree;
  TreeBuilder builder(&tree);
  RL_CHECK(nlohmann::json::sax_parse(text.begin(), text.end(), &builder), Reason::kTokenizerJson,
           Error::kNone, static_cast<int64_t>(builder.position()));
  return tree;
}

Json JsonTree::root() const { return Json(this, 1); }

Json Json::Find(std::string_view key) const {
  Json found(tree_, 0);
  if (!is_object()) return found;
  for (const Json member : *this) {
    if (member.key() == key) found = member;
  }
  return found;
}

void AppendQuoted(std::string_view text, std::string* out) {
  constexpr char kDigits[] = "0123456789abcdef";
  out->push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') out->push_back('\\');
    if (static_cast<uint8_t>(c) >= 0x20) {
      out->push_back(c);
    } else {
      out->append("\\u00").append({kDigits[c >> 4], kDigits[c & 15]});
    }
  }
  out->push_back('"');
}

void Json::AppendTo(std::string* text) const {
  if (is_null()) {
    text->append("null");
  } else if (is_bool()) {
    text->append(AsBool() ? "true" : "false");
  } else if (is_unsigned()) {
    text->append(std::to_string(AsUnsigned()));
  } else if (is_string()) {
    AppendQuoted(AsString(), text);
  } else if (is_array() || is_object()) {
    text->push_back(is_array() ? '[' : '{');
    for (const Json item : *this) {
      if (item.index_ != index_ + 1) text->push_back(',');
      if (is_object()) {
        AppendQuoted(item.key(), text);
        text->push_back(':');
      }
      item.AppendTo(text);
    }
    text->push_back(is_array() ? ']' : '}');
  } else {
    text->append("-1");
  }
}

}  // namespace rushlight::tokenizers
