// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/tokenizers/utf8.h"

namespace rushlight::tokenizers {

// The table of well-formed sequences of the Unicode standard (3-7): a lead byte, and for some leads
// a narrower range for the second byte.
Utf8Unit ReadUtf8(std::string_view bytes) {
  const auto lead = static_cast<uint8_t>(bytes[0]);
  if (lead < 0x80) return {Utf8Unit::kCharacter, 1};
  uint8_t length = 0;
  uint8_t low = 0x80, high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;   // shorter forms exist
    if (lead == 0xED) high = 0x9F;  // surrogates
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;  // beyond U+10FFFF
  } else {
    return {Utf8Unit::kIllFormed, 1};
  }
  for (uint8_t i = 1; i < length; ++i) {
    if (i == bytes.size()) return {Utf8Unit::kIncomplete, i};
    const auto b = static_cast<uint8_t>(bytes[i]);
    if (b < low || b > high) return {Utf8Unit::kIllFormed, i};
    low = 0x80;
    high = 0xBF;
  }
  return {Utf8Unit::kCharacter, length};
}

bool IsUtf8(std::string_view bytes) {
  for (size_t pos = 0; pos < bytes.size();) {
    if (static_cast<uint8_t>(bytes[pos]) < 0x80) {
      ++pos;
      continue;
    }
    const Utf8Unit unit = ReadUtf8(bytes.substr(pos));
    if (unit.kind != Utf8Unit::kCharacter) return false;
    pos += unit.length;
  }
  return true;
}

void AppendRepaired(std::string_view bytes, std::string* out) {
  for (size_t pos = 0; pos < bytes.size();) {
    const Utf8Unit unit = ReadUtf8(bytes.substr(pos));
    out->append(unit.kind == Utf8Unit::kCharacter ? bytes.substr(pos, unit.length) : kReplacement);
    pos += unit.length;
  }
}

void AppendUtf8(uint32_t c, std::string* out) {
  if (c < 0x80) {
    out->push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out->push_back(static_cast<char>(0xC0 | c >> 6));
    out->push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else if (c < 0x10000) {
    out->push_back(static_cast<char>(0xE0 | c >> 12));
    out->push_back(static_cast<char>(0x80 | (c >> 6 & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else {
    out->push_back(static_cast<char>(0xF0 | c >> 18));
    out->push_back(static_cast<char>(0x80 | (c >> 12 & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (c >> 6 & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (c & 0x3F)));
  }
}

}  // namespace rushlight::tokenizers
