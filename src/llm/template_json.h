// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <string_view>

#include "rushlight/error.h"
#include "src/llm/template_value.h"

namespace rushlight::llm {

// The value of a JSON text, as json.loads() reads it, on `heap`.  Reason::kOptionInvalid, found:
// the offset; integers beyond 64 bits are refused too.
Result<Value> ReadJson(std::string_view text, Heap* heap);

}  // namespace rushlight::llm
