// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The tokens of a Jinja template, with white space controlled as transformers sets it: trim_blocks
// and lstrip_blocks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rushlight/error.h"

namespace rushlight::llm {

struct TemplateToken {
  enum class Type : uint8_t {
    kData,           // text
    kVariableBegin,  // {{
    kVariableEnd,
    kBlockBegin,  // {%
    kBlockEnd,
    kName,      // text
    kString,    // text, without quotes and escapes
    kInteger,   // integer
    kFloat,     // number
    kOperator,  // text
    kEnd,
  };
  Type type;
  uint32_t line;
  std::string text;
  int64_t integer = 0;
  double number = 0;
};

// Ends in kEnd.  Errors: kTemplateSyntax and kTemplateLimit, index: the line.
Result<std::vector<TemplateToken>> TokenizeTemplate(std::string_view source);

}  // namespace rushlight::llm
