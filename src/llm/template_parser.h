// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <string_view>

#include "rushlight/error.h"
#include "src/llm/template_ast.h"

namespace rushlight::llm {

// Trees are no higher than this, so that reading them may recurse.
inline constexpr int kMaxExpressionHeight = 200;
inline constexpr int kMaxBlockDepth = 50;

// Errors: kTemplateSyntax, kTemplateName (a filter or test that does not exist, where it is
// certain to be used), kTemplateLimit; index: the line.
Result<TemplateTree> ParseTemplate(std::string_view source);

}  // namespace rushlight::llm
