// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// UTF-8: decoding, encoding, and repair of what is not valid.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace rushlight::tokenizers {

inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// What stands at the start of some bytes.
struct Utf8Unit {
  enum Kind : uint8_t {
    kCharacter,   // one character
    kIllFormed,   // the longest part that no further byte can make a character
    kIncomplete,  // the bytes end inside a character
  };
  Kind kind;
  uint8_t length;  // in bytes, 1 to 4
};

// Requires: !bytes.empty().
Utf8Unit ReadUtf8(std::string_view bytes);

bool IsUtf8(std::string_view bytes);

// Appends `bytes` with U+FFFD for each ill-formed part.
void AppendRepaired(std::string_view bytes, std::string* out);

void AppendUtf8(uint32_t code_point, std::string* out);

// Reads the character at `*pos` and moves past it.  Requires: valid UTF-8, *pos < text.size().
inline uint32_t NextCodePoint(std::string_view text, size_t* pos) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(text[i])); };
  const size_t i = *pos;
  const uint32_t lead = byte(i);
  if (lead < 0x80) {
    *pos = i + 1;
    return lead;
  }
  if (lead < 0xE0) {
    *pos = i + 2;
    return (lead & 0x1F) << 6 | (byte(i + 1) & 0x3F);
  }
  if (lead < 0xF0) {
    *pos = i + 3;
    return (lead & 0x0F) << 12 | (byte(i + 1) & 0x3F) << 6 | (byte(i + 2) & 0x3F);
  }
  *pos = i + 4;
  return (lead & 0x07) << 18 | (byte(i + 1) & 0x3F) << 12 | (byte(i + 2) & 0x3F) << 6 |
         (byte(i + 3) & 0x3F);
}

// The start of the character that ends at `pos`.  Requires: valid UTF-8, 0 < pos <= text.size().
inline size_t PreviousStart(std::string_view text, size_t pos) {
  do {
    --pos;
  } while ((static_cast<uint8_t>(text[pos]) & 0xC0) == 0x80);
  return pos;
}

}  // namespace rushlight::tokenizers
