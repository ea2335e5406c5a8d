// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The semantic half of loading: everything that a FlatBuffer verifier cannot know.
#pragma once

#include "rushlight/error.h"
#include "src/program/container.h"

namespace rushlight {

inline constexpr size_t kMaxOperatorNameLength = 99;

// Checks every table of a program whose FlatBuffer structure has been verified.
Error ValidateProgram(const fb::Program* root, const FileLayout& layout);

}  // namespace rushlight
