// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// FileBytes: what is in a file, for as long as this lives.
#pragma once

#include <utility>

#include "rushlight/error.h"
#include "rushlight/platform.h"
#include "rushlight/span.h"

namespace rushlight {

class FileBytes {
 public:
  FileBytes() = default;  // of no file
  // Errors: kOpen, found: errno.
  static Result<FileBytes> Open(const char* path, platform::FileAccess access) {
    FileBytes file;
    const int error = platform::OpenFile(path, access, &file.view_);
    RL_CHECK(error == 0, Reason::kOpen, Error::kNone, error);
    return file;
  }
  FileBytes(FileBytes&& other) noexcept : view_(std::exchange(other.view_, {})) {}
  FileBytes& operator=(FileBytes&& other) noexcept {
    std::swap(view_, other.view_);
    return *this;
  }
  ~FileBytes() { platform::CloseFile(&view_); }

  Span<const uint8_t> bytes() const { return {view_.data, view_.size}; }

 private:
  platform::FileView view_;
};

}  // namespace rushlight
