// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/program.h"

#include "src/program/container.h"
#include "src/program/validator.h"

namespace rushlight {
namespace {

// What the head of a file says about where the FlatBuffer ends and where the segments begin.
Result<FileLayout> ReadHeader(Span<const uint8_t> head, uint64_t file_size) {
  RL_RETURN_IF_ERROR(CheckIdentifier(head, file_size, fb::ProgramIdentifier()));
  const uint8_t* p = head.data();
  if (std::memcmp(p + 8, "eh00", 4) != 0) return CheckRegions(file_size, file_size, 0, 0);
  const auto length = ReadUnaligned<uint32_t>(p + 12);
  RL_CHECK(length >= 24, Reason::kHeaderLength, Error::kNone, length, 24);
  return CheckRegions(file_size, ReadUnaligned<uint64_t>(p + 16), ReadUnaligned<uint64_t>(p + 24),
                      length >= 32 ? ReadUnaligned<uint64_t>(p + 32) : 0);
}

}  // namespace

Result<size_t> Program::MetadataBytes(Span<const uint8_t> head, uint64_t file_size) {
  RL_ASSIGN_OR_RETURN(const FileLayout layout, ReadHeader(head, file_size));
  return layout.metadata_bytes;
}

Result<Program> Program::Load(Span<const uint8_t> file, Arena& arena) {
  RL_ASSIGN_OR_RETURN(const Container container, OpenCopied(file, ReadHeader, arena));
  return Check(container);
}

Result<Program> Program::LoadInPlace(Span<const uint8_t> file) {
  RL_ASSIGN_OR_RETURN(const Container container, OpenInPlace(file, ReadHeader));
  return Check(container);
}

Result<Program> Program::Check(const Container& container) {
  RL_RETURN_IF_ERROR(VerifyStructure<fb::Program>(container.metadata, fb::ProgramIdentifier()));
  const fb::Program* root = fb::GetProgram(container.metadata.data());
  RL_RETURN_IF_ERROR(ValidateProgram(root, container.layout));
  Program program;
  RL_RETURN_IF_ERROR(CheckKeyOrder(root->named_data(), &program.sorted_keys_));
  program.file_ = container.file;
  program.metadata_ = container.metadata;
  program.segment_base_ = container.layout.segment_base;
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
  return SegmentBytes(file_, segment_base_,
                      *Root(*this).segments()->Get(static_cast<flatbuffers::uoffset_t>(i)));
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
    const size_t i = FindKey(Root(program).named_data(), program.sorted_keys_, key);
    RL_CHECK(i < program.num_named_data(), Reason::kKeyNotFound);
    *out = NamedBytes();
    out->bytes = program.named_data(i);
    return kOk;
  });
}

}  // namespace rushlight
