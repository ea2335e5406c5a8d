// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The post-processor: ids put in front of and behind every text.
#pragma once

#include <cstdint>
#include <vector>

#include "rushlight/error.h"
#include "src/tokenizers/fields.h"

namespace rushlight::tokenizers {

struct PostProcessor {
  std::vector<int32_t> prefix, suffix;
};

// From the section "post_processor".
Result<PostProcessor> ReadPostProcessor(Json json);

}  // namespace rushlight::tokenizers
