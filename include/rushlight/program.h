// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Program: a checked, read-only view of a program file (.pte).
//
// Load copies the file's metadata (or leaves it where it cannot change, as in flash) and checks
// everything once: what it accepts, no later call can take out of bounds.  Weights are never
// copied and never read here.  A Program is immutable: share it between threads.  It must not
// outlive the file's bytes nor the arena.
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

class Program {
 public:
  // Bytes at the head of a file that MetadataBytes looks at.
  static constexpr size_t kHeadBytes = 64;

  // How many bytes of arena Load will use.  `head`: the first bytes of the file, kHeadBytes or
  // more.
  static Result<size_t> MetadataBytes(Span<const uint8_t> head, uint64_t file_size);

  // Both want `file` at a 16-byte aligned address, else kInputMisaligned.
  // It may change under us after Load, except for the segments (weights).
  static Result<Program> Load(Span<const uint8_t> file, Arena& arena);
  // For a file that never changes: metadata stays where it is.
  static Result<Program> LoadInPlace(Span<const uint8_t> file);

  size_t num_methods() const;
  // Requires: i < num_methods().
  std::string_view method_name(size_t i) const;
  Result<size_t> FindMethod(std::string_view name) const;

  size_t num_segments() const;
  // Requires: i < num_segments().
  Span<const uint8_t> segment(size_t i) const;

  size_t num_named_data() const;
  std::string_view named_data_key(size_t i) const;
  Span<const uint8_t> named_data(size_t i) const;
  // The program's named data as a map: opaque bytes, no layouts.
  DataMap named_data_map() const;

  Span<const uint8_t> metadata() const { return metadata_; }
  Span<const uint8_t> file() const { return file_; }

  // The FlatBuffers root, for the runtime: src/program/schema.h.
  const void* root() const { return root_; }

 private:
  static Result<Program> Check(const Container& container);

  Span<const uint8_t> file_;
  Span<const uint8_t> metadata_;  // the FlatBuffer, header included
  size_t segment_base_ = 0;
  bool sorted_keys_ = false;  // of named data
  const void* root_ = nullptr;
};

}  // namespace rushlight
