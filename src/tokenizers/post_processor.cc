// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/tokenizers/post_processor.h"

#include <string>

namespace rushlight::tokenizers {
namespace {

// Appends the ids of {"id": "[CLS]", "ids": [101]}.
Error AppendIds(Json token, std::vector<int32_t>* ids) {
  const Json list = Find(token, Field::kIds);
  RL_CHECK(list.is_array(), Reason::kTokenizerField, static_cast<uint32_t>(Field::kIds));
  for (const Json id : list) {
    RL_CHECK(IsId(id), Reason::kTokenizerField, static_cast<uint32_t>(Field::kIds));
    ids->push_back(static_cast<int32_t>(id.AsUnsigned()));
  }
  return kOk;
}

// "single" is a list of {"SpecialToken": {"id": "[CLS]"}} and one {"Sequence": {"id": "A"}}.
Error ReadTemplate(Json json, PostProcessor* result) {
  const Json single = Find(json, Field::kSingle);
  RL_CHECK(single.is_array(), Reason::kTokenizerField, static_cast<uint32_t>(Field::kSingle));
  const Json tokens = Find(json, Field::kSpecialTokens);
  bool behind_text = false;
  int pieces = 0;
  for (const Json piece : single) {
    RL_CHECK(++pieces <= kMaxSteps, Reason::kTokenizerField, static_cast<uint32_t>(Field::kSingle));
    std::string id;
    if (const Json sequence = Find(piece, Field::kSequence); !sequence.is_null()) {
      RL_RETURN_IF_ERROR(Read(sequence, Field::kId, &id));
      RL_CHECK(id == "A" && !behind_text, Reason::kTokenizerUnsupported,
               static_cast<uint32_t>(Field::kSequence));
      behind_text = true;
      continue;
    }
    RL_RETURN_IF_ERROR(Read(Find(piece, Field::kSpecialToken), Field::kId, &id));
    RL_RETURN_IF_ERROR(AppendIds(tokens.Find(id), behind_text ? &result->suffix : &result->prefix));
  }
  RL_CHECK(behind_text, Reason::kTokenizerUnsupported, static_cast<uint32_t>(Field::kSingle));
  return kOk;
}

// The pair ["[CLS]", 101].
Error AppendPair(Json json, Field field, std::vector<int32_t>* ids) {
  int position = 0;
  for (const Json element : Find(json, field)) {
    if (++position != 2) continue;
    RL_CHECK(IsId(element), Reason::kTokenizerField, static_cast<uint32_t>(field));
    ids->push_back(static_cast<int32_t>(element.AsUnsigned()));
  }
  RL_CHECK(position == 2, Reason::kTokenizerField, static_cast<uint32_t>(field));
  return kOk;
}

}  // namespace

Result<PostProcessor> ReadPostProcessor(Json json) {
  PostProcessor result;
  bool has_template = false;
  const auto add = [&](Json step) -> Error {
    const std::string_view type = TypeOf(step);
    if (type == "ByteLevel") return kOk;  // moves offsets, which we do not report
    RL_CHECK(!has_template, Reason::kTokenizerUnsupported,
             static_cast<uint32_t>(Field::kPostProcessor));
    has_template = true;
    if (type == "TemplateProcessing") return ReadTemplate(step, &result);
    RL_CHECK(type == "BertProcessing" || type == "RobertaProcessing", Reason::kTokenizerUnsupported,
             static_cast<uint32_t>(Field::kPostProcessor));
    RL_RETURN_IF_ERROR(AppendPair(step, Field::kCls, &result.prefix));
    return AppendPair(step, Field::kSep, &result.suffix);
  };
  RL_RETURN_IF_ERROR(ForEachStep(json, Field::kProcessors, add));
  return result;
}

}  // namespace rushlight::tokenizers
