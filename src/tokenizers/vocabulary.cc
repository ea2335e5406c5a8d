// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/tokenizers/vocabulary.h"

#include <algorithm>
#include <utility>

namespace rushlight::tokenizers {

Result<Vocabulary> Vocabulary::Read(Json model) {
  const Json vocab = tokenizers::Find(model, Field::kVocab);
  RL_CHECK(vocab.is_object(), Reason::kTokenizerField, static_cast<uint32_t>(Field::kVocab));
  std::vector<std::pair<int32_t, std::string_view>> tokens;
  for (const Json id : vocab) {
    RL_CHECK(IsId(id), Reason::kTokenizerToken, static_cast<uint32_t>(tokens.size()));
    tokens.emplace_back(static_cast<int32_t>(id.AsUnsigned()), id.key());
  }
  std::sort(tokens.begin(), tokens.end());

  Vocabulary result;
  result.starts_.push_back(0);
  for (const auto& [id, content] : tokens) {
    RL_CHECK(id > result.last_id(), Reason::kTokenizerToken, static_cast<uint32_t>(id));
    result.bytes_.append(content);
    result.starts_.push_back(result.bytes_.size());
    result.ids_.push_back(id);
  }
  RL_CHECK(result.index_.Build(static_cast<uint32_t>(tokens.size()), ContentOf{result}),
           Reason::kTokenizerToken);  // two ids for one content
  return result;
}

std::optional<std::string_view> Vocabulary::ContentOfId(int32_t id) const {
  // Ids without gaps, which is the rule, are their own positions.
  size_t i = static_cast<size_t>(id);
  if (id < 0 || i >= ids_.size() || ids_[i] != id) {
    const auto found = std::lower_bound(ids_.begin(), ids_.end(), id);
    if (found == ids_.end() || *found != id) return std::nullopt;
    i = static_cast<size_t>(found - ids_.begin());
  }
  return content(i);
}

}  // namespace rushlight::tokenizers
