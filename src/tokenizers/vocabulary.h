// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Vocabulary: the tokens of a model, by content and by id.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rushlight/error.h"
#include "src/tokenizers/fields.h"
#include "src/tokenizers/frozen_index.h"

namespace rushlight::tokenizers {

class Vocabulary {
 public:
  // From the field "vocab" of a model: an object of ids.
  static Result<Vocabulary> Read(Json model);

  size_t size() const { return ids_.size(); }
  int32_t last_id() const { return ids_.empty() ? -1 : ids_.back(); }
  std::optional<int32_t> Find(std::string_view content) const {
    const uint32_t i = index_.Find(content, ContentOf{*this});
    if (i == FrozenIndex::kNone) return std::nullopt;
    return ids_[i];
  }
  std::optional<std::string_view> ContentOfId(int32_t id) const;

  // The i-th token in the order of ids.  Requires: i < size().
  std::string_view content(size_t i) const {
    return std::string_view(bytes_).substr(starts_[i], starts_[i + 1] - starts_[i]);
  }
  int32_t id(size_t i) const { return ids_[i]; }

 private:
  struct ContentOf {
    const Vocabulary& vocabulary;
    std::string_view operator()(uint32_t i) const { return vocabulary.content(i); }
  };

  std::string bytes_;  // all contents, in the order of ids
  std::vector<size_t> starts_;
  std::vector<int32_t> ids_;
  FrozenIndex index_;
};

}  // namespace rushlight::tokenizers
