// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// GgufFile: a checked, read-only view of a GGUF file (versions 2 and 3, little-endian).
//
//   RL_ASSIGN_OR_RETURN(const GgufFile file, GgufFile::Open("model.gguf"));
//   for (const GgufTensor& t : file.tensors()) ...
//
// Every number of the file is read once, checked, and kept; names, strings and tensors are views of
// the file's bytes.  Memory taken is proportional to the file's size.  Immutable: share it between
// threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rushlight/error.h"
#include "rushlight/platform.h"
#include "rushlight/span.h"
#include "src/compiler/ggml_types.h"
#include "src/core/file_bytes.h"

namespace rushlight::compiler {

enum class GgufType : uint32_t {
  kUInt8 = 0,
  kInt8 = 1,
  kUInt16 = 2,
  kInt16 = 3,
  kUInt32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUInt64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

// Bytes of one number; 0 for strings, arrays, and what is not a type.
size_t GgufTypeSize(GgufType type);

// A value of the metadata, or an array of them.
struct GgufValue {
  bool is_array = false;
  GgufType type = GgufType::kUInt8;  // of the items
  size_t count = 1;                  // items; 1 where it is not an array
  // The items, in the one of these that fits the type:
  Span<const uint8_t> numbers;            // one behind the other, unaligned
  std::vector<std::string_view> strings;  // not necessarily UTF-8
  std::vector<GgufValue> arrays;
};

struct GgufEntry {
  std::string_view key;
  GgufValue value;
};

struct GgufTensor {
  std::string_view name;
  const GgmlType* type = nullptr;
  size_t rank = 0;
  uint64_t dims[4] = {1, 1, 1, 1};  // innermost first
  uint64_t numel = 0;               // a multiple of type->elements
  Span<const uint8_t> bytes;
};

class GgufFile {
 public:
  static constexpr uint64_t kMaxKeys = 1 << 16;
  static constexpr uint64_t kMaxTensors = 1 << 18;
  static constexpr size_t kMaxNestedArrays = 1 << 16;
  static constexpr size_t kMaxArrayDepth = 4;

  // Maps the file, or reads it where it may change or be cut while it is in use.
  static Result<GgufFile> Open(const std::string& path,
                               platform::FileAccess access = platform::FileAccess::kMap);
  // `bytes` belong to the caller and must outlive the result.
  static Result<GgufFile> Parse(Span<const uint8_t> bytes);

  GgufFile(GgufFile&& other) noexcept = default;
  GgufFile& operator=(GgufFile&&) = delete;

  uint32_t version() const { return version_; }
  const std::vector<GgufEntry>& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  // Null where there is none of that name.
  const GgufValue* FindValue(std::string_view key) const;
  const GgufTensor* FindTensor(std::string_view name) const;

 private:
  friend class GgufParser;
  GgufFile() = default;
  static Result<GgufFile> Load(Span<const uint8_t> bytes, FileBytes owned);

  FileBytes owned_;  // empty where the bytes are the caller's
  uint32_t version_ = 0;
  std::vector<GgufEntry> metadata_;
  std::vector<GgufTensor> tensors_;
  std::vector<uint32_t> keys_by_name_;
  std::vector<uint32_t> tensors_by_name_;
};

// Turns elements [first, first + out.size()) into floats; both ends are multiples of the block's
// elements, so that callers can share a tensor between threads.  Errors: kUnsupported,
// kOptionInvalid.
Error Dequantize(const GgufTensor& tensor, uint64_t first, Span<float> out);

}  // namespace rushlight::compiler
