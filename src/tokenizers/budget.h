// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Budget: what encoding or decoding one text may cost, in proportion to the text.
//
// A tokenizer file is a program: replacements can double a text as often as they are listed, and
// patterns can be tried for ever.  The rates are far above what tokenizers in use need.
#pragma once

#include <cstddef>
#include <cstdint>

#include "rushlight/error.h"

namespace rushlight::tokenizers {

class Budget {
 public:
  explicit Budget(size_t text_bytes)
      : bytes_((size_t{1} << 20) + 64 * text_bytes), steps_((size_t{1} << 26) + 512 * text_bytes) {}

  // Bytes that a step of a file's pipeline wrote.
  Error TakeBytes(size_t count) {
    RL_CHECK(count <= bytes_, Reason::kTextTooLong, Error::kNone, static_cast<int64_t>(count),
             static_cast<int64_t>(bytes_));
    bytes_ -= count;
    return kOk;
  }

  // Steps that matching patterns may still take; the matcher counts them down.
  size_t& steps() { return steps_; }

 private:
  size_t bytes_;
  size_t steps_;
};

}  // namespace rushlight::tokenizers
