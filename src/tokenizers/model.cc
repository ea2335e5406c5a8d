// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/tokenizers/model.h"

namespace rushlight::tokenizers {
namespace {

constexpr std::string_view kBpe = "BPE", kWordPiece = "WordPiece";

// The oldest files do not name the type of BPE.
std::string_view KindOf(Json model) {
  const std::string_view type = TypeOf(model);
  return type.empty() && !Find(model, Field::kMerges).is_null() ? kBpe : type;
}

Error Unsupported() {
  return Error(Reason::kTokenizerUnsupported, static_cast<uint32_t>(Field::kModel));
}

}  // namespace

Result<std::string> CompileTables(Json model, std::string_view description) {
  const std::string_view kind = KindOf(model);
  if (kind != kBpe && kind != kWordPiece) return Unsupported();
  TablesBuilder builder;
  RL_RETURN_IF_ERROR(Vocabulary::Compile(model, &builder));
  if (kind == kBpe) RL_RETURN_IF_ERROR(CompileMerges(model, &builder));
  builder.Add(Tables::kDescription, description);
  return builder.Build();
}

Result<std::unique_ptr<Model>> MakeModel(Json json, const Tables& tables) {
  const std::string_view kind = KindOf(json);
  if (kind == kWordPiece) return MakeWordPiece(json, tables);
  if (kind == kBpe) return MakeBpe(json, tables);
  return Unsupported();
}

}  // namespace rushlight::tokenizers
