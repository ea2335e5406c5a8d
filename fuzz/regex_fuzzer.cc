// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Patterns of tokenizer files, each with a text to search.

#include <cstdlib>

#include "fuzz/target.h"
#include "src/tokenizers/regex.h"
#include "src/tokenizers/utf8.h"

namespace rushlight {

std::vector<std::string> fuzz::Seeds() {
  const std::string text = "Hi there 1234'll é\n  \t!\xE2\x80\x94x";
  std::vector<std::string> seeds;
  for (const char* pattern : {
           "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
           "(?i:'s|'ll)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+| "
           "?[^\\s\\p{L}]++[\\r\\n]*+|\\s++$",
           "(?<=a|b)(?<!x)c(?>d+?)e*?$|^\\bf\\B\\A\\z\\Z",
           "[[:^a]&&[a-z]--[q]\\x{41}\\u0042\\d\\W]{2,5}(?#c)|.",
           "(a|b(c|d)*){1,3}(?=e)",
       }) {
    seeds.push_back(Join(pattern, text));
  }
  return seeds;
}

}  // namespace rushlight

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rushlight;
  const auto [pattern, bytes] = fuzz::Split(data, size);
  const auto regex = tokenizers::Regex::Parse(pattern);
  if (!regex.ok()) return 0;
  std::string text;
  tokenizers::AppendRepaired(bytes, &text);
  tokenizers::Budget budget(text.size());
  budget.steps() = 1 << 20;
  std::vector<tokenizers::Regex::Match> matches;
  if (!regex->FindAll(text, &budget, &matches).ok()) return 0;
  // From left to right, between characters, none inside another.
  size_t end = 0;
  for (const auto& m : matches) {
    if (m.begin < end || m.end < m.begin || m.end > text.size()) std::abort();
    if (!tokenizers::IsUtf8(std::string_view(text).substr(m.begin, m.end - m.begin))) std::abort();
    end = m.end;
  }
  return 0;
}
