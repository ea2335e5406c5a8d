// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Normalizers rewrite a text before it is cut into pieces.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rushlight/error.h"
#include "src/tokenizers/budget.h"
#include "src/tokenizers/fields.h"

namespace rushlight::tokenizers {

class Regex;

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  // Appends the normalized text to `out`, which is empty.  Requires: valid UTF-8.
  virtual Error Apply(std::string_view text, Budget* budget, std::string* out) const = 0;
};

using Normalizers = std::vector<std::unique_ptr<Normalizer>>;

// The steps of the section "normalizer".
Result<Normalizers> MakeNormalizers(Json json);

// Runs the steps one after the other.
Result<std::string> Normalize(const Normalizers& steps, std::string_view text, Budget* budget);

// Also a decoder: replaces what matches by a text.  Fails when the budget does not allow the
// result.
Error ReplaceAll(const Regex& pattern, std::string_view replacement, std::string_view text,
                 Budget* budget, std::string* out);

}  // namespace rushlight::tokenizers
