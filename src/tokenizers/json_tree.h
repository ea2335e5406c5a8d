// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// JsonTree: a parsed JSON file in two flat arrays, read-only.  A tokenizer file has a million small
// values; this way they cost neither an allocation nor a destructor each.
//
//   RL_ASSIGN_OR_RETURN(const JsonTree tree, JsonTree::Parse(text));
//   for (const Json item : tree.root().Find("list")) ...
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rushlight/error.h"

namespace rushlight::tokenizers {

class Json;

class JsonTree {
 public:
  enum class Kind : uint8_t { kNull, kBool, kUnsigned, kOtherNumber, kString, kArray, kObject };

  // Errors: Reason::kTokenizerJson, found: the offset.
  static Result<JsonTree> Parse(std::string_view text);

  Json root() const;

 private:
  friend class Json;
  friend class TreeBuilder;

  struct Text {
    uint32_t begin = 0, size = 0;  // in strings_
  };
  struct Node {
    Kind kind;
    uint32_t end;    // behind its last descendant, which follow it in nodes_
    Text key;        // of a member of an object
    uint64_t value;  // a number, a bool, or a Text
  };
  std::string_view StringAt(Text text) const {
    return std::string_view(strings_).substr(text.begin, text.size);
  }

  std::vector<Node> nodes_;
  std::string strings_;
};

void AppendQuoted(std::string_view text, std::string* out);

// A value in a tree.  Requires: the tree stays where it is.
class Json {
 public:
  using Kind = JsonTree::Kind;

  bool is_null() const { return node().kind == Kind::kNull; }
  bool is_bool() const { return node().kind == Kind::kBool; }
  bool is_unsigned() const { return node().kind == Kind::kUnsigned; }
  bool is_string() const { return node().kind == Kind::kString; }
  bool is_array() const { return node().kind == Kind::kArray; }
  bool is_object() const { return node().kind == Kind::kObject; }

  // Requires: the value is of that kind.
  bool AsBool() const { return node().value != 0; }
  uint64_t AsUnsigned() const { return node().value; }
  std::string_view AsString() const {
    return tree_->StringAt(
        {static_cast<uint32_t>(node().value >> 32), static_cast<uint32_t>(node().value)});
  }
  std::string_view key() const { return tree_->StringAt(node().key); }

  // Elements of an array or members of an object.
  class Iterator {
   public:
    Iterator(const JsonTree* tree, uint32_t index) : tree_(tree), index_(index) {}
    Json operator*() const { return Json(tree_, index_); }
    Iterator& operator++() {
      index_ = tree_->nodes_[index_].end;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return index_ != other.index_; }

   private:
    const JsonTree* tree_;
    uint32_t index_;
  };
  Iterator begin() const { return Iterator(tree_, index_ + 1); }
  Iterator end() const { return Iterator(tree_, node().end); }

  // The member of that key, the last of several; null if there is none.
  Json Find(std::string_view key) const;

  // The value as JSON.  A number that is not unsigned, which nothing reads, becomes -1.
  void AppendTo(std::string* text) const;

 private:
  friend class JsonTree;
  Json(const JsonTree* tree, uint32_t index) : tree_(tree), index_(index) {}
  const JsonTree::Node& node() const { return tree_->nodes_[index_]; }

  const JsonTree* tree_;
  uint32_t index_;
};

}  // namespace rushlight::tokenizers
