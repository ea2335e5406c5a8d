// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Pre-tokenizers that cut where something matches.
#pragma once

#include <memory>

#include "src/tokenizers/pre_tokenizer.h"
#include "src/tokenizers/regex.h"

namespace rushlight::tokenizers {

// {"String": "..."} or {"Regex": "..."}, in the field "pattern".
Result<Regex> ReadPattern(Json json);

Result<std::unique_ptr<PreTokenizer>> MakeSplit(Json json);
Result<std::unique_ptr<PreTokenizer>> MakePunctuation(Json json);

}  // namespace rushlight::tokenizers
