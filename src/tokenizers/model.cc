// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/tokenizers/model.h"

namespace rushlight::tokenizers {

Result<std::unique_ptr<Model>> MakeModel(Json json) {
  const std::string_view type = TypeOf(json);
  if (type == "WordPiece") return MakeWordPiece(json);
  // The oldest files do not name the type of BPE.
  if (type == "BPE" || (type.empty() && !Find(json, Field::kMerges).is_null())) {
    return MakeBpe(json);
  }
  return Error(Reason::kTokenizerUnsupported, static_cast<uint32_t>(Field::kModel));
}

}  // namespace rushlight::tokenizers
