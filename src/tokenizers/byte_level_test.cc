// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/tokenizers/byte_level.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "src/tokenizers/regex.h"
#include "src/tokenizers/utf8.h"

namespace rushlight::tokenizers {
namespace {

TEST(ByteLevel, AlphabetIsOneToOne) {
  std::string bytes, chars, back;
  for (int b = 0; b < 256; ++b) bytes.push_back(static_cast<char>(b));
  AppendByteChars(bytes, &chars);
  EXPECT_TRUE(IsUtf8(chars));
  AppendBytesOfChars(chars, &back);
  EXPECT_EQ(back, bytes);
}

TEST(ByteLevel, TokenWithOtherCharactersStandsForItself) {
  for (const std::string token : {"日本", "a日", "\xC2\xAD", "\xC5\x84"}) {
    std::string bytes = "x";
    AppendBytesOfChars(token, &bytes);
    EXPECT_EQ(bytes, "x" + token);
  }
}

TEST(ByteLevel, WordsAreThoseOfThePattern) {
  const auto regex = Regex::Parse(
      "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+");
  ASSERT_TRUE(regex.ok());
  const std::vector<std::string> pieces = {
      "a",      "Zz",     "é",      "中",     "1",      "42", "½",     " ",   "  ",
      "\n",     "\t",     "\u3000", "'",      "'s",     "'t", "'r",    "'re", "'l",
      "'ll",    "'ve",    "'m",     "'d",     "'x",     ".",  "!?",    "\0",  "🙂",
      "\u0301", "\u00a0", "\u0085", "\u200b", "\u2028", "ß",  "\u180e"};
  std::mt19937 random(20261123);
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (size_t n = random() % 12; n > 0; --n) text += pieces[random() % pieces.size()];
    Budget budget(text.size());
    std::vector<Regex::Match> matches;
    ASSERT_TRUE(regex->FindAll(text, &budget, &matches).ok());
    size_t pos = 0;
    for (const Regex::Match& m : matches) {
      ASSERT_EQ(m.begin, pos) << text;
      ASSERT_EQ(NextGpt2Word(text, pos), m.end) << text;
      pos = m.end;
    }
    ASSERT_EQ(pos, text.size());
  }
}

}  // namespace
}  // namespace rushlight::tokenizers
