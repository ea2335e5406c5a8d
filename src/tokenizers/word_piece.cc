// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// WordPiece: from the left, always the longest token; tokens inside a word carry a prefix ("##"). A
// word that cannot be covered is one unknown token.

#include <optional>
#include <string>
#include <utility>

#include "src/tokenizers/model.h"
#include "src/tokenizers/prefix_set.h"
#include "src/tokenizers/utf8.h"

namespace rushlight::tokenizers {
namespace {

constexpr int32_t kMaxWordLength = 1000;
constexpr size_t kMaxPrefixBytes = 256;

class WordPiece : public Model {
 public:
  WordPiece(const Vocabulary& vocab, std::string prefix, int32_t unk, size_t max_characters)
      : Model(vocab), prefix_(std::move(prefix)), unk_(unk), max_characters_(max_characters) {
    std::vector<PrefixSet<int32_t>::Item> items;
    for (size_t i = 0; i < vocabulary().size(); ++i) {
      const int32_t id = vocabulary().id(i);
      if (vocabulary().InRange(id)) items.push_back({vocabulary().content(i), id});
    }
    tokens_ = PrefixSet<int32_t>(std::move(items));
  }

  Error Tokenize(std::string_view piece, std::vector<int32_t>* ids) const override {
    const size_t before = ids->size();
    size_t characters = 0;
    for (size_t pos = 0; pos < piece.size() && characters <= max_characters_; ++characters) {
      NextCodePoint(piece, &pos);
    }
    bool known = characters <= max_characters_;
    for (size_t pos = 0; known && pos < piece.size();) {
      const std::string_view lead = pos == 0 ? std::string_view() : std::string_view(prefix_);
      const auto* token = tokens_.FindLongest(lead, piece.substr(pos));
      known = token != nullptr;
      if (!known) break;
      ids->push_back(token->value);
      pos += token->content.size() - lead.size();
    }
    if (!known) {
      ids->resize(before);
      ids->push_back(unk_);
    }
    return kOk;
  }

 private:
  const std::string prefix_;
  const int32_t unk_;
  const size_t max_characters_;
  PrefixSet<int32_t> tokens_;  // its contents are the vocabulary's
};

}  // namespace

Result<std::unique_ptr<Model>> MakeWordPiece(Json json, const Tables& tables) {
  std::string unk_token = "[UNK]", prefix = "##";
  int32_t max_characters = 100;
  RL_RETURN_IF_ERROR(Read(json, Field::kUnkToken, &unk_token));
  RL_RETURN_IF_ERROR(Read(json, Field::kContinuingSubwordPrefix, &prefix));
  RL_RETURN_IF_ERROR(Read(json, Field::kMaxInputCharsPerWord, &max_characters));
  RL_CHECK(prefix.size() <= kMaxPrefixBytes, Reason::kTokenizerField,
           static_cast<uint32_t>(Field::kContinuingSubwordPrefix));
  // A word may take time that is quadratic in its length.
  RL_CHECK(max_characters <= kMaxWordLength, Reason::kTokenizerField,
           static_cast<uint32_t>(Field::kMaxInputCharsPerWord));
  RL_ASSIGN_OR_RETURN(const Vocabulary vocabulary, Vocabulary::Open(tables));
  // Sorting takes time in proportion to the contents, which must not be the same bytes.
  size_t bytes = 0;
  for (size_t i = 0; i < vocabulary.size(); ++i) {
    bytes += vocabulary.content(i).size();
    RL_CHECK(bytes <= tables.contents.size(), Reason::kTokenizerTables, Tables::kContentStarts);
  }
  const std::optional<int32_t> unk = vocabulary.Find(unk_token);
  RL_CHECK(unk.has_value(), Reason::kTokenizerField, static_cast<uint32_t>(Field::kUnkToken));
  return std::unique_ptr<Model>(
      new WordPiece(vocabulary, std::move(prefix), *unk, static_cast<size_t>(max_characters)));
}

}  // namespace rushlight::tokenizers
