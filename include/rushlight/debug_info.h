// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// DebugInfo: which source line of the model each instruction came from.
//
// The compiler stores it as named data (kDebugInfoKey), so that it costs no memory until somebody
// asks.  JSON:
//   {"version": 1, "files": ["model.py", ...],
//    "methods": {"forward": [[debug handle, file, line], ...]}}     one entry an instruction, file
//    -1
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "rushlight/error.h"
#include "rushlight/program.h"

namespace rushlight {

inline constexpr std::string_view kDebugInfoKey = "rushlight.debug";

struct SourceLocation {
  std::string file;
  int64_t line = 0;
  int64_t debug_handle = -1;
};

// kKeyNotFound where the program carries none for that instruction.
Result<SourceLocation> FindSource(const Program& program, std::string_view method,
                                  size_t instruction);

}  // namespace rushlight
