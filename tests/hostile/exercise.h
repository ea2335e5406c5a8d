// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Exercise: does with a file everything that callers do, inside a small budget, and touches all
// that comes back.  Sanitizers watch; what returns is the first Error, whose sentence has been made
// too.
#pragma once

#include <cstdint>
#include <string>

#include "rushlight/error.h"
#include "rushlight/platform.h"
#include "rushlight/span.h"

namespace rushlight::hostile {

struct Limits {
  uint64_t max_instructions = 2000;
  int64_t max_nanoseconds = 500'000'000;  // of one execution
  uint64_t max_bytes = uint64_t{32} << 20;
};

using Bytes = Span<const uint8_t>;

// Through the core: Program, DataFile (where there is one), Method, with memory of exactly the
// sizes that they ask for.
Error ExerciseCore(Bytes program, Bytes data, const Limits& limits = {});

// A data file alone.
Error ExerciseDataFile(Bytes data);

// Through Module, from files.  An empty data path: none.
Error ExerciseModule(const std::string& program_path, const std::string& data_path,
                     platform::FileAccess access, const Limits& limits = {});

// Through Module, from memory.
Error ExerciseBytes(Bytes program, const Limits& limits = {});

// A file for this process alone, in memory where the system has such a folder; removed at the end.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& name);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;

  // Replaces the contents.
  void Write(Bytes bytes) const;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace rushlight::hostile
