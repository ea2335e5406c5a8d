// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Classes of characters, lower case and normal forms, over utf8proc.
//
// The library `tokenizers` takes its classes from several sources of different ages; what each
// answers is noted where it differs from the current Unicode.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rushlight::tokenizers {

// A set of general categories: bits in the order of utf8proc_category_t.
using Categories = uint32_t;

inline constexpr Categories kLetters = 0x1Fu << 1;       // L: Lu, Ll, Lt, Lm, Lo
inline constexpr Categories kMarks = 0x7u << 6;          // M: Mn, Mc, Me
inline constexpr Categories kNumbers = 0x7u << 9;        // N: Nd, Nl, No
inline constexpr Categories kPunctuation = 0x7Fu << 12;  // P: Pc, Pd, Ps, Pe, Pi, Pf, Po
inline constexpr Categories kSymbols = 0xFu << 19;       // S: Sm, Sc, Sk, So
inline constexpr Categories kSeparators = 0x7u << 23;    // Z: Zs, Zl, Zp
inline constexpr Categories kOthers = 0xFu << 26 | 1u;   // C: Cc, Cf, Cs, Co, Cn

// The category of a code point up to U+10FFFF, as one bit.
Categories CategoryOf(uint32_t c);

inline bool IsLetter(uint32_t c) { return (CategoryOf(c) & kLetters) != 0; }
inline bool IsNumber(uint32_t c) { return (CategoryOf(c) & kNumbers) != 0; }
bool IsWhitespace(uint32_t c);     // the property White_Space
bool IsWordCharacter(uint32_t c);  // \w of Unicode's regular expressions (UTS 18)
bool IsAsciiPunctuation(uint32_t c);
bool IsPunctuation(uint32_t c);     // P of Unicode 8, or ASCII punctuation
bool IsBertControl(uint32_t c);     // Cc, Cf and Co of Unicode 8, without tab and line ends
bool IsNonspacingMark(uint32_t c);  // Mn of Unicode 8
bool IsCombiningMark(uint32_t c);   // M of Unicode 9
bool IsCjkIdeograph(uint32_t c);    // as BERT lists them

// The lower case of one character: no context, so a capital sigma is always "σ".
void AppendLower(uint32_t c, std::string* out);
void AppendUpper(uint32_t c, std::string* out);

// Two characters with one SimpleCase differ in case only.
uint32_t SimpleCase(uint32_t c);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

// Time n log n for a run of n marks.  Requires: valid UTF-8.
std::string Normalize(std::string_view text, NormalForm form);

}  // namespace rushlight::tokenizers
