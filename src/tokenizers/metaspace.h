// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Metaspace: spaces written as a visible character, as pre-tokenizer and decoder have it in common.
#pragma once

#include <string>

#include "rushlight/error.h"
#include "src/tokenizers/fields.h"

namespace rushlight::tokenizers {

struct Metaspace {
  enum class Scheme { kFirst, kAlways, kNever };  // where to put a mark in front

  std::string replacement = "\xE2\x96\x81";  // one character, "▁"
  Scheme scheme = Scheme::kAlways;
  bool split = true;
};

Result<Metaspace> ReadMetaspace(Json json);

}  // namespace rushlight::tokenizers
