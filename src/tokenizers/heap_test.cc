// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <string>

#include "rushlight/tokenizer.h"
#include "src/tokenizers/failing_allocations.h"

namespace rushlight {
namespace {

constexpr char kFile[] = R"({
  "added_tokens":[{"content":"<s>","special":true}],
  "normalizer":{"type":"NFKC"},
  "pre_tokenizer":{"type":"Sequence","pretokenizers":[
    {"type":"Split","pattern":{"Regex":"(?i:'s)|\\p{L}+|[^\\p{L}]"},"behavior":"Isolated"},
    {"type":"ByteLevel","use_regex":false}]},
  "decoder":{"type":"ByteLevel"},
  "model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]}})";

// The whole way; the first Error that occurs.
Error LoadAndUse() {
  const auto compiled =
      CompileTokenizer({reinterpret_cast<const uint8_t*>(kFile), sizeof(kFile) - 1});
  if (!compiled.ok()) return compiled.error();
  auto loaded =
      OpenTokenizer({reinterpret_cast<const uint8_t*>(compiled->data()), compiled->size()});
  if (!loaded.ok()) return loaded.error();
  const auto ids = (*loaded)->Encode("ab\xC3\xA9 <s> abab", {});
  if (!ids.ok()) return ids.error();
  const auto text = (*loaded)->Decode(*ids, false);
  if (!text.ok()) return text.error();
  StreamDecoder stream(**loaded, false);
  for (const int32_t id : *ids) {
    const auto part = stream.Add(id);
    if (!part.ok()) return part.error();
  }
  const auto rest = stream.Finish();
  return rest.ok() ? kOk : rest.error();
}

TEST(Tokenizer, HeapRefuses) { ExpectHeapErrors(&LoadAndUse); }

}  // namespace
}  // namespace rushlight
