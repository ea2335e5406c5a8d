// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/tokenizers/unicode.h"

#include <gtest/gtest.h>

#include "src/tokenizers/char_set.h"
#include "src/tokenizers/utf8.h"

namespace rushlight::tokenizers {
namespace {

TEST(Utf8, IllFormedPartsAreMaximal) {
  const auto repaired = [](std::string_view bytes) {
    std::string out;
    AppendRepaired(bytes, &out);
    return out;
  };
  const std::string r(kReplacement);
  EXPECT_EQ(repaired("a\xC3\xA9z"), "a\xC3\xA9z");
  EXPECT_EQ(repaired("\x80\xBF"), r + r);
  EXPECT_EQ(repaired("\xC0\xAF"), r + r);  // too long a form
  EXPECT_EQ(repaired("\xE2\x82"), r);      // an end inside a character
  EXPECT_EQ(repaired("\xE2\x82x"), r + "x");
  EXPECT_EQ(repaired("\xF0\x9F\x99"), r);
  EXPECT_EQ(repaired("\xED\xA0\x80"), r + r + r);  // a surrogate
  EXPECT_EQ(repaired("\xF4\x90\x80\x80"), r + r + r + r);
  EXPECT_EQ(repaired("\xE2\xE2\x82\xAC"), r + "\xE2\x82\xAC");
}

TEST(Utf8, EveryCharacterThereAndBack) {
  for (uint32_t c = 0; c <= kLastCodePoint; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    AppendUtf8(c, &text);
    ASSERT_TRUE(IsUtf8(text));
    size_t pos = 0;
    ASSERT_EQ(NextCodePoint(text, &pos), c);
    ASSERT_EQ(pos, text.size());
    ASSERT_EQ(PreviousStart(text, text.size()), 0u);
  }
}

TEST(Normalize, Forms) {
  EXPECT_EQ(Normalize("e\u0301", NormalForm::kNfc), "\u00e9");
  EXPECT_EQ(Normalize("\u00e9", NormalForm::kNfd), "e\u0301");
  EXPECT_EQ(Normalize("\ufb01\u00b2", NormalForm::kNfkc), "fi2");
  EXPECT_EQ(Normalize("\ufb01", NormalForm::kNfc), "\ufb01");
  EXPECT_EQ(Normalize("a\u0308\u0323", NormalForm::kNfd), "a\u0323\u0308");
  EXPECT_EQ(Normalize("\u1100\u1161\u11a8", NormalForm::kNfc), "\uac01");
  EXPECT_EQ(Normalize("", NormalForm::kNfkd), "");
}

// A library that sorts marks by swapping neighbours takes hours here.
TEST(Normalize, AMillionMarks) {
  std::string text = "a";
  for (int i = 0; i < 250'000; ++i) text += "\u0301\u0323";
  for (const NormalForm form : {NormalForm::kNfc, NormalForm::kNfd}) {
    const std::string out = Normalize(text, form);
    EXPECT_GT(out.size(), 900'000u);
    EXPECT_TRUE(IsUtf8(out));
  }
}

TEST(CharSet, Operations) {
  const CharSet letters = CharSet::Of(kLetters);
  EXPECT_TRUE(letters.Contains('a'));
  EXPECT_TRUE(letters.Contains(0x4E00));
  EXPECT_FALSE(letters.Contains('1'));
  const CharSet others = letters.Complement();
  for (const uint32_t c : {0u, 97u, 49u, 0xE9u, 0x4E00u, 0x10FFFFu}) {
    EXPECT_NE(letters.Contains(c), others.Contains(c));
    EXPECT_TRUE(letters.Union(others).Contains(c));
    EXPECT_FALSE(letters.Intersection(others).Contains(c));
  }
  EXPECT_TRUE(letters == others.Complement());
  const CharSet::Range k[] = {{'k', 'k'}};
  EXPECT_TRUE(CharSet(k).WithAllCases().Contains(0x212A));  // KELVIN SIGN
  EXPECT_TRUE(CharSet::Property("Lowercase Letter").has_value());
  EXPECT_TRUE(CharSet::Property("Han")->Contains(0x4E00));
  EXPECT_FALSE(CharSet::Property("").has_value());
}

}  // namespace
}  // namespace rushlight::tokenizers
