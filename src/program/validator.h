// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The semantic half of loading: everything that a FlatBuffer verifier cannot know.
#pragma once

#include "rushlight/error.h"
#include "rushlight/program.h"

namespace rushlight {

inline constexpr size_t kMaxNameLength = 1024;
inline constexpr size_t kMaxOperatorNameLength = 99;

// Checks every table of a program whose FlatBuffer structure has been verified.
// `segment_base`: of the segments in `file`; 0 where there are none.  `segment_limit`: bytes from
// there that segments may use.
struct FileLayout {
  size_t metadata_bytes;
  size_t segment_base;
  uint64_t segment_limit;
};
Error ValidateProgram(const void* root, const FileLayout& layout);

}  // namespace rushlight
