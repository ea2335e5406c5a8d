// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The semantic half of loading: everything that a FlatBuffer verifier cannot know.
#pragma once

#include "rushlight/error.h"
#include "src/program/container.h"

namespace rushlight {

inline constexpr size_t kMaxOperatorNameLength = 99;

// More than any real program has, and few enough that no search of them takes long.
inline constexpr size_t kMaxMethods = 1024;
inline constexpr size_t kMaxChains = 64;              // of a method
inline constexpr size_t kMaxMemories = 1024;          // of a method
inline constexpr size_t kMaxExternalTensors = 16384;  // of a method; each is looked up by name

// Checks every table of a program whose FlatBuffer structure has been verified.
Error ValidateProgram(const fb::Program* root, const FileLayout& layout);

}  // namespace rushlight
