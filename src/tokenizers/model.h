// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Models split a piece of text into tokens of their vocabulary.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rushlight/error.h"
#include "src/tokenizers/fields.h"
#include "src/tokenizers/vocabulary.h"

namespace rushlight::tokenizers {

class Model {
 public:
  explicit Model(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {}
  virtual ~Model() = default;

  // Appends the ids of a piece.  Requires: valid UTF-8, not empty, at most 2^30 bytes.
  virtual Error Tokenize(std::string_view piece, std::vector<int32_t>* ids) const = 0;

  const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  const Vocabulary vocabulary_;
};

// The vocabulary and the merges of the section "model", in the form of tables.
Result<std::string> CompileTables(Json model, std::string_view description);
Error CompileMerges(Json model, TablesBuilder* builder);

// From the other fields of that section, and tables, which must outlive the model.
Result<std::unique_ptr<Model>> MakeModel(Json json, const Tables& tables);
Result<std::unique_ptr<Model>> MakeBpe(Json json, const Tables& tables);
Result<std::unique_ptr<Model>> MakeWordPiece(Json json, const Tables& tables);

}  // namespace rushlight::tokenizers
