// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The interface, and files and texts that are hostile.  Equality with the Python library is tested
// in tokenizer_test.py.

#include "rushlight/tokenizer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>

namespace rushlight {
namespace {

using Ids = std::vector<int32_t>;

Result<std::unique_ptr<Tokenizer>> Load(const std::string& json) {
  return LoadTokenizer({reinterpret_cast<const uint8_t*>(json.data()), json.size()});
}

Reason LoadError(const std::string& json) {
  const auto tokenizer = Load(json);
  return tokenizer.error().reason;
}

// A BPE file with more sections in front of the model.
std::string Bpe(const std::string& sections, const std::string& vocab = R"({"a":0,"b":1,"ab":2})",
                const std::string& merges = R"(["a b"])", const std::string& more = "") {
  std::string json = "{";
  json.append(sections).append(sections.empty() ? "" : ",");
  json.append(R"("model":{"type":"BPE","vocab":)").append(vocab);
  return json.append(R"(,"merges":)").append(merges).append(more).append("}}");
}

// As in a byte-level file, with the letters of "Hi é!" and special tokens.
const std::string kByteLevel = Bpe(
    R"("added_tokens":[{"id":9,"content":"<s>","special":true,"normalized":false},
                       {"id":10,"content":"<e>","special":true,"normalized":false}],
       "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},
       "decoder":{"type":"ByteLevel"},
       "post_processor":{"type":"TemplateProcessing",
         "single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"<e>"}}],
         "special_tokens":{"<s>":{"ids":[9]},"<e>":{"ids":[10]}}})",
    R"({"H":0,"i":1,"Hi":2,"Ġ":3,"Ã":4,"©":5,"!":6,"ĠÃ":7,"â":8})", R"([["H","i"],["Ġ","Ã"]])");

TEST(Tokenizer, Interface) {
  const auto loaded = Load(kByteLevel);
  ASSERT_TRUE(loaded.ok());
  const Tokenizer& t = **loaded;
  EXPECT_EQ(*t.Encode("Hi é!", {}), (Ids{9, 2, 7, 5, 6, 10}));
  EXPECT_EQ(*t.Encode("Hi", {.add_special_tokens = false}), (Ids{2}));
  EXPECT_EQ(*t.Encode("", {}), (Ids{9, 10}));
  EXPECT_EQ(*t.Encode("H<s>", {.add_special_tokens = false}), (Ids{0, 9}));
  EXPECT_EQ(*t.Encode("H<s>", {false, false}), (Ids{0}));  // "<", "s" and ">" have no token
  EXPECT_EQ(*t.Decode(Ids{9, 2, 7, 5, 6, 10}, true), "Hi é!");
  EXPECT_EQ(*t.Decode(Ids{9, 2, 77, -1, 6}, false), "<s>Hi!");
  EXPECT_EQ(*t.Decode(Ids{7}, false), " \xEF\xBF\xBD");
  EXPECT_EQ(*t.TokenBytes(7), " \xC3");
  EXPECT_EQ(t.TokenBytes(11).error().reason, Reason::kIndexOutOfRange);
  EXPECT_EQ(t.TokenBytes(-1).error().reason, Reason::kIndexOutOfRange);
  EXPECT_EQ(t.vocab_size(), 11u);
  EXPECT_EQ(t.FindToken("<e>"), 10);
  EXPECT_EQ(t.FindToken("Hi"), 2);
  EXPECT_EQ(t.FindToken("x"), std::nullopt);
  EXPECT_EQ(t.bos_id(), 9);
  EXPECT_EQ(t.eos_id(), 10);
  EXPECT_TRUE(t.IsSpecial(9));
  EXPECT_FALSE(t.IsSpecial(2));
  EXPECT_FALSE(t.IsSpecial(-5));
}

Result<std::unique_ptr<Tokenizer>> Open(const std::string& compiled) {
  return OpenTokenizer({reinterpret_cast<const uint8_t*>(compiled.data()), compiled.size()});
}

