// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/tokenizers/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "src/tokenizers/utf8.h"

namespace rushlight::tokenizers {
namespace {

static_assert(UTF8PROC_CATEGORY_LU == 1 && UTF8PROC_CATEGORY_MN == 6 && UTF8PROC_CATEGORY_ND == 9 &&
              UTF8PROC_CATEGORY_PC == 12 && UTF8PROC_CATEGORY_SM == 19 &&
              UTF8PROC_CATEGORY_ZS == 23 && UTF8PROC_CATEGORY_CC == 26 &&
              UTF8PROC_CATEGORY_CO == 29);

struct Range {
  uint32_t low, high;
};

template <size_t N>
bool Contains(const Range (&sorted)[N], uint32_t c) {
  const Range* r = std::upper_bound(sorted, sorted + N, c,
                                    [](uint32_t value, const Range& x) { return value < x.low; });
  return r != sorted && c <= r[-1].high;
}

// Where every P, Mn and Cf is younger than Unicode 8: BERT's classes do not know them.
constexpr Range kYoungerThan8[] = {
    {0x61D, 0x61D},     {0x7FD, 0x7FD},     {0x890, 0x8E2},     {0x9FD, 0x9FE},
    {0xA76, 0xA76},     {0xAFA, 0xAFF},     {0xB55, 0xB55},     {0xC04, 0xC3C},
    {0xC77, 0xC77},     {0xC84, 0xC84},     {0xD00, 0xD00},     {0xD3B, 0xD3C},
    {0xD81, 0xD81},     {0xEBA, 0xEBA},     {0xECE, 0xECE},     {0x180F, 0x1886},
    {0x1ABF, 0x1ACE},   {0x1B7D, 0x1B7E},   {0x1DF6, 0x1DFB},   {0x2E43, 0x2E5D},
    {0xA82C, 0xA82C},   {0xA8C5, 0xA8C5},   {0xA8FF, 0xA8FF},   {0xA9BD, 0xA9BD},
    {0x10D24, 0x10F89}, {0x11070, 0x11074}, {0x110C2, 0x110CD}, {0x111C9, 0x111C9},
    {0x111CF, 0x111CF}, {0x1123E, 0x11241}, {0x1133B, 0x1133B}, {0x11438, 0x1145E},
    {0x11660, 0x1166C}, {0x116B9, 0x116B9}, {0x1182F, 0x11FFF}, {0x12FF1, 0x13455},
    {0x16E97, 0x16F4F}, {0x16FE2, 0x16FE4}, {0x1CF00, 0x1CF46}, {0x1E000, 0x1E4EF},
    {0x1E944, 0x1E95F}};

// Where every M is younger than Unicode 9.
constexpr Range kMarksYoungerThan9[] = {
    {0x7FD, 0x7FD},     {0x898, 0x8D3},     {0x9FE, 0x9FE},     {0xAFA, 0xAFF},
    {0xB55, 0xB55},     {0xC04, 0xC3C},     {0xCF3, 0xD00},     {0xD3B, 0xD3C},
    {0xD81, 0xD81},     {0xEBA, 0xEBA},     {0xECE, 0xECE},     {0x1715, 0x1715},
    {0x180F, 0x180F},   {0x1ABF, 0x1ACE},   {0x1CF7, 0x1CF7},   {0x1DF6, 0x1DFA},
    {0xA82C, 0xA82C},   {0xA8FF, 0xA8FF},   {0x10D24, 0x10F85}, {0x11070, 0x11074},
    {0x110C2, 0x110C2}, {0x11145, 0x11146}, {0x111C9, 0x111C9}, {0x111CE, 0x111CF},
    {0x11241, 0x11241}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E}, {0x1182C, 0x11A99},
    {0x11D31, 0x13455}, {0x16F4F, 0x16F4F}, {0x16F7F, 0x16F87}, {0x16FE4, 0x16FF1},
    {0x1CF00, 0x1CF46}, {0x1E08F, 0x1E4EF}};

// Decompositions younger than the tables of `tokenizers` (Unicode 12).
constexpr Range kNoDecomposition[] = {{0x32FF, 0x32FF},   {0xA7F2, 0xA7F4},   {0xAB69, 0xAB69},
                                      {0x10781, 0x107BA}, {0x11938, 0x11938}, {0x1F16C, 0x1F16C},
                                      {0x1FBF0, 0x1FBF9}};

// Letters by the property Alphabetic that have another category.
constexpr Range kAlphabeticSymbols[] = {
    {0x24B6, 0x24E9}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};

bool IsIn(uint32_t c, Categories categories) { return (CategoryOf(c) & categories) != 0; }

}  // namespace

