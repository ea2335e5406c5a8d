// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/tokenizers/byte_level.h"

#include <array>

#include "src/tokenizers/unicode.h"
#include "src/tokenizers/utf8.h"

namespace rushlight::tokenizers {
namespace {

// Printable characters of Latin-1 stand for themselves; the other 68 bytes take U+0100 and on, in
// order.
constexpr bool StandsForItself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
}

constexpr std::array<uint16_t, 256> kCharOfByte = [] {
  std::array<uint16_t, 256> table{};
  uint16_t next = 0x100;
  for (unsigned b = 0; b < 256; ++b) {
    table[b] = StandsForItself(b) ? static_cast<uint16_t>(b) : next++;
  }
  return table;
}();

constexpr std::array<int16_t, kLastByteChar + 1> kByteOfChar = [] {
  std::array<int16_t, kLastByteChar + 1> table{};
  for (auto& byte : table) byte = -1;
  for (unsigned b = 0; b < 256; ++b) table[kCharOfByte[b]] = static_cast<int16_t>(b);
  return table;
}();

enum class Class : uint8_t { kLetter, kNumber, kSpace, kOther };

Class ClassOf(uint32_t c) {
  if (IsLetter(c)) return Class::kLetter;
  if (IsNumber(c)) return Class::kNumber;
  return IsWhitespace(c) ? Class::kSpace : Class::kOther;
}

constexpr std::array<Class, 128> kAsciiClass = [] {
  std::array<Class, 128> table{};
  for (uint32_t c = 0; c < 128; ++c) {
    const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    const bool number = c >= '0' && c <= '9';
    const bool space = c == ' ' || (c >= '\t' && c <= '\r');
    table[c] = letter   ? Class::kLetter
               : number ? Class::kNumber
               : space  ? Class::kSpace
                        : Class::kOther;
  }
  return table;
}();

// The class of the character at *pos, which is moved past it.
Class NextClass(std::string_view text, size_t* pos) {
  const uint32_t c = NextCodePoint(text, pos);
  return c < 128 ? kAsciiClass[c] : ClassOf(c);
}

// The length of 's, 't, 're, 've, 'm, 'll or 'd at the start of `text`, or 0.
size_t ContractionLength(std::string_view text) {
  if (text.size() < 2 || text[0] != '\'') return 0;
  switch (text[1]) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'r':
    case 'v':
      return text.size() > 2 && text[2] == 'e' ? 3 : 0;
    case 'l':
      return text.size() > 2 && text[2] == 'l' ? 3 : 0;
    default:
      return 0;
  }
}

}  // namespace

void AppendByteChars(std::string_view bytes, std::string* out) {
  for (const char b : bytes) AppendUtf8(kCharOfByte[static_cast<uint8_t>(b)], out);
}

void AppendBytesOfChars(std::string_view token, std::string* out) {
  const size_t start = out->size();
  for (size_t pos = 0; pos < token.size();) {
    const uint32_t c = NextCodePoint(token, &pos);
    if (c > kLastByteChar || kByteOfChar[c] < 0) {
      out->resize(start);
      out->append(token);
      return;
    }
    out->push_back(static_cast<char>(kByteOfChar[c]));
  }
}

size_t NextGpt2Word(std::string_view text, size_t pos) {
  const size_t contraction = ContractionLength(text.substr(pos));
  if (contraction > 0) return pos + contraction;

  size_t next = pos;  // behind the characters that have been looked at
  Class kind = NextClass(text, &next);
  if (text[pos] == ' ' && next < text.size()) {
    size_t second = next;
    const Class second_kind = NextClass(text, &second);
    if (second_kind != Class::kSpace) {  // a word with its space in front
      kind = second_kind;
      next = second;
    }
  }
  size_t last = pos;  // the start of the run's last character
  while (next < text.size()) {
    size_t after = next;
    if (NextClass(text, &after) != kind) break;
    last = next;
    next = after;
  }
  // Of several spaces in front of a word, the last one belongs to the word.
  const bool leaves_last = kind == Class::kSpace && next < text.size() && last > pos;
  return leaves_last ? last : next;
}

}  // namespace rushlight::tokenizers