std::string Compile(const std::string& json) {
  auto compiled = CompileTokenizer({reinterpret_cast<const uint8_t*>(json.data()), json.size()});
  EXPECT_TRUE(compiled.ok());
  return *std::move(compiled);
}

// A word-piece file whose ids have gaps.
const std::string kWordPiece = R"({"model":{"type":"WordPiece","unk_token":"?",
    "vocab":{"?":3,"h":5,"##i":8,"hi":21,"##h":40}},"pre_tokenizer":{"type":"Whitespace"}})";

TEST(Tokenizer, CompiledIsTheSame) {
  // The oldest files have no type.
  const std::string untyped = R"({"model":{"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}})";
  for (const std::string& json : {kByteLevel, kWordPiece, untyped, Bpe("", "{}", "[]")}) {
    const std::string compiled = Compile(json);
    const auto loaded = Load(json), opened = Open(compiled);
    ASSERT_TRUE(loaded.ok() && opened.ok()) << json;
    EXPECT_EQ((*opened)->vocab_size(), (*loaded)->vocab_size());
    for (const char* text : {"Hi é! <s>Hi", "hi hih h x", "abab", ""}) {
      const auto ids = (*loaded)->Encode(text, {});
      EXPECT_EQ(*(*opened)->Encode(text, {}), *ids) << text;
      EXPECT_EQ(*(*opened)->Decode(*ids, false), *(*loaded)->Decode(*ids, false)) << text;
    }
    for (int32_t id = -1; id < 50; ++id) {
      const auto expected = (*loaded)->TokenBytes(id), bytes = (*opened)->TokenBytes(id);
      ASSERT_EQ(bytes.ok(), expected.ok()) << id;
      if (bytes.ok()) {
        EXPECT_EQ(*bytes, *expected);
        EXPECT_EQ((*opened)->FindToken(*bytes), (*loaded)->FindToken(*bytes));
      }
    }
  }
}

// Whatever the tables say: an error, or ids inside the vocabulary.
void Exercise(const std::string& compiled) {
  // In memory of its own, where a sanitizer sees what is read beside it.
  const std::vector<uint8_t> bytes(compiled.begin(), compiled.end());
  const auto opened = OpenTokenizer({bytes.data(), bytes.size()});
  if (!opened.ok()) return;
  const auto ids = (*opened)->Encode("Hi é! <s>hi hihi x", {});
  if (!ids.ok()) return;
  for (const int32_t id : *ids) {
    ASSERT_GE(id, 0);
    ASSERT_LT(static_cast<size_t>(id), (*opened)->vocab_size());
  }
  (void)(*opened)->Decode(*ids, false);
}

