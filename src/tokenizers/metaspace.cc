// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/tokenizers/metaspace.h"

#include "src/tokenizers/utf8.h"

namespace rushlight::tokenizers {

Result<Metaspace> ReadMetaspace(Json json) {
  Metaspace settings;
  RL_RETURN_IF_ERROR(Read(json, Field::kReplacement, &settings.replacement));
  RL_RETURN_IF_ERROR(Read(json, Field::kSplit, &settings.split));
  const std::string& mark = settings.replacement;
  RL_CHECK(!mark.empty() && ReadUtf8(mark).length == mark.size(), Reason::kTokenizerField,
           static_cast<uint32_t>(Field::kReplacement));
  // Older files have the flag instead of the scheme.
  bool add_prefix_space = true;
  RL_RETURN_IF_ERROR(Read(json, Field::kAddPrefixSpace, &add_prefix_space));
  std::string scheme = add_prefix_space ? "always" : "never";
  RL_RETURN_IF_ERROR(Read(json, Field::kPrependScheme, &scheme));
  if (scheme == "first") {
    settings.scheme = Metaspace::Scheme::kFirst;
  } else if (scheme == "never") {
    settings.scheme = Metaspace::Scheme::kNever;
  } else if (scheme != "always") {
    return FieldError(Field::kPrependScheme);
  }
  return settings;
}

}  // namespace rushlight::tokenizers
