// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/tokenizer.h"
#include "src/core/no_throw.h"
#include "src/tokenizers/utf8.h"

namespace rushlight {

Result<std::string> StreamDecoder::Add(int32_t id) {
  return NoThrow([&]() -> Result<std::string> {
    if (skip_special_ && tokenizer_.IsSpecial(id)) return std::string();
    RL_ASSIGN_OR_RETURN(const std::string bytes, tokenizer_.TokenBytes(id, at_start_));
    at_start_ = false;
    pending_.append(bytes);
    // Only the last three bytes can be the start of a character.
    size_t complete = pending_.size();
    for (size_t length = 1; length <= 3 && length <= pending_.size(); ++length) {
      const size_t start = pending_.size() - length;
      const tokenizers::Utf8Unit unit =
          tokenizers::ReadUtf8(std::string_view(pending_).substr(start));
      if (unit.kind == tokenizers::Utf8Unit::kIncomplete && unit.length == length) complete = start;
    }
    std::string text;
    tokenizers::AppendRepaired(std::string_view(pending_).substr(0, complete), &text);
    pending_.erase(0, complete);
    return text;
  });
}

Result<std::string> StreamDecoder::Finish() {
  return NoThrow([&]() -> Result<std::string> {
    std::string text;
    tokenizers::AppendRepaired(pending_, &text);
    pending_.clear();
    at_start_ = true;
    return text;
  });
}

}  // namespace rushlight
