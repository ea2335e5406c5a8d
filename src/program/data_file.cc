// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/data_file.h"

#include "src/program/container.h"

namespace rushlight {
namespace {

namespace ft = fb::flat_tensor;
using flatbuffers::uoffset_t;

static_assert(DataFile::kHeadBytes == kFileHeadBytes);

const ft::FlatTensor& Root(const void* root) { return *static_cast<const ft::FlatTensor*>(root); }

// The header is mandatory here, and the FlatBuffer's size is told without it.
Result<FileLayout> ReadHeader(Span<const uint8_t> head, uint64_t file_size) {
  RL_RETURN_IF_ERROR(CheckIdentifier(head, file_size, ft::FlatTensorIdentifier()));
  const uint8_t* p = head.data();
  RL_CHECK(std::memcmp(p + 8, "FH01", 4) == 0, Reason::kMagic, Error::kNone,
           ReadUnaligned<uint32_t>(p + 8));
  const auto length = ReadUnaligned<uint32_t>(p + 12);
  RL_CHECK(length >= 40, Reason::kHeaderLength, Error::kNone, length, 40);
  const auto inserted = ReadUnaligned<uint64_t>(p + 16);
  const auto flatbuffer = ReadUnaligned<uint64_t>(p + 24);
  uint64_t metadata_bytes;
  RL_CHECK(!__builtin_add_overflow(inserted, flatbuffer, &metadata_bytes), Reason::kHeaderSizes,
           Error::kNone, Signed(inserted), Signed(flatbuffer));
  return CheckRegions(file_size, metadata_bytes, ReadUnaligned<uint64_t>(p + 32),
                      ReadUnaligned<uint64_t>(p + 40));
}

Error CheckEntries(const ft::FlatTensor& root, const FileLayout& layout) {
  RL_CHECK(root.version() == 0, Reason::kProgramVersion, Error::kNone, root.version());
  RL_CHECK(root.segments() != nullptr, Reason::kMissingField, 0);
  RL_CHECK(root.named_data() != nullptr, Reason::kMissingField, 1);
  RL_RETURN_IF_ERROR(CheckSegments(root.segments(), layout.segment_limit));
  for (uoffset_t i = 0; i < root.named_data()->size(); ++i) {
    const ft::NamedData& d = *root.named_data()->Get(i);
    RL_RETURN_IF_ERROR(CheckNamed(d.key(), d.segment_index(), root.segments(), i));
    const ft::TensorLayout* t = d.tensor_layout();
    if (t == nullptr) continue;
    RL_ASSIGN_OR_RETURN(const uint64_t bytes,
                        CheckShape(t->scalar_type(), t->sizes(), t->dim_order(), i));
    const uint64_t size = root.segments()->Get(d.segment_index())->size();
    RL_CHECK(bytes <= size, Reason::kTensorDataRange, i, Signed(bytes), Signed(size));
  }
  return kOk;
}

}  // namespace

Result<size_t> DataFile::MetadataBytes(Span<const uint8_t> head, uint64_t file_size) {
  RL_ASSIGN_OR_RETURN(const FileLayout layout, ReadHeader(head, file_size));
  return layout.metadata_bytes;
}

Result<DataFile> DataFile::Load(Span<const uint8_t> file, Arena& arena) {
  RL_ASSIGN_OR_RETURN(const Container container, OpenCopied(file, ReadHeader, arena));
  return Check(container);
}

Result<DataFile> DataFile::LoadInPlace(Span<const uint8_t> file) {
  RL_ASSIGN_OR_RETURN(const Container container, OpenInPlace(file, ReadHeader));
  return Check(container);
}

Result<DataFile> DataFile::Check(const Container& container) {
  RL_RETURN_IF_ERROR(
      VerifyStructure<ft::FlatTensor>(container.metadata, ft::FlatTensorIdentifier()));
  const ft::FlatTensor* root = ft::GetFlatTensor(container.metadata.data());
  RL_RETURN_IF_ERROR(CheckEntries(*root, container.layout));
  DataFile result;
  RL_RETURN_IF_ERROR(CheckKeyOrder(root->named_data(), &result.sorted_keys_));
  result.file_ = container.file;
  result.segment_base_ = container.layout.segment_base;
  result.root_ = root;
  return result;
}

size_t DataFile::size() const { return Root(root_).named_data()->size(); }

std::string_view DataFile::key(size_t i) const {
  return View(Root(root_).named_data()->Get(static_cast<uoffset_t>(i))->key());
}

NamedBytes DataFile::entry(size_t i) const {
  const ft::NamedData& d = *Root(root_).named_data()->Get(static_cast<uoffset_t>(i));
  NamedBytes found;
  found.bytes = SegmentBytes(file_, segment_base_, *Root(root_).segments()->Get(d.segment_index()));
  if (const ft::TensorLayout* t = d.tensor_layout()) {
    found.has_layout = true;
    found.dtype = static_cast<DType>(t->scalar_type());
    found.sizes = *t->sizes();
    found.dim_order = *t->dim_order();
  }
  return found;
}

DataMap DataFile::map() const {
  return DataMap(this, [](const void* self, std::string_view key, NamedBytes* out) {
    const DataFile& file = *static_cast<const DataFile*>(self);
    const size_t i = FindKey(Root(file.root_).named_data(), file.sorted_keys_, key);
    RL_CHECK(i < file.size(), Reason::kKeyNotFound);
    *out = file.entry(i);
    return kOk;
  });
}

}  // namespace rushlight
