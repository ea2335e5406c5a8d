// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// What program files (.pte) and data files (.ptd) have in common: a FlatBuffer, into which a header
// may be inserted, then segments of bytes; and tensors described by dtype, sizes and dim_order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "rushlight/arena.h"
#include "rushlight/error.h"
#include "rushlight/span.h"
#include "src/program/schema.h"

namespace rushlight {

inline constexpr size_t kFileHeadBytes = Program::kHeadBytes;  // no file is shorter
inline constexpr size_t kMetadataAlignment = 16;
inline constexpr size_t kMaxNameLength = 1024;

struct FileLayout {
  size_t metadata_bytes = 0;   // the FlatBuffer, from the first byte of the file, header included
  size_t segment_base = 0;     // of the segments; 0 where there are none
  uint64_t segment_limit = 0;  // bytes from there that segments may use
};

// Numbers of a file as an Error holds them; what exceeds its fields is shown modulo 2^64.
template <class T>
int64_t Signed(T value) {
  return static_cast<int64_t>(value);
}

template <class T>
T ReadUnaligned(const uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

// That the head is long enough and bears the file identifier (of 4 characters, 2 of them a
// version).
Error CheckIdentifier(Span<const uint8_t> head, uint64_t file_size, const char* identifier);

// The regions that a header declares, or an error where they are not inside the file or overlap.
// `data_bytes`: of all segments; 0: up to the end of the file.
Result<FileLayout> CheckRegions(uint64_t file_size, uint64_t metadata_bytes, uint64_t segment_base,
                                uint64_t data_bytes);

// Reads the header of one kind of file: CheckIdentifier, then CheckRegions.
using HeaderReader = Result<FileLayout> (*)(Span<const uint8_t> head, uint64_t file_size);

// A file whose header has been read: what is left to check is the FlatBuffer.
struct Container {
  Span<const uint8_t> file;
  Span<const uint8_t> metadata;  // 16-byte aligned
  FileLayout layout;
};

// Copies the metadata; all that is checked later is the copy, since a mapped file may change under
// its reader.
Result<Container> OpenCopied(Span<const uint8_t> file, HeaderReader read_header, Arena& arena);
// For files that never change.
Result<Container> OpenInPlace(Span<const uint8_t> file, HeaderReader read_header);

// Verifies the structure of a FlatBuffer in time that is linear in its size.
template <class Root>
Error VerifyStructure(Span<const uint8_t> metadata, const char* identifier) {
  flatbuffers::Verifier::Options options;
  options.max_depth = 16;
  // Tables are never shared in a sound file; each has four bytes and an offset that leads to it.
  options.max_tables = static_cast<flatbuffers::uoffset_t>(metadata.size() / 8);
  flatbuffers::Verifier verifier(metadata.data(), metadata.size(), options);
  RL_CHECK(verifier.VerifyBuffer<Root>(identifier), Reason::kFlatBuffer);
  return kOk;
}

using DataSegments = flatbuffers::Vector<flatbuffers::Offset<fb::DataSegment>>;

Error CheckSegments(const DataSegments* segments, uint64_t segment_limit);

// Entry `index` of a list of named data, whose bytes are segment number `segment`.
Error CheckNamed(const flatbuffers::String* key, uint32_t segment, const DataSegments* segments,
                 uint32_t index);

// Keys in strictly ascending order are bisected.  Of others there may not be too many, since
// lookups go through them one by one; the first of equal ones is found.
inline constexpr size_t kMaxUnsortedKeys = 8192;
template <class Named>
Error CheckKeyOrder(const flatbuffers::Vector<flatbuffers::Offset<Named>>* entries, bool* sorted) {
  *sorted = true;
  for (flatbuffers::uoffset_t i = 1; i < SizeOf(entries); ++i) {
    *sorted &= View(entries->Get(i - 1)->key()) < View(entries->Get(i)->key());
  }
  RL_CHECK(*sorted || entries->size() <= kMaxUnsortedKeys, Reason::kTooManyEntries, Error::kNone,
           entries->size(), kMaxUnsortedKeys);
  return kOk;
}

// The position of that key, or the number of entries where there is none.
template <class Named>
size_t FindKey(const flatbuffers::Vector<flatbuffers::Offset<Named>>* entries, bool sorted,
               std::string_view key) {
  const size_t count = SizeOf(entries);
  const auto key_at = [&](size_t i) {
    return View(entries->Get(static_cast<flatbuffers::uoffset_t>(i))->key());
  };
  size_t low = 0;
  if (sorted) {
    for (size_t high = count; low < high;) {
      const size_t middle = low + (high - low) / 2;
      if (key_at(middle) < key) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low < count && key_at(low) == key ? low : count;
  }
  while (low < count && key_at(low) != key) ++low;
  return low;
}

// The bytes of a tensor; `index` names it in errors.
Result<uint64_t> CheckShape(int scalar_type, const flatbuffers::Vector<int32_t>* sizes,
                            const flatbuffers::Vector<uint8_t>* dim_order, uint32_t index);

// Requires: CheckSegments accepted it.
inline Span<const uint8_t> SegmentBytes(Span<const uint8_t> file, size_t segment_base,
                                        const fb::DataSegment& s) {
  return file.subspan(segment_base + static_cast<size_t>(s.offset()),
                      static_cast<size_t>(s.size()));
}

}  // namespace rushlight
