// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Tokenizer: text to ids and back, as a Hugging Face tokenizer.json defines it.
//
//   auto tokenizer = rushlight::LoadTokenizer(bytes);           //
//   Result<std::unique_ptr<Tokenizer>> auto ids = (*tokenizer)->Encode("Hello", {}); //
//   Result<std::vector<int32_t>> auto text = (*tokenizer)->Decode(*ids, /*skip_special=*/true);
//
// The ids and the text are those of the Python library `tokenizers`.  Lengths are the caller's
// business: the "truncation" and "padding" sections of a file are ignored.
//
// Input that is not UTF-8 is read as Python's bytes.decode("utf-8", errors="replace") reads it:
// each maximal ill-formed part becomes one U+FFFD.  Characters that the linked Unicode library
// (utf8proc) does not know yet count as unassigned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rushlight/error.h"
#include "rushlight/span.h"

namespace rushlight {

struct EncodeOptions {
  bool add_special_tokens = true;    // what the file's post-processor adds, such as [CLS] ... [SEP]
  bool parse_special_tokens = true;  // whether "<|im_end|>" in the text is the token or just text
};

// Immutable after loading; any number of threads may use one.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  virtual Result<std::vector<int32_t>> Encode(std::string_view text,
                                              EncodeOptions options) const = 0;
  // Ids that the tokenizer does not have are skipped.
  virtual Result<std::string> Decode(Span<const int32_t> ids, bool skip_special) const = 0;

  // The bytes that a token adds to a text; where a character is split over several tokens, they are
  // not UTF-8.  `at_start`: as the first token, where decoders may drop a leading space.
  // Decode() of a whole text also repairs invalid UTF-8 and spaces between words; see
  // StreamDecoder.
  virtual Result<std::string> TokenBytes(int32_t id, bool at_start = false) const = 0;

  // One more than the largest id.
  virtual size_t vocab_size() const = 0;
  // The id of the token that is spelled so in the file ("Ġthe", "<|im_end|>").
  virtual std::optional<int32_t> FindToken(std::string_view content) const = 0;
  // Whether Decode leaves the token out when it skips special ones.
  virtual bool IsSpecial(int32_t id) const = 0;
  // What the post-processor puts first and last, if anything.
  virtual std::optional<int32_t> bos_id() const = 0;
  virtual std::optional<int32_t> eos_id() const = 0;
};

// Reads a tokenizer.json.  Nothing of `file` is kept.
Result<std::unique_ptr<Tokenizer>> LoadTokenizer(Span<const uint8_t> file);

// The same tokenizer in a form that is used where it lies: what a program file carries, so that
// opening it takes no time that grows with the vocabulary (WordPiece excepted).
Result<std::string> CompileTokenizer(Span<const uint8_t> file);
// Requires: `compiled` outlives the tokenizer.
Result<std::unique_ptr<Tokenizer>> OpenTokenizer(Span<const uint8_t> compiled);

// The JSON key that the index of a Reason::kTokenizerField stands for.
std::string_view TokenizerFieldName(uint32_t index);

// Text of a growing sequence of tokens, in whole characters: the start of a character waits until a
// later token completes it.  For one conversation; not thread-safe.
class StreamDecoder {
 public:
  // Requires: `tokenizer` outlives this object.
  StreamDecoder(const Tokenizer& tokenizer, bool skip_special)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}

  // The text that is complete with this token; may be empty.
  Result<std::string> Add(int32_t id);
  // What is still waiting, with U+FFFD for the character that never came.  Starts anew.
  Result<std::string> Finish();

 private:
  const Tokenizer& tokenizer_;
  const bool skip_special_;
  bool at_start_ = true;
  std::string pending_;  // the start of a character
};

}  // namespace rushlight
