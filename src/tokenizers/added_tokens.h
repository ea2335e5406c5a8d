// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// AddedTokens: tokens that are found in a text before anything else happens to it, such as
// "<|im_end|>".
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rushlight/error.h"
#include "src/tokenizers/fields.h"
#include "src/tokenizers/normalizer.h"
#include "src/tokenizers/prefix_set.h"
#include "src/tokenizers/vocabulary.h"

namespace rushlight::tokenizers {

struct AddedToken {
  std::string content;
  std::string
      decoded;  // what it becomes in a text: `content`, normalized where it is looked for so
  int32_t id = 0;
  bool single_word = false;  // only between characters that are not of words
  bool lstrip = false;       // takes the spaces in front of it
  bool rstrip = false;       // and behind it
  bool normalized = false;   // is looked for, normalized, in the normalized text
  bool special = false;      // Decode may leave it out
};

class AddedTokens {
 public:
  AddedTokens() = default;
  AddedTokens(AddedTokens&&) = default;  // and no copies: the tables point into `tokens_`
  AddedTokens& operator=(AddedTokens&&) = default;

  // A part of a text: a token, or what lies between two.
  struct Part {
    std::string_view text;
    const AddedToken* token;  // null: text
  };

  // From the field "added_tokens" of the file.
  static Result<AddedTokens> Read(Json file, const Vocabulary& vocabulary,
                                  const Normalizers& normalizers);

  // Cuts a text at the tokens that are `normalized` or not, from the left, the longest ones first.
  // Without `parse_special`, special tokens are text.
  std::vector<Part> Cut(std::string_view text, bool normalized, bool parse_special) const;

  const AddedToken* FindContent(std::string_view content) const;
  const AddedToken* FindId(int32_t id) const;
  int32_t last_id() const { return by_id_.empty() ? -1 : by_id_.rbegin()->first; }

 private:
  std::deque<AddedToken> tokens_;  // in the order of the file
  std::map<std::string, AddedToken*, std::less<>> by_content_;
  std::map<int32_t, const AddedToken*> by_id_;
  PrefixSet<const AddedToken*> raw_, normalized_;
};

}  // namespace rushlight::tokenizers
