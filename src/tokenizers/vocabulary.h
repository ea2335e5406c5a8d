// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Vocabulary: the tokens of a model, by content and by id.  A view of tables.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "rushlight/error.h"
#include "src/tokenizers/fields.h"
#include "src/tokenizers/tables.h"

namespace rushlight::tokenizers {

class Vocabulary {
 public:
  // From the field "vocab" of a model, an object of ids, to tables.
  static Error Compile(Json model, TablesBuilder* builder);

  // Requires: what `tables` points to outlives this object.
  static Result<Vocabulary> Open(const Tables& tables);

  size_t size() const { return tables_.content_starts.size() - 1; }
  int32_t last_id() const { return last_id_; }
  // Whether an id is not beyond the last one.
  bool InRange(int32_t id) const { return id >= 0 && id <= last_id_; }
  std::optional<int32_t> Find(std::string_view content) const {
    const uint32_t i = tables_.content_index.Find(content, ContentOf{*this});
    if (i == FrozenIndex::kNone) return std::nullopt;
    const int32_t found = id(i);
    return InRange(found) ? std::optional(found) : std::nullopt;
  }
  std::optional<std::string_view> ContentOfId(int32_t id) const;

  // The i-th token in the order of ids.  Requires: i < size().
  std::string_view content(size_t i) const;
  int32_t id(size_t i) const {
    return tables_.ids.size() == 0 ? static_cast<int32_t>(i) : tables_.ids[i];
  }

 private:
  struct ContentOf {
    const Vocabulary& vocabulary;
    std::string_view operator()(uint32_t i) const { return vocabulary.content(i); }
  };

  explicit Vocabulary(const Tables& tables) : tables_(tables) {}

  Tables tables_;
  int32_t last_id_ = -1;
};

}  // namespace rushlight::tokenizers
