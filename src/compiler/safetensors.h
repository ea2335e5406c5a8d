// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// SafetensorsFile: a checked, read-only view of a .safetensors file.
//
//   RL_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::Open("model.safetensors"));
//   for (const SafetensorsTensor& t : file.tensors()) ...
//
// The header (JSON) is read once and checked; tensors are views of the file's bytes, little-endian,
// at any alignment.  Memory taken is proportional to the header's size.  Immutable: share it
// between threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rushlight/error.h"
#include "rushlight/platform.h"
#include "rushlight/span.h"
#include "src/core/file_bytes.h"

namespace rushlight::compiler {

struct SafetensorsType {
  std::string_view name;  // as in the file: "BF16"
  uint8_t bits;
};

struct SafetensorsTensor {
  static constexpr size_t kMaxRank = 8;

  std::string name;  // UTF-8
  const SafetensorsType* type = nullptr;
  size_t rank = 0;
  uint64_t dims[kMaxRank] = {};  // outermost first
  Span<const uint8_t> bytes;     // as many as the shape and the type ask for
};

class SafetensorsFile {
 public:
  static constexpr uint64_t kMaxHeader = 100'000'000;
  static constexpr size_t kMaxTensors = 1 << 18;

  // Maps the file, or reads it where it may change or be cut while it is in use.
  static Result<SafetensorsFile> Open(const std::string& path,
                                      platform::FileAccess access = platform::FileAccess::kMap);
  // `bytes` belong to the caller and must outlive the result.
  static Result<SafetensorsFile> Parse(Span<const uint8_t> bytes);

  SafetensorsFile(SafetensorsFile&& other) noexcept = default;
  SafetensorsFile& operator=(SafetensorsFile&&) = delete;

  // In the order of their names; errors count them so too, but for those of a header that cannot be
  // read, which count as it does.
  const std::vector<SafetensorsTensor>& tensors() const { return tensors_; }
  // Null where there is none of that name.
  const SafetensorsTensor* Find(std::string_view name) const;

 private:
  SafetensorsFile() = default;
  static Result<SafetensorsFile> Load(Span<const uint8_t> bytes, FileBytes owned);

  FileBytes owned_;  // empty where the bytes are the caller's
  std::vector<SafetensorsTensor> tensors_;
};

}  // namespace rushlight::compiler
