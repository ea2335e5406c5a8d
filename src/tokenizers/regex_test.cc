// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Hostile patterns.  What patterns match is compared with Oniguruma in tokenizer_test.py.

#include "src/tokenizers/regex.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace rushlight::tokenizers {
namespace {

std::string Repeat(const std::string& unit, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += unit;
  return text;
}

// The error of matching; kOk and the number of matches otherwise.
Error Match(const std::string& pattern, const std::string& text, size_t* count = nullptr) {
  const Result<Regex> regex = Regex::Parse(pattern);
  if (!regex.ok()) return regex.error();
  Budget budget(text.size());
  std::vector<Regex::Match> matches;
  const Error error = regex->FindAll(text, &budget, &matches);
  if (count != nullptr) *count = matches.size();
  return error;
}

TEST(Regex, BacktrackingEndsInAnError) {
  for (const char* pattern : {"(a+)+$", "(a|a)*$", "(a|aa)+$", "(?:a*)(?:a*)(?:a*)(?:a*)(?:a*)$x",
                              "((a{1,9}){1,9}){1,9}$", "(?=(a+)+$)a", "(?<=a)(a+)+$"}) {
    EXPECT_EQ(Match(pattern, Repeat("a", 300) + "!").reason, Reason::kTokenizerPattern) << pattern;
  }
}

TEST(Regex, PolynomialWorkOnLongTextsEndsInAnError) {
  const std::string text = Repeat("1", 200'000);
  for (const char* pattern : {"\\w*\\d*x", "\\d+x", "(?:1(?=1*+x))*", "(?:1|1(?=\\d+x))*y",
                              "\\d*?x", "(?:\\d\\d)*x", "(?<=\\d{900})x|\\d{1000}y"}) {
    EXPECT_EQ(Match(pattern, text).reason, Reason::kTokenizerPattern) << pattern;
  }
}

TEST(Regex, LongMatchesAreFine) {
  size_t count = 0;
  EXPECT_TRUE(Match("\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+", Repeat(" ", 1'000'000), &count).ok());
  EXPECT_EQ(count, 1u);
  EXPECT_TRUE(Match("\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+|x", Repeat(" ", 999'999) + "x", &count).ok());
  EXPECT_EQ(count, 3u);
  EXPECT_TRUE(Match("(?:ab|c)+", Repeat("ab", 500'000), &count).ok());
  EXPECT_EQ(count, 1u);
  EXPECT_TRUE(Match("(?:ab|c)*+d", Repeat("ab", 1000) + "d", &count).ok());
  EXPECT_EQ(count, 1u);
}

TEST(Regex, RefusesWhatItDoesNotKnow) {
  for (const char* pattern :
       {"(a)\\1",  "\\k<n>",     "(?<n>a)\\g<n>", "\\R",          "\\X",         "\\K",
        "\\G",     "(?(1)a|b)",  "(*FAIL)",       "(?s:.)",       "(?x) a",      "(?~a)",
        "(a?)*",   "(?:a*){2,}", "(?<=a+)b",      "\\p{Klingon}", "[[:alpha:]]", "^*",
        "a{1001}", "a{2,1}",     "[\\d-z]",       "a***********", "\\Qa\\E"}) {
    EXPECT_EQ(Match(pattern, "a").reason, Reason::kTokenizerUnsupported) << pattern;
  }
}

TEST(Regex, RefusesWhatIsWrong) {
  for (const std::string pattern :
       {"(",   ")",     "(a",          "[",       "[a",    "[^",     "[z-a]", "\\",
        "*a",  "+",     "a|*",         "(?",      "(?<",   "(?<>a)", "\\p",   "\\p{",
        "\\x", "\\u12", "\\x{110000}", "\\uD800", "\\xE9", "[a&&",   "(?#",   "\xFF"}) {
    const ErrorCode code = Match(pattern, "a").code();
    EXPECT_EQ(code, ErrorCode::kTokenizerInvalid) << pattern;
  }
}

TEST(Regex, SizesAreLimited) {
  for (const std::string& pattern :
       {Repeat("(", 10'000), Repeat("(", 1000) + Repeat(")", 1000), Repeat("[", 10'000),
        Repeat("(?i)", 1000), Repeat("a", 10'000), std::string("((((a{1000}){1000}){1000}){1000})"),
        std::string("(((((){1000}){1000}){1000}){1000})"),
        std::string("(((((b)?){999}){999}){999})"), Repeat("(?=", 500), Repeat("(?:a|", 500)}) {
    EXPECT_FALSE(Match(pattern, "a").ok()) << pattern.substr(0, 40);
  }
  EXPECT_TRUE(Match(Repeat("\\p{L}", 1000), "a").ok());
  EXPECT_TRUE(Match(std::string("[").append(Repeat("\\p{L}", 1000)).append("]"), "a").ok());
  EXPECT_TRUE(Match(std::string("(?i)").append(Repeat("[ab]", 1000)), "a").ok());
}

TEST(Regex, AnyPatternIsSafe) {
  const std::string alphabet = "ab(()|[]^$.*+?{},-\\pPLsSdDwWbBuUxX0123456789<>=!:&i \xC3\xA9";
  std::mt19937 random(20261123);
  int accepted = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string pattern;
    for (size_t n = random() % 16; n > 0; --n) pattern += alphabet[random() % alphabet.size()];
    const Error error = Match(pattern, "ab \n1\u00e9");
    accepted += error.ok();
    EXPECT_TRUE(error.ok() || error.code() == ErrorCode::kTokenizerInvalid) << pattern;
  }
  EXPECT_GT(accepted, 1000);
}

}  // namespace
}  // namespace rushlight::tokenizers