Categories CategoryOf(uint32_t c) {
  return Categories{1} << utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

bool IsWhitespace(uint32_t c) {
  if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
  return c == 0x85 || IsIn(c, kSeparators);
}

bool IsWordCharacter(uint32_t c) {
  constexpr Categories kWord = kLetters | kMarks | 1u << UTF8PROC_CATEGORY_ND |
                               1u << UTF8PROC_CATEGORY_NL | 1u << UTF8PROC_CATEGORY_PC;
  return IsIn(c, kWord) || c == 0x200C || c == 0x200D || Contains(kAlphabeticSymbols, c);
}

bool IsAsciiPunctuation(uint32_t c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
         (c >= '{' && c <= '~');
}

bool IsPunctuation(uint32_t c) {
  if (c < 0x80) return IsAsciiPunctuation(c);
  // Two have another category since.
  return (IsIn(c, kPunctuation) && !Contains(kYoungerThan8, c)) || c == 0x166D || c == 0x111C9;
}

bool IsBertControl(uint32_t c) {
  constexpr Categories kControl =
      1u << UTF8PROC_CATEGORY_CC | 1u << UTF8PROC_CATEGORY_CF | 1u << UTF8PROC_CATEGORY_CO;
  return c != '\t' && c != '\n' && c != '\r' && IsIn(c, kControl) && !Contains(kYoungerThan8, c);
}

bool IsNonspacingMark(uint32_t c) {
  return (IsIn(c, 1u << UTF8PROC_CATEGORY_MN) && !Contains(kYoungerThan8, c)) || c == 0x1734;
}

bool IsCombiningMark(uint32_t c) {
  return (IsIn(c, kMarks) && !Contains(kMarksYoungerThan9, c)) || c == 0x1CF2 || c == 0x1CF3;
}

bool IsCjkIdeograph(uint32_t c) {
  constexpr Range kIdeographs[] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},
                                   {0x20000, 0x2A6DF}, {0x2A700, 0x2B81F}, {0x2B920, 0x2CEAF},
                                   {0x2F800, 0x2FA1F}};
  return Contains(kIdeographs, c);
}

void AppendLower(uint32_t c, std::string* out) {
  if (c == 0x130) {  // the one character whose lower case is two
    out->append("i\xCC\x87");
    return;
  }
  AppendUtf8(static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))), out);
}

void AppendUpper(uint32_t c, std::string* out) {
  if (c == 0xDF) {  // "ß" has none that is one character
    out->append("SS");
    return;
  }
  AppendUtf8(static_cast<uint32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))), out);
}

uint32_t SimpleCase(uint32_t c) {
  if (c == 0x130 || c == 0x131) return c;  // the Turkish i's fold to themselves
  const auto code_point = static_cast<utf8proc_int32_t>(c);
  return static_cast<uint32_t>(utf8proc_tolower(utf8proc_toupper(code_point)));
}

// utf8proc decomposes and composes single characters; the sorting of marks in between is ours,
// because its own takes quadratic time.
std::string Normalize(std::string_view text, NormalForm form) {
  const auto ascii = [](char c) { return static_cast<uint8_t>(c) < 0x80; };
  if (std::all_of(text.begin(), text.end(), ascii)) return std::string(text);

  const bool compatible = form == NormalForm::kNfkc || form == NormalForm::kNfkd;
  const auto options =
      static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0));
  std::vector<utf8proc_int32_t> out;
  out.reserve(text.size());
  constexpr utf8proc_ssize_t kMost = 32;  // the longest decomposition has 18
  utf8proc_int32_t parts[kMost];
  for (size_t pos = 0; pos < text.size();) {
    const auto c = static_cast<utf8proc_int32_t>(NextCodePoint(text, &pos));
    int boundary = 0;
    const utf8proc_ssize_t count =
        Contains(kNoDecomposition, static_cast<uint32_t>(c))
            ? 0
            : utf8proc_decompose_char(c, parts, kMost, options, &boundary);
    if (count < 1 || count > kMost) {
      out.push_back(c);
    } else {
      out.insert(out.end(), parts, parts + count);
    }
  }

  const auto combining_class = [](utf8proc_int32_t c) {
    return utf8proc_get_property(c)->combining_class;
  };
  for (auto run = out.begin(); run != out.end();) {
    if (combining_class(*run) == 0) {
      ++run;
      continue;
    }
    const auto end = std::find_if(run, out.end(), [&](auto c) { return combining_class(c) == 0; });
    std::stable_sort(run, end,
                     [&](auto a, auto b) { return combining_class(a) < combining_class(b); });
    run = end;
  }

  if (form == NormalForm::kNfc || form == NormalForm::kNfkc) {
    const utf8proc_ssize_t length = utf8proc_normalize_utf32(
        out.data(), static_cast<utf8proc_ssize_t>(out.size()),
        static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    if (length >= 0) out.resize(static_cast<size_t>(length));
  }
  std::string result;
  result.reserve(text.size());
  for (const utf8proc_int32_t c : out) AppendUtf8(static_cast<uint32_t>(c), &result);
  return result;
}

}  // namespace rushlight::tokenizers
