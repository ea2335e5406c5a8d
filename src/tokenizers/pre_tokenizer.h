// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Pre-tokenizers cut a text into the pieces that the model then splits into tokens.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "rushlight/error.h"
#include "src/tokenizers/budget.h"
#include "src/tokenizers/fields.h"
#include "src/tokenizers/pieces.h"

namespace rushlight::tokenizers {

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  // Appends the pieces of `text`.  `at_start`: the text as a whole starts here.
  // Requires: valid UTF-8, not empty.
  virtual Error Cut(std::string_view text, bool at_start, Budget* budget, Pieces* pieces) const = 0;
};

using PreTokenizers = std::vector<std::unique_ptr<PreTokenizer>>;

// The steps of the section "pre_tokenizer".
Result<PreTokenizers> MakePreTokenizers(Json json);

// Runs the steps one after the other; `pieces` is replaced.
Error Cut(const PreTokenizers& steps, std::string_view text, bool at_start, Budget* budget,
          Pieces* pieces);

}  // namespace rushlight::tokenizers
