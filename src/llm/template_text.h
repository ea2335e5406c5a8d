// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Values as text, as Python writes them: str(), repr() and json.dumps().  And text by its
// characters.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "rushlight/error.h"
#include "src/llm/template_value.h"

namespace rushlight::llm {

// Appends str(value).  Fails beyond `max_bytes`, and for depths that only circles have.
Error AppendText(const Value& value, size_t max_bytes, std::string* out);

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent;  // of one level
  std::string item_separator = ", ", key_separator = ": ";
};
// Appends json.dumps(value).
Error AppendJson(const Value& value, const JsonStyle& style, size_t max_bytes, std::string* out);

std::string FloatText(double value);  // repr(float)

// Number of characters.  Requires: valid UTF-8, here and below.
size_t Length(std::string_view text);
// The byte at which the character of that number starts; text.size() behind the last one.
size_t OffsetOf(std::string_view text, size_t character);

bool IsSpace(uint32_t c);  // str.isspace()
std::string_view Strip(std::string_view text, bool left, bool right);
// Strips characters that occur in `set`.
std::string_view Strip(std::string_view text, std::string_view set, bool left, bool right);

std::string Upper(std::string_view text);
std::string Lower(std::string_view text);
// The first character in upper case, the others in lower case.
std::string Capitalized(std::string_view text);

}  // namespace rushlight::llm
