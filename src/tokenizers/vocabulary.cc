// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/tokenizers/vocabulary.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace rushlight::tokenizers {

Error Vocabulary::Compile(Json model, TablesBuilder* builder) {
  const Json vocab = tokenizers::Find(model, Field::kVocab);
  RL_CHECK(vocab.is_object(), Reason::kTokenizerField, static_cast<uint32_t>(Field::kVocab));
  std::vector<std::pair<int32_t, std::string_view>> tokens;
  for (const Json id : vocab) {
    RL_CHECK(IsId(id), Reason::kTokenizerToken, static_cast<uint32_t>(tokens.size()));
    tokens.emplace_back(static_cast<int32_t>(id.AsUnsigned()), id.key());
  }
  std::sort(tokens.begin(), tokens.end());

  std::string contents;
  std::vector<uint32_t> starts = {0};
  std::vector<int32_t> ids;
  for (const auto& [id, content] : tokens) {
    RL_CHECK(ids.empty() || id > ids.back(), Reason::kTokenizerToken, static_cast<uint32_t>(id));
    contents.append(content);
    starts.push_back(static_cast<uint32_t>(contents.size()));
    ids.push_back(id);
  }
  FrozenIndex::Tables index;
  const auto content_of = [&](uint32_t i) { return tokens[i].second; };
  RL_CHECK(FrozenIndex::Build(static_cast<uint32_t>(tokens.size()), content_of, &index),
           Reason::kTokenizerToken);  // two ids for one content
  if (!ids.empty() && static_cast<size_t>(ids.back()) == ids.size() - 1) ids.clear();
  builder->Add(Tables::kContentStarts, starts);
  builder->Add(Tables::kIds, ids);
  builder->Add(Tables::kContentOrder, index.order);
  builder->Add(Tables::kContentBuckets, index.starts);
  builder->Add(Tables::kContents, contents);
  return kOk;
}

Result<Vocabulary> Vocabulary::Open(const Tables& tables) {
  Vocabulary vocabulary(tables);
  const size_t size = vocabulary.size();
  if (size > 0) vocabulary.last_id_ = vocabulary.id(size - 1);
  RL_CHECK(size <= INT32_MAX && vocabulary.last_id_ >= -1, Reason::kTokenizerTables, Tables::kIds,
           vocabulary.last_id_);
  return vocabulary;
}

std::string_view Vocabulary::content(size_t i) const {
  const std::string_view all = tables_.contents;
  const size_t begin = tables_.content_starts[i], end = tables_.content_starts[i + 1];
  return begin <= end && end <= all.size() ? all.substr(begin, end - begin) : std::string_view();
}

std::optional<std::string_view> Vocabulary::ContentOfId(int32_t wanted) const {
  // Ids without gaps, which is the rule, are their own positions.
  size_t i = static_cast<size_t>(wanted);
  if (wanted < 0 || i >= size() || id(i) != wanted) {
    size_t end = tables_.ids.size();
    for (i = 0; i < end;) {
      const size_t middle = i + (end - i) / 2;
      if (id(middle) < wanted) {
        i = middle + 1;
      } else {
        end = middle;
      }
    }
    if (i == tables_.ids.size() || id(i) != wanted) return std::nullopt;
  }
  return content(i);
}

}  // namespace rushlight::tokenizers
