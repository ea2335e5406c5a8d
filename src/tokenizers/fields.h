// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Typed access to the fields of tokenizer.json.  A field that is absent or null keeps its default;
// one of the wrong type is Reason::kTokenizerField, index: the Field.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "rushlight/error.h"
#include "src/tokenizers/json_tree.h"

namespace rushlight::tokenizers {

// The fields that are read, each with its key.
#define RL_TOKENIZER_FIELDS(X)                             \
  X(kAddPrefixSpace, "add_prefix_space")                   \
  X(kAddedTokens, "added_tokens")                          \
  X(kBehavior, "behavior")                                 \
  X(kByteFallback, "byte_fallback")                        \
  X(kCleanText, "clean_text")                              \
  X(kCleanup, "cleanup")                                   \
  X(kCls, "cls")                                           \
  X(kContent, "content")                                   \
  X(kContinuingSubwordPrefix, "continuing_subword_prefix") \
  X(kDecoder, "decoder")                                   \
  X(kDecoders, "decoders")                                 \
  X(kEndOfWordSuffix, "end_of_word_suffix")                \
  X(kFuseUnk, "fuse_unk")                                  \
  X(kHandleChineseChars, "handle_chinese_chars")           \
  X(kId, "id")                                             \
  X(kIds, "ids")                                           \
  X(kIgnoreMerges, "ignore_merges")                        \
  X(kIndividualDigits, "individual_digits")                \
  X(kInvert, "invert")                                     \
  X(kLowercase, "lowercase")                               \
  X(kLstrip, "lstrip")                                     \
  X(kMaxInputCharsPerWord, "max_input_chars_per_word")     \
  X(kMerges, "merges")                                     \
  X(kModel, "model")                                       \
  X(kNormalized, "normalized")                             \
  X(kNormalizer, "normalizer")                             \
  X(kNormalizers, "normalizers")                           \
  X(kPattern, "pattern")                                   \
  X(kPostProcessor, "post_processor")                      \
  X(kPreTokenizer, "pre_tokenizer")                        \
  X(kPrefix, "prefix")                                     \
  X(kPrepend, "prepend")                                   \
  X(kPrependScheme, "prepend_scheme")                      \
  X(kPretokenizers, "pretokenizers")                       \
  X(kProcessors, "processors")                             \
  X(kRegex, "Regex")                                       \
  X(kReplacement, "replacement")                           \
  X(kRstrip, "rstrip")                                     \
  X(kSep, "sep")                                           \
  X(kSequence, "Sequence")                                 \
  X(kSingle, "single")                                     \
  X(kSingleWord, "single_word")                            \
  X(kSpecial, "special")                                   \
  X(kSpecialToken, "SpecialToken")                         \
  X(kSpecialTokens, "special_tokens")                      \
  X(kSplit, "split")                                       \
  X(kStart, "start")                                       \
  X(kStop, "stop")                                         \
  X(kString, "String")                                     \
  X(kStripAccents, "strip_accents")                        \
  X(kStripLeft, "strip_left")                              \
  X(kStripRight, "strip_right")                            \
  X(kSuffix, "suffix")                                     \
  X(kType, "type")                                         \
  X(kUnkToken, "unk_token")                                \
  X(kUseRegex, "use_regex")                                \
  X(kVocab, "vocab")

enum class Field : uint32_t {
  kRoot,  // the file itself
#define RL_ENUMERATOR(name, key) name,
  RL_TOKENIZER_FIELDS(RL_ENUMERATOR)
#undef RL_ENUMERATOR
};

std::string_view FieldName(Field field);

inline Error FieldError(Field field) {
  return Error(Reason::kTokenizerField, static_cast<uint32_t>(field));
}

// The value of a field; null if there is none.
Json Find(Json object, Field field);

Error Read(Json object, Field field, bool* value);
Error Read(Json object, Field field, std::string* value);
Error Read(Json object, Field field, int32_t* value);  // from 0 to 2^31 - 1

// The string "type" of a normalizer, model, ...; empty if there is none.
std::string_view TypeOf(Json object);

// Whether `value` is a number that fits an id.
bool IsId(Json value);

// Calls add(step) for the steps of a pipeline in order: for the elements of a "Sequence", which may
// be sequences again, or for `object` itself.
template <class Add>
Error ForEachStep(Json object, Field list, const Add& add);

inline constexpr int kMaxSequenceDepth = 8;
inline constexpr int kMaxSteps = 64;

namespace internal {
template <class Add>
Error ForEachStep(Json object, Field list, const Add& add, int depth, int* steps) {
  if (TypeOf(object) != "Sequence") {
    RL_CHECK(++*steps <= kMaxSteps, Reason::kTokenizerField, static_cast<uint32_t>(list));
    return add(object);
  }
  const Json elements = Find(object, list);
  RL_CHECK(depth < kMaxSequenceDepth && elements.is_array(), Reason::kTokenizerField,
           static_cast<uint32_t>(list));
  for (const Json element : elements) {
    RL_RETURN_IF_ERROR(ForEachStep(element, list, add, depth + 1, steps));
  }
  return kOk;
}
}  // namespace internal

template <class Add>
Error ForEachStep(Json object, Field list, const Add& add) {
  int steps = 0;
  return internal::ForEachStep(object, list, add, 0, &steps);
}

}  // namespace rushlight::tokenizers
