// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Decoders turn tokens back into text: each step rewrites the list of tokens, and in the end they
// are joined.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "rushlight/error.h"
#include "src/tokenizers/budget.h"
#include "src/tokenizers/fields.h"

namespace rushlight::tokenizers {

class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual Error Apply(Budget* budget, std::vector<std::string>* tokens) const = 0;

  // For a stream: rewrites one token of a text, without repair of invalid UTF-8.  `at_start`: as
  // the first token.  `joined`: a former step joins all tokens.
  struct Place {
    bool at_start;
    bool joined;
  };
  virtual Error ApplyToOne(Place place, Budget* budget, std::string* token) const = 0;
  virtual bool Joins() const { return false; }
};

using Decoders = std::vector<std::unique_ptr<Decoder>>;

// The steps of the section "decoder".
Result<Decoders> MakeDecoders(Json json);

Result<std::string> Decode(const Decoders& steps, std::vector<std::string> tokens, Budget* budget);
Error DecodeOne(const Decoders& steps, bool at_start, Budget* budget, std::string* token);

}  // namespace rushlight::tokenizers
