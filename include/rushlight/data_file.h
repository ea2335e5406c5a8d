// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// DataFile: a checked, read-only view of a data file (.ptd): weights that lie beside a program.
//
//   RL_ASSIGN_OR_RETURN(const DataFile weights, DataFile::Load(file, arena));
//   options.external = weights.map();
//   Method::Load(program, "forward", options, method_arena);
//
// As with Program: Load copies the metadata (or leaves it where it cannot change) and checks
// everything once; the bytes of tensors are never copied nor read.  Immutable: share it between
// threads.  It must not outlive the file's bytes nor the arena, and must stay where it is while a
// map() of it is in use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "rushlight/arena.h"
#include "rushlight/data_map.h"
#include "rushlight/error.h"
#include "rushlight/span.h"

namespace rushlight {

struct Container;

class DataFile {
 public:
  // Bytes at the head of a file that MetadataBytes looks at.
  static constexpr size_t kHeadBytes = 64;

  // How many bytes of arena Load will use.  `head`: the first bytes of the file, kHeadBytes or
  // more.
  static Result<size_t> MetadataBytes(Span<const uint8_t> head, uint64_t file_size);

  // Both want `file` at a 16-byte aligned address, else kInputMisaligned.
  // It may change under us after Load, except for the segments (weights).
  static Result<DataFile> Load(Span<const uint8_t> file, Arena& arena);
  // For a file that never changes: metadata stays where it is.
  static Result<DataFile> LoadInPlace(Span<const uint8_t> file);

  size_t size() const;  // entries
  // Each requires: i < size().
  std::string_view key(size_t i) const;
  NamedBytes entry(size_t i) const;

  // Of several entries with one key the first is found.
  DataMap map() const;

 private:
  static Result<DataFile> Check(const Container& container);

  Span<const uint8_t> file_;
  size_t segment_base_ = 0;
  const void* root_ = nullptr;  // FlatBuffers root: format/flat_tensor.fbs
};

}  // namespace rushlight
