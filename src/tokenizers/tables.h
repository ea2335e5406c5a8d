// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Tables: the vocabulary and the merges of a tokenizer, as numbers and bytes in one piece.  They
// are made from a tokenizer.json (by the compiler, or when such a file is loaded) and used where
// they lie, so that a tokenizer in a program file costs next to nothing to load.
//
// The piece: a header, then sections, numbers first; little-endian.  Opening it checks sizes alone.
// What the numbers say is checked by those who read them, each time, since the file stays mapped
// and may be hostile: no number leads out of the piece, and no id out of the vocabulary.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "rushlight/error.h"
#include "src/tokenizers/column.h"
#include "src/tokenizers/frozen_index.h"

namespace rushlight::tokenizers {

struct Merge {
  int32_t left, right;  // ids
  int32_t merged;
};

struct Tables {
  enum Section : uint32_t {
    kContentStarts,  // uint32_t [tokens + 1], in kContents
    kIds,            // int32_t [tokens], ascending; none where they are 0, 1, 2, ...
    kContentOrder,   // of a FrozenIndex of the contents
    kContentBuckets,
    kMerges,      // Merge [merges], by rank
    kMergeOrder,  // of a FrozenIndex of the pairs
    kMergeBuckets,
    kContents,     // of all tokens, in the order of ids
    kDescription,  // the rest of the tokenizer.json, as JSON
    kNumSections,
  };

  Column<uint32_t> content_starts;
  Column<int32_t> ids;
  FrozenIndex content_index;
  Column<Merge> merges;
  FrozenIndex merge_index;
  std::string_view contents;
  std::string_view description;

  // Requires: `file` outlives what is returned.
  // Errors: kTokenizerTables, index: the section.
  static Result<Tables> Open(Span<const uint8_t> file);
};

inline Span<const uint8_t> Bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

class TablesBuilder {
 public:
  void Add(Tables::Section section, const void* data, size_t size) {
    sections_[section].assign(static_cast<const char*>(data), size);
  }
  template <class Vector>
  void Add(Tables::Section section, const Vector& numbers) {
    Add(section, numbers.data(), numbers.size() * sizeof(numbers[0]));
  }
  std::string Build() const;

 private:
  std::string sections_[Tables::kNumSections];
};

}  // namespace rushlight::tokenizers
