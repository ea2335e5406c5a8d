// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Tokenizer files (tokenizer.json, or compiled), each with a text that is encoded and decoded
// again.

#include <algorithm>
#include <cstdlib>

#include "fuzz/target.h"
#include "rushlight/tokenizer.h"
#include "src/tokenizers/tables.h"  // Bytes

namespace rushlight {

std::vector<std::string> fuzz::Seeds() {
  const std::string text = "Hi é! <s>a b  1234'll\n\xF0\x9F\x99\x82\xFF";
  std::vector<std::string> seeds;
  for (const char* json : {
           R"({"added_tokens":[{"id":7,"content":"<s>","special":true,"normalized":false}],
               "normalizer":{"type":"NFKC"},
               "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":true},
               "decoder":{"type":"ByteLevel"},
               "post_processor":{"type":"TemplateProcessing",
                 "single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],
                 "special_tokens":{"<s>":{"ids":[7]}}},
               "model":{"type":"BPE","vocab":{"H":0,"i":1,"Hi":2,"\u0120":3,"\u00c3":4,"\u00a9":5,
                          "\u0120\u00c3":6},
                        "merges":["H i",["\u0120","\u00c3"]]}})",
           R"({"normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"\u2581"},
                 {"type":"Replace","pattern":{"String":" "},"content":"\u2581"}]},
               "decoder":{"type":"Sequence","decoders":[
                 {"type":"Replace","pattern":{"String":"\u2581"},"content":" "},
                 {"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},
               "model":{"type":"BPE","unk_token":"<unk>","byte_fallback":true,"fuse_unk":true,
                 "vocab":{"<unk>":0,"\u2581":1,"a":2,"\u2581a":3,"<0xC3>":4,"<0xA9>":5},
                 "merges":["\u2581 a"]}})",
           R"({"normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,
                 "strip_accents":null,"lowercase":true},
               "pre_tokenizer":{"type":"BertPreTokenizer"},
               "decoder":{"type":"WordPiece","prefix":"##","cleanup":true},
               "post_processor":{"type":"BertProcessing","sep":["[SEP]",2],"cls":["[CLS]",1]},
               "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",
                 "max_input_chars_per_word":100,
                 "vocab":{"[UNK]":0,"[CLS]":1,"[SEP]":2,"h":3,"##i":4,"e":5,"!":6}}})",
           R"({"pre_tokenizer":{"type":"Sequence","pretokenizers":[
                 {"type":"Split","pattern":{"Regex":"(?i:'s|'ll)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s+(?!\\S)|\\s+"},
                  "behavior":"Isolated","invert":false},
                 {"type":"Digits","individual_digits":true},
                 {"type":"Metaspace","replacement":"\u2581","prepend_scheme":"first","split":true},
                 {"type":"Punctuation","behavior":"Removed"}]},
               "decoder":{"type":"Metaspace","replacement":"\u2581","prepend_scheme":"first"},
               "model":{"type":"BPE","ignore_merges":true,"end_of_word_suffix":"</w>",
                 "vocab":{"1":0,"2":1,"\u2581Hi":2,"a</w>":3},"merges":[]}})",
       }) {
    seeds.push_back(Join(json, text));
    const auto compiled = CompileTokenizer(tokenizers::Bytes(json));
    if (!compiled.ok()) std::abort();
    seeds.push_back(*compiled);
  }
  return seeds;
}

}  // namespace rushlight

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rushlight;
  // A compiled file has NULs; its own end serves as a text.
  auto [json, text] = fuzz::Split(data, size);
  const bool compiled = json.substr(0, 4) == "RLTK";
  const size_t tail = std::min<size_t>(size, 64);
  if (compiled) text = {reinterpret_cast<const char*>(data) + size - tail, tail};
  const auto loaded =
      compiled ? OpenTokenizer({data, size}) : LoadTokenizer(tokenizers::Bytes(json));
  if (!loaded.ok()) return 0;
  const Tokenizer& tokenizer = **loaded;
  for (const EncodeOptions options : {EncodeOptions{true, true}, EncodeOptions{false, false}}) {
    const auto ids = tokenizer.Encode(text, options);
    if (!ids.ok()) continue;
    StreamDecoder stream(tokenizer, true);
    for (const int32_t id : *ids) {
      // What it encodes to, it knows.
      if (id < 0 || static_cast<size_t>(id) >= tokenizer.vocab_size()) std::abort();
      if (const auto bytes = tokenizer.TokenBytes(id); bytes.ok()) fuzz::Touch(*bytes);
      if (const auto piece = stream.Add(id); piece.ok()) fuzz::Touch(*piece);
    }
    if (const auto end = stream.Finish(); end.ok()) fuzz::Touch(*end);
    if (const auto decoded = tokenizer.Decode(*ids, false); decoded.ok()) fuzz::Touch(*decoded);
  }
  const int32_t others[] = {INT32_MIN, -1, 0, 1, 7, INT32_MAX};
  if (const auto decoded = tokenizer.Decode(others, true); decoded.ok()) fuzz::Touch(*decoded);
  fuzz::g_sum =
      fuzz::g_sum + tokenizer.FindToken(text).value_or(0) + tokenizer.bos_id().value_or(0);
  return 0;
}
