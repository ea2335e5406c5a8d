// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// DataFileBuilder: writes data files (.ptd), the weights of programs whose tensors are external.
//
// Bytes are referred to, not copied, and must stay alive until the file is written.  Equal bytes
// are stored once.  Keys are to be unique: readers find the first.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rushlight/dtype.h"
#include "rushlight/error.h"
#include "src/compiler/segmented_file.h"
#include "src/program/schema.h"

namespace rushlight::compiler {

class DataFileBuilder {
 public:
  // Where segments begin, at least.  Requires: a power of two, 16 or more.
  explicit DataFileBuilder(size_t segment_alignment = 128)
      : segment_alignment_(segment_alignment) {}

  // Requires: sizes and dim_order (empty: 0, 1, 2, ...) describe all of `bytes`.
  void AddTensor(const std::string& key, Bytes bytes, DType dtype, std::vector<int32_t> sizes,
                 std::vector<uint8_t> dim_order = {});
  // What a delegate asks for by name.  Requires: alignment is a power of two.
  void AddBytes(const std::string& key, Bytes bytes, size_t alignment);

  // Nothing may be added afterwards; calling it again gives the same bytes.
  bool Finish(const Sink& write);
  Error WriteFile(const std::string& path);
  std::vector<uint8_t> ToBytes();

 private:
  fb::flat_tensor::NamedDataT& Add(const std::string& key, Bytes bytes, size_t alignment);

  size_t segment_alignment_;
  fb::flat_tensor::FlatTensorT root_;
  std::vector<Segment> segments_;
};

}  // namespace rushlight::compiler