TEST(Tokenizer, HostileTables) {
  for (const std::string& json : {kByteLevel, kWordPiece}) {
    const std::string compiled = Compile(json);
    for (size_t size = 0; size < compiled.size(); ++size) {
      EXPECT_EQ(Open(compiled.substr(0, size)).error().reason, Reason::kTokenizerTables) << size;
    }
    for (size_t at = 0; at < compiled.size(); ++at) {
      for (const char byte : {'\x00', '\x01', '\x7f', '\x80', '\xff'}) {
        std::string changed = compiled;
        changed[at] = byte;
        Exercise(changed);
      }
      if (at % 4 != 0 || at + 4 > compiled.size()) continue;
      for (const uint32_t number : {0u, 1u, 5u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
        std::string changed = compiled;
        std::memcpy(&changed[at], &number, sizeof(number));
        Exercise(changed);
      }
    }
  }
}

// Tokens that are all of the contents: sorting them would take for ever.
TEST(Tokenizer, TokensLieBesideOneAnother) {
  std::string compiled = Compile(kWordPiece);
  const uint32_t starts[] = {0, 8, 0, 8, 0, 8};  // five tokens of eight bytes
  std::memcpy(&compiled[8 + 9 * 8], starts, sizeof(starts));
  const auto opened = Open(compiled);
  ASSERT_FALSE(opened.ok());
}

TEST(Tokenizer, SpecialTokensAreInsideTheVocabulary) {
  const auto file = [](const std::string& sep) {
    return Bpe(R"("post_processor":{"type":"BertProcessing","cls":["a",0],"sep":["x",)" + sep +
               "]}");
  };
  EXPECT_TRUE(Load(file("2")).ok());
  EXPECT_EQ(LoadError(file("3")), Reason::kTokenizerToken);
}

TEST(StreamDecoder, HoldsBackTheStartOfACharacter) {
  const auto loaded = Load(kByteLevel);
  ASSERT_TRUE(loaded.ok());
  StreamDecoder stream(**loaded, true);
  EXPECT_EQ(*stream.Add(9), "");
  EXPECT_EQ(*stream.Add(2), "Hi");
  EXPECT_EQ(*stream.Add(7), " ");
  EXPECT_EQ(*stream.Add(5), "é");
  EXPECT_EQ(*stream.Add(4), "");
  EXPECT_EQ(*stream.Add(6), "\xEF\xBF\xBD!");  // it was no character after all
  EXPECT_EQ(*stream.Add(8), "");
  EXPECT_EQ(*stream.Add(5), "");
  EXPECT_EQ(*stream.Finish(), "\xEF\xBF\xBD");
  EXPECT_EQ(*stream.Finish(), "");
  EXPECT_FALSE(stream.Add(1000).ok());
}

TEST(StreamDecoder, FirstTokenLosesItsSpace) {
  const auto loaded = Load(Bpe(
      R"("decoder":{"type":"Sequence","decoders":[
          {"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},
          {"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]})",
      R"({"▁a":0,"<0xE2>":1,"<0x82>":2,"<0xAC>":3})", "[]"));
  ASSERT_TRUE(loaded.ok());
  StreamDecoder stream(**loaded, true);
  std::string text;
  for (const int32_t id : {0, 0, 1, 2, 3, 0}) text += *stream.Add(id);
  EXPECT_EQ(text, "a a€ a");
  EXPECT_EQ(*(*loaded)->Decode(Ids{0, 0, 1, 2, 3, 0}, true), "a a€ a");
}

// Files

TEST(TokenizerFile, MustBeJson) {
  for (const std::string json :
       {"", " ", "{", "[", "}", "nul", "\"", "{\"a\":}", "{\"model\":{\"vocab\":{\"\xFF\":0}}}",
        "{\"a\":\"\\ud800\"}", "{} x", "1e999"}) {
    EXPECT_EQ(LoadError(json), Reason::kTokenizerJson) << json;
  }
  EXPECT_EQ(Load("[1, x]").error().found, 5);
}

TEST(TokenizerFile, DepthIsLimited) {
  for (const char* open : {"[", "{\"a\":"}) {
    std::string json;
    for (int i = 0; i < 10'000; ++i) json += open;
    EXPECT_EQ(LoadError(json), Reason::kTokenizerJson);
    EXPECT_EQ(LoadError(R"({"model":)" + json), Reason::kTokenizerJson);
  }
}

TEST(TokenizerFile, EveryFieldOfTheWrongType) {
  EXPECT_TRUE(Load(kByteLevel).ok());
  // Each value in turn is replaced by one of every type; most are refused, none may do harm.
  int refused = 0;
  for (const char* value : {"null", "true", "-1", "2147483648", "1.5", "\"x\"", "[]", "{}", "[[]]",
                            "[{}]", "[null]", "{\"type\":\"ByteLevel\"}"}) {
    for (size_t colon = kByteLevel.find(':'); colon != std::string::npos;
         colon = kByteLevel.find(':', colon + 1)) {
      size_t end = colon + 1;
      int depth = 0;
      for (bool quoted = false; end < kByteLevel.size(); ++end) {
        const char c = kByteLevel[end];
        if (c == '"') quoted = !quoted;
        if (quoted) continue;
        depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        if (depth < 0 || (depth == 0 && c == ',')) break;
      }
      const auto loaded = Load(kByteLevel.substr(0, colon + 1) + value + kByteLevel.substr(end));
      if (!loaded.ok()) {
        ++refused;
        EXPECT_EQ(loaded.error().code(), ErrorCode::kTokenizerInvalid);
        continue;
      }
      const auto ids = (*loaded)->Encode("Hi <s> é!", {});
      EXPECT_TRUE(!ids.ok() || (*loaded)->Decode(*ids, false).ok());
    }
  }
  EXPECT_GT(refused, 200);
}

TEST(TokenizerFile, FieldsAreNamed) {
  const auto field = [](const std::string& json) {
    return std::string(TokenizerFieldName(Load(json).error().index));
  };
  EXPECT_EQ(field(R"({"model":{"type":"BPE","merges":[]}})"), "vocab");
  EXPECT_EQ(field(R"({"model":{"type":"BPE","vocab":[],"merges":[]}})"), "vocab");
  EXPECT_EQ(field(R"({"model":{"type":"BPE","vocab":{}}})"), "merges");
  EXPECT_EQ(field(Bpe(R"("added_tokens":{})")), "added_tokens");
  EXPECT_EQ(field(Bpe(R"("added_tokens":[{"content":1}])")), "content");
  EXPECT_EQ(field(Bpe(R"("normalizer":{"type":"Replace"})")), "pattern");
  EXPECT_EQ(field(Bpe(R"("normalizer":{"type":"Sequence"})")), "normalizers");
  EXPECT_EQ(field(Bpe(R"("decoder":{"type":"Strip"})")), "content");
  EXPECT_EQ(field(R"({"model":{"type":"WordPiece","vocab":{"a":0}}})"), "unk_token");
  EXPECT_EQ(field(R"({"model":{"type":"WordPiece","vocab":{"[UNK]":0},
                      "max_input_chars_per_word":1000000}})"),
            "max_input_chars_per_word");
  EXPECT_EQ(TokenizerFieldName(1000), "");
}

TEST(TokenizerFile, UnknownStagesAreRefused) {
  for (const char* section :
       {R"("normalizer":{"type":"Precompiled"})", R"("normalizer":{})", R"("normalizer":[])",
        R"("pre_tokenizer":{"type":"UnicodeScripts"})", R"("decoder":{"type":"CTC"})",
        R"("post_processor":{"type":"?"})", R"("model":{"type":"Unigram","vocab":[]},"x":0)",
        R"("pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a)\\1"}})"}) {
    const std::string json = std::string(section).find("\"model\"") == std::string::npos
                                 ? Bpe(section)
                                 : std::string("{").append(section).append("}");
    EXPECT_EQ(LoadError(json), Reason::kTokenizerUnsupported) << section;
  }
}

TEST(TokenizerFile, Ids) {
  for (const char* vocab :
       {R"({"a":-1})", R"({"a":2147483648})", R"({"a":18446744073709551616})", R"({"a":1e3})",
        R"({"a":null})", R"({"a":"0"})", R"({"a":0,"b":0})", R"({"a":0,"a":1})"}) {
    EXPECT_EQ(LoadError(Bpe("", vocab, "[]")), Reason::kTokenizerToken) << vocab;
  }
  const auto sparse = Load(Bpe("", R"({"a":2147483647,"b":5})", "[]"));
  ASSERT_TRUE(sparse.ok());
  EXPECT_EQ((*sparse)->vocab_size(), 2147483648u);
  EXPECT_EQ(*(*sparse)->Encode("ab", {}), (Ids{2147483647, 5}));
  EXPECT_EQ(*(*sparse)->Decode(Ids{2147483647, 5, 6}, true), "a b");
  // There is no id left for an added token.
  EXPECT_EQ(LoadError(Bpe(R"("added_tokens":[{"content":"a"},{"content":"x"}])",
                          R"({"a":2147483647})", "[]")),
            Reason::kTokenizerToken);
}

TEST(TokenizerFile, Merges) {
  for (const char* merges : {R"(["a c"])", R"(["c a"])", R"(["b a"])", R"(["a"])", R"(["a b c"])",
                             R"([""])", R"([["a"]])", R"([["a","b","c"]])", R"([["a",1]])",
                             R"([1])", R"({})", R"([null])", R"([["a",null]])"}) {
    const Reason reason = LoadError(Bpe("", R"({"a":0,"b":1,"ab":2})", merges));
    EXPECT_TRUE(reason == Reason::kTokenizerMerge || reason == Reason::kTokenizerField) << merges;
  }
  // A prefix that is longer than the token it is taken from.
  EXPECT_EQ(LoadError(Bpe("", R"({"a":0,"b":1,"ab":2})", R"(["a b"])",
                          R"(,"continuing_subword_prefix":"####")")),
            Reason::kTokenizerMerge);
}

TEST(TokenizerFile, MergesInACircle) {
  // The empty token, tokens that merge into themselves by way of the prefix, the same pair twice.
  const auto loaded = Load(Bpe("", R"({"a":0,"":1,"##a":2,"b":3,"##b":4,"##":5,"ab":6,"aa":7})",
                               R"([["a","##"],["##","##"],["a","##a"],["a","##b"],["a","##a"]])",
                               R"(,"continuing_subword_prefix":"##")"));
  ASSERT_TRUE(loaded.ok());
  for (const char* text : {"a", "aa", "aaaa", "abab", "bbbb"}) {
    EXPECT_TRUE((*loaded)->Encode(text, {}).ok()) << text;
  }
}

TEST(TokenizerFile, AMillionTokens) {
  std::string vocab = "{", merges = "[", added = R"("added_tokens":[)";
  for (int i = 0; i < 1'000'000; ++i) {
    const std::string n = std::to_string(i);
    vocab += (i == 0 ? "\"t" : ",\"t") + n + "\":" + n;
    if (i < 100'000) added += (i == 0 ? R"({"content":"<)" : R"(,{"content":"<)") + n + R"(>"})";
  }
  const auto loaded = Load(Bpe(added + "]", vocab + "}", merges + "]"));
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ((*loaded)->vocab_size(), 1'100'000u);
  EXPECT_EQ((*loaded)->FindToken("t999999"), 999'999);
  EXPECT_EQ(*(*loaded)->Encode("<99999><5>", {}), (Ids{1'099'999, 1'000'005}));
}

TEST(TokenizerFile, TruncatedAtEveryByte) {
  for (size_t size = 0; size < kByteLevel.size(); ++size) {
    EXPECT_EQ(LoadError(kByteLevel.substr(0, size)), Reason::kTokenizerJson);
  }
}

TEST(TokenizerFile, RandomMutants) {
  std::mt19937 random(20261123);
  int loadable = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string json = kByteLevel;
    for (int n = 1 + static_cast<int>(random() % 3); n > 0; --n) {
      const size_t pos = random() % json.size();
      switch (random() % 3) {
        case 0:
          json[pos] = static_cast<char>(random());
          break;
        case 1:
          json.erase(pos, 1 + random() % 8);
          break;
        default:
          json.insert(pos, json.substr(random() % json.size(), random() % 16));
      }
    }
    const auto loaded = Load(json);
    if (!loaded.ok()) continue;
    ++loadable;
    const auto ids = (*loaded)->Encode("Hi é! <s>Hi<e>", {});
    EXPECT_TRUE(!ids.ok() || (*loaded)->Decode(*ids, random() % 2 == 0).ok());
  }
  EXPECT_GT(loadable, 500);
}

// Work in proportion to the text

TEST(TokenizerFile, GrowthIsLimited) {
  std::string doubling, big(100'000, 'x');
  for (int i = 0; i < 60; ++i) {
    doubling += (i == 0 ? "" : ",") +
                std::string(R"({"type":"Replace","pattern":{"String":"a"},"content":"aa"})");
  }
  const auto encode = [](const std::string& json) {
    const auto loaded = Load(json);
    return loaded.ok() ? (*loaded)->Encode(std::string(10'000, 'a'), {}).error().reason
                       : loaded.error().reason;
  };
  EXPECT_EQ(encode(Bpe(R"("normalizer":{"type":"Sequence","normalizers":[)" + doubling + "]}")),
            Reason::kTextTooLong);
  EXPECT_EQ(encode(Bpe(R"("normalizer":{"type":"Replace","pattern":{"String":""},"content":")" +
                       big + R"("})")),
            Reason::kTextTooLong);
  const std::string sep = R"("added_tokens":[{"content":"a","normalized":false}],)";
  EXPECT_EQ(encode(Bpe(sep + R"("normalizer":{"type":"Prepend","prepend":")" + big + R"("})")),
            Reason::kOk);  // there is nothing between the tokens to put it in front of

  const auto loaded = Load(Bpe(R"("decoder":{"type":"Sequence","decoders":[)" + doubling + "]}"));
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ((*loaded)->Decode(Ids(1000, 0), false).error().reason, Reason::kTextTooLong);
  EXPECT_EQ((*loaded)->TokenBytes(0).error().reason, Reason::kTextTooLong);
}

TEST(TokenizerFile, TooManyStages) {
  std::string steps = R"({"type":"NFKC"})", nested = steps;
  for (int i = 0; i < 100; ++i) steps += R"(,{"type":"NFKC"})";
  for (int i = 0; i < 10; ++i) nested = R"({"type":"Sequence","normalizers":[)" + nested + "]}";
  EXPECT_EQ(LoadError(Bpe(R"("normalizer":{"type":"Sequence","normalizers":[)" + steps + "]}")),
            Reason::kTokenizerField);
  EXPECT_EQ(LoadError(Bpe(R"("normalizer":)" + nested)), Reason::kTokenizerField);
}

TEST(TokenizerFile, HostilePattern) {
  const auto loaded = Load(Bpe(
      R"("pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a+)+$"},"behavior":"Isolated"})"));
  ASSERT_TRUE(loaded.ok());
  EXPECT_TRUE((*loaded)->Encode("aaab", {}).ok());
  EXPECT_EQ((*loaded)->Encode(std::string(40, 'a') + "b", {}).error().reason,
            Reason::kTokenizerPattern);
}

TEST(TokenizerText, AMegabyte) {
  const auto bpe =
      Load(Bpe("", R"({"a":0,"b":1,"ab":2,"aa":3,"aaaa":4})", R"(["a a","aa aa","a b"])"));
  const auto word_piece = Load(R"({"pre_tokenizer":{"type":"BertPreTokenizer"},
      "model":{"type":"WordPiece","vocab":{"[UNK]":0,"a":1,"##a":2},
               "max_input_chars_per_word":1000}})");
  const auto spaces = Load(Bpe(
      R"("added_tokens":[{"content":" ","rstrip":true,"lstrip":true,"normalized":false},
                         {"content":"a b","single_word":true}])"));
  ASSERT_TRUE(bpe.ok() && word_piece.ok() && spaces.ok());
  const size_t n = 1 << 20;
  EXPECT_EQ((*bpe)->Encode(std::string(n, 'a'), {})->size(), n / 4);
  EXPECT_EQ((*word_piece)->Encode(std::string(n, 'a'), {})->size(), 1u);
  EXPECT_TRUE((*spaces)->Encode(std::string(n, ' '), {}).ok());
  std::string words;
  while (words.size() < n) words += std::string(1000, 'a') + " ";
  EXPECT_GT((*word_piece)->Encode(words, {})->size(), n / 2);
}

}  // namespace
}  // namespace rushlight
