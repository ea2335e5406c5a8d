// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/program.h"

#include <cstring>

#include "src/program/schema.h"
#include "src/program/validator.h"

namespace rushlight {
namespace {

constexpr size_t kMetadataAlignment = 16;

template <class T>
T Read(const uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

// The head of a file: where the FlatBuffer ends and where the segments begin.
struct Header {
  uint64_t program_size = 0;
  uint64_t segment_base = 0;
  uint64_t segment_limit = 0;  // bytes after segment_base that belong to segments
};

Result<Header> ReadHeader(Span<const uint8_t> head, uint64_t file_size) {
  RL_CHECK(file_size >= Program::kHeadBytes && head.size() >= Program::kHeadBytes,
           Reason::kTooShort, Error::kNone, static_cast<int64_t>(file_size), Program::kHeadBytes);
  const uint8_t* p = head.data();
  if (std::memcmp(p + 4, "ET12", 4) != 0) {
    RL_CHECK(std::memcmp(p + 4, "ET", 2) != 0, Reason::kOtherFormatVersion, Error::kNone,
             p[6] << 8 | p[7], '1' << 8 | '2');
    return Error(Reason::kMagic, Error::kNone, Read<uint32_t>(p + 4));
  }
  Header h;
  if (std::memcmp(p + 8, "eh00", 4) == 0) {
    const auto length = Read<uint32_t>(p + 12);
    RL_CHECK(length >= 24, Reason::kHeaderLength, Error::kNone, length, 24);
    h.program_size = Read<uint64_t>(p + 16);
    h.segment_base = Read<uint64_t>(p + 24);
    const uint64_t data_size = length >= 32 ? Read<uint64_t>(p + 32) : 0;
    RL_CHECK(h.program_size >= Program::kHeadBytes, Reason::kHeaderSizes, Error::kNone,
             static_cast<int64_t>(h.program_size), Program::kHeadBytes);
    RL_CHECK(h.program_size <= file_size, Reason::kProgramTruncated, Error::kNone,
             static_cast<int64_t>(file_size), static_cast<int64_t>(h.program_size));
    if (h.segment_base != 0) {
      RL_CHECK(h.segment_base >= h.program_size, Reason::kSegmentBase, Error::kNone,
               static_cast<int64_t>(h.segment_base), static_cast<int64_t>(h.program_size));
      RL_CHECK(h.segment_base <= file_size && data_size <= file_size - h.segment_base,
               Reason::kSegmentsTruncated, Error::kNone, static_cast<int64_t>(file_size),
               static_cast<int64_t>(h.segment_base + data_size));
      h.segment_limit = data_size != 0 ? data_size : file_size - h.segment_base;
    }
  } else {
    h.program_size = file_size;
  }
  // FlatBuffers' offsets are 32-bit and signed in places.
  RL_CHECK(h.program_size < FLATBUFFERS_MAX_BUFFER_SIZE, Reason::kFileTooLarge, Error::kNone,
           static_cast<int64_t>(h.program_size), FLATBUFFERS_MAX_BUFFER_SIZE);
  return h;
}

}  // namespace

Result<size_t> Program::MetadataBytes(Span<const uint8_t> head, uint64_t file_size) {
  RL_ASSIGN_OR_RETURN(const Header h, ReadHeader(head, file_size));
  return static_cast<size_t>(h.program_size);
}

Result<Program> Program::Load(Span<const uint8_t> file, Arena& arena) {
  RL_ASSIGN_OR_RETURN(const Header h, ReadHeader(file, file.size()));
  const auto size = static_cast<size_t>(h.program_size);
  void* copy = arena.Allocate(size, kMetadataAlignment);
  RL_CHECK(copy != nullptr, Reason::kMetadataArena, Error::kNone, static_cast<int64_t>(size),
           static_cast<int64_t>(arena.capacity() - arena.used()));
  std::memcpy(copy, file.data(), size);
  // The header is read again from the copy: the file may have changed meanwhile.
  return Check(file, {static_cast<const uint8_t*>(copy), size});
}

Result<Program> Program::LoadInPlace(Span<const uint8_t> file) {
  RL_CHECK(reinterpret_cast<uintptr_t>(file.data()) % kMetadataAlignment == 0,
           Reason::kInputMisaligned);
  RL_ASSIGN_OR_RETURN(const Header h, ReadHeader(file, file.size()));
  return Check(file, file.subspan(0, static_cast<size_t>(h.program_size)));
}

Result<Program> Program::Check(Span<const uint8_t> file, Span<const uint8_t> metadata) {
  RL_ASSIGN_OR_RETURN(const Header h, ReadHeader(metadata, file.size()));
  RL_CHECK(h.program_size == metadata.size(), Reason::kHeaderSizes, Error::kNone,
           static_cast<int64_t>(h.program_size), static_cast<int64_t>(metadata.size()));

  flatbuffers::Verifier::Options options;
  options.max_depth = 16;
  // Tables are never shared in a sound file, and none is smaller than its four bytes: this bounds
  // the verifier's time by the file's size.
  options.max_tables = static_cast<flatbuffers::uoffset_t>(metadata.size() / 4);
  flatbuffers::Verifier verifier(metadata.data(), metadata.size(), options);
  RL_CHECK(fb::VerifyProgramBuffer(verifier), Reason::kFlatBuffer);
  const fb::Program* root = fb::GetProgram(metadata.data());
  RL_RETURN_IF_ERROR(ValidateProgram(
      root, {metadata.size(), static_cast<size_t>(h.segment_base), h.segment_limit}));

  Program program;
  program.file_ = file;
  program.metadata_ = metadata;
  program.segment_base_ = static_cast<size_t>(h.segment_base);
  program.root_ = root;
  return program;
}

size_t Program::num_methods() const { return Root(*this).execution_plan()->size(); }

std::string_view Program::method_name(size_t i) const {
  const auto* plan = Root(*this).execution_plan()->Get(static_cast<flatbuffers::uoffset_t>(i));
  return View(plan->name());
}

Result<size_t> Program::FindMethod(std::string_view name) const {
  for (size_t i = 0; i < num_methods(); ++i) {
    if (method_name(i) == name) return i;
  }
  return Error(Reason::kMethodNotFound);
}

size_t Program::num_segments() const { return SizeOf(Root(*this).segments()); }

Span<const uint8_t> Program::segment(size_t i) const {
  const auto* s = Root(*this).segments()->Get(static_cast<flatbuffers::uoffset_t>(i));
  return file_.subspan(segment_base_ + static_cast<size_t>(s->offset()),
                       static_cast<size_t>(s->size()));
}

size_t Program::num_named_data() const { return SizeOf(Root(*this).named_data()); }

std::string_view Program::named_data_key(size_t i) const {
  return View(Root(*this).named_data()->Get(static_cast<flatbuffers::uoffset_t>(i))->key());
}

Span<const uint8_t> Program::named_data(size_t i) const {
  return segment(
      Root(*this).named_data()->Get(static_cast<flatbuffers::uoffset_t>(i))->segment_index());
}

DataMap Program::named_data_map() const {
  return DataMap(this, [](const void* self, std::string_view key, NamedBytes* out) {
    const Program& program = *static_cast<const Program*>(self);
    for (size_t i = 0; i < program.num_named_data(); ++i) {
      if (program.named_data_key(i) == key) {
        *out = NamedBytes();
        out->bytes = program.named_data(i);
        return kOk;
      }
    }
    return Error(Reason::kKeyNotFound);
  });
}

}  // namespace rushlight
