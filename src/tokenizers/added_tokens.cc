// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/tokenizers/added_tokens.h"

#include <algorithm>
#include <utility>

#include "src/tokenizers/unicode.h"
#include "src/tokenizers/utf8.h"

namespace rushlight::tokenizers {
namespace {

// Looking for tokens takes at most this many steps at each character.
constexpr size_t kMaxContentBytes = 1024;

bool EndsWithWord(std::string_view text) {
  if (text.empty()) return false;
  size_t pos = PreviousStart(text, text.size());
  return IsWordCharacter(NextCodePoint(text, &pos));
}

bool StartsWithWord(std::string_view text) {
  size_t pos = 0;
  return !text.empty() && IsWordCharacter(NextCodePoint(text, &pos));
}

// Where the spaces start that end at `end`; not before `limit`.
size_t SpacesBefore(std::string_view text, size_t end, size_t limit) {
  while (end > limit) {
    const size_t start = PreviousStart(text, end);
    size_t pos = start;
    if (!IsWhitespace(NextCodePoint(text, &pos))) break;
    end = start;
  }
  return end;
}

size_t SpacesBehind(std::string_view text, size_t begin) {
  while (begin < text.size()) {
    size_t next = begin;
    if (!IsWhitespace(NextCodePoint(text, &next))) break;
    begin = next;
  }
  return begin;
}

Error ReadToken(Json json, AddedToken* token) {
  RL_RETURN_IF_ERROR(Read(json, Field::kContent, &token->content));
  RL_RETURN_IF_ERROR(Read(json, Field::kSingleWord, &token->single_word));
  RL_RETURN_IF_ERROR(Read(json, Field::kLstrip, &token->lstrip));
  RL_RETURN_IF_ERROR(Read(json, Field::kRstrip, &token->rstrip));
  RL_RETURN_IF_ERROR(Read(json, Field::kSpecial, &token->special));
  token->normalized = !token->special;
  return Read(json, Field::kNormalized, &token->normalized);
}

}  // namespace

Result<AddedTokens> AddedTokens::Read(Json file, const Vocabulary& vocabulary,
                                      const Normalizers& normalizers) {
  AddedTokens result;
  const Json list = Find(file, Field::kAddedTokens);
  if (list.is_null()) return result;
  RL_CHECK(list.is_array(), Reason::kTokenizerField, static_cast<uint32_t>(Field::kAddedTokens));
  uint32_t position = 0;
  for (const Json json : list) {
    RL_CHECK(json.is_object(), Reason::kTokenizerToken, position);
    AddedToken token;
    RL_RETURN_IF_ERROR(ReadToken(json, &token));
    RL_CHECK(token.content.size() <= kMaxContentBytes, Reason::kTokenizerToken, position);
    ++position;
    if (token.content.empty()) continue;
    const auto known = result.by_content_.find(token.content);
    if (known != result.by_content_.end()) {  // the last description of a token counts
      token.id = known->second->id;
      *known->second = std::move(token);
      continue;
    }
    // The ids in the file are not read: a token has the id of the model's token of that content, or
    // else the next one behind all others.
    const std::optional<int32_t> id = vocabulary.Find(token.content);
    const int64_t next = std::max<int64_t>(vocabulary.size(), int64_t{result.last_id()} + 1);
    RL_CHECK(id || next <= 0x7fffffff, Reason::kTokenizerToken, position - 1);
    token.id = id.value_or(static_cast<int32_t>(next));
    AddedToken& added = result.tokens_.emplace_back(std::move(token));
    result.by_content_.emplace(added.content, &added);
    result.by_id_[added.id] = &added;
  }

  std::vector<PrefixSet<const AddedToken*>::Item> raw, normalized;
  for (AddedToken& token : result.tokens_) {
    token.decoded = token.content;
    if (token.normalized) {
      Budget budget(token.content.size());
      RL_ASSIGN_OR_RETURN(token.decoded, Normalize(normalizers, token.content, &budget));
      RL_CHECK(token.decoded.size() <= kMaxContentBytes, Reason::kTokenizerToken,
               static_cast<uint32_t>(token.id));
    }
    (token.normalized ? normalized : raw).push_back({token.decoded, &token});
  }
  result.raw_ = PrefixSet<const AddedToken*>(std::move(raw));
  result.normalized_ = PrefixSet<const AddedToken*>(std::move(normalized));
  return result;
}

std::vector<AddedTokens::Part> AddedTokens::Cut(std::string_view text, bool normalized,
                                                bool parse_special) const {
  std::vector<Part> parts;
  const auto& tokens = normalized ? normalized_ : raw_;
  size_t done = 0;        // up to here in `parts`
  size_t spaces_end = 0;  // of the last run of spaces that was looked at
  for (size_t pos = 0; pos < text.size();) {
    const auto* item = tokens.FindLongest({}, text.substr(pos));
    if (item == nullptr) {
      ++pos;
      continue;
    }
    const AddedToken& token = *item->value;
    size_t begin = pos;
    size_t end = pos + item->content.size();
    pos = end;
    if (token.special && !parse_special) continue;
    const bool in_word = EndsWithWord(text.substr(0, begin)) || StartsWithWord(text.substr(end));
    if (token.single_word && in_word) continue;
    if (token.lstrip) begin = SpacesBefore(text, begin, done);
    if (token.rstrip) {
      if (end >= spaces_end) spaces_end = SpacesBehind(text, end);
      end = spaces_end;
    }
    if (begin > done) parts.push_back({text.substr(done, begin - done), nullptr});
    parts.push_back({text.substr(begin, end - begin), &token});
    // Tokens made of spaces are found again in spaces that the token before took; so `tokenizers`.
    done = end;
  }
  if (done < text.size()) parts.push_back({text.substr(done), nullptr});
  return parts;
}

const AddedToken* AddedTokens::FindContent(std::string_view content) const {
  const auto found = by_content_.find(content);
  return found == by_content_.end() ? nullptr : found->second;
}

const AddedToken* AddedTokens::FindId(int32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

}  // namespace rushlight::tokenizers
