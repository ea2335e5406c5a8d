// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/program/container.h"

#include "rushlight/dtype.h"
#include "rushlight/tensor.h"  // kMaxRank

namespace rushlight {

using flatbuffers::uoffset_t;

Error CheckIdentifier(Span<const uint8_t> head, uint64_t file_size, const char* identifier) {
  RL_CHECK(file_size >= kFileHeadBytes && head.size() >= kFileHeadBytes, Reason::kTooShort,
           Error::kNone, Signed(file_size), kFileHeadBytes);
  const uint8_t* p = head.data() + 4;
  if (std::memcmp(p, identifier, 4) == 0) return kOk;
  RL_CHECK(std::memcmp(p, identifier, 2) != 0, Reason::kOtherFormatVersion, Error::kNone,
           p[2] << 8 | p[3], identifier[2] << 8 | identifier[3]);
  return Error(Reason::kMagic, Error::kNone, ReadUnaligned<uint32_t>(p));
}

Result<FileLayout> CheckRegions(uint64_t file_size, uint64_t metadata_bytes, uint64_t segment_base,
                                uint64_t data_bytes) {
  RL_CHECK(metadata_bytes >= kFileHeadBytes, Reason::kHeaderSizes, Error::kNone,
           Signed(metadata_bytes), kFileHeadBytes);
  RL_CHECK(metadata_bytes <= file_size, Reason::kProgramTruncated, Error::kNone, Signed(file_size),
           Signed(metadata_bytes));
  // FlatBuffers' offsets are 32-bit and signed in places.
  RL_CHECK(metadata_bytes < FLATBUFFERS_MAX_BUFFER_SIZE, Reason::kFileTooLarge, Error::kNone,
           Signed(metadata_bytes), FLATBUFFERS_MAX_BUFFER_SIZE);
  FileLayout layout;
  layout.metadata_bytes = static_cast<size_t>(metadata_bytes);
  if (segment_base == 0) return layout;
  RL_CHECK(segment_base >= metadata_bytes, Reason::kSegmentBase, Error::kNone, Signed(segment_base),
           Signed(metadata_bytes));
  RL_CHECK(segment_base <= file_size && data_bytes <= file_size - segment_base,
           Reason::kSegmentsTruncated, Error::kNone, Signed(file_size),
           Signed(segment_base + data_bytes));
  layout.segment_base = static_cast<size_t>(segment_base);
  layout.segment_limit = data_bytes != 0 ? data_bytes : file_size - segment_base;
  return layout;
}

namespace {

// Constants are used where they lie, and what the validator knows of their alignment is relative to
// the start of the file.
Error CheckBase(Span<const uint8_t> file) {
  RL_CHECK(reinterpret_cast<uintptr_t>(file.data()) % kMetadataAlignment == 0,
           Reason::kInputMisaligned);
  return kOk;
}

}  // namespace

Result<Container> OpenCopied(Span<const uint8_t> file, HeaderReader read_header, Arena& arena) {
  RL_RETURN_IF_ERROR(CheckBase(file));
  RL_ASSIGN_OR_RETURN(const FileLayout before, read_header(file, file.size()));
  const size_t size = before.metadata_bytes;
  void* copy = arena.Allocate(size, kMetadataAlignment);
  RL_CHECK(copy != nullptr, Reason::kMetadataArena, Error::kNone, Signed(size),
           Signed(arena.capacity() - arena.used()));
  std::memcpy(copy, file.data(), size);
  const Span<const uint8_t> metadata(static_cast<const uint8_t*>(copy), size);
  // The header is read again, from the copy: the file may have changed meanwhile.
  RL_ASSIGN_OR_RETURN(const FileLayout layout, read_header(metadata, file.size()));
  RL_CHECK(layout.metadata_bytes == size, Reason::kHeaderSizes, Error::kNone,
           Signed(layout.metadata_bytes), Signed(size));
  return Container{file, metadata, layout};
}

Result<Container> OpenInPlace(Span<const uint8_t> file, HeaderReader read_header) {
  RL_RETURN_IF_ERROR(CheckBase(file));
  RL_ASSIGN_OR_RETURN(const FileLayout layout, read_header(file, file.size()));
  return Container{file, file.subspan(0, layout.metadata_bytes), layout};
}

Error CheckSegments(const DataSegments* segments, uint64_t segment_limit) {
  for (uoffset_t i = 0; i < SizeOf(segments); ++i) {
    const fb::DataSegment& s = *segments->Get(i);
    RL_CHECK(s.offset() <= segment_limit && s.size() <= segment_limit - s.offset(),
             Reason::kSegmentRange, i, Signed(s.offset() + s.size()), Signed(segment_limit));
  }
  return kOk;
}

Error CheckNamed(const flatbuffers::String* key, uint32_t segment, const DataSegments* segments,
                 uint32_t index) {
  RL_CHECK(key != nullptr, Reason::kNamedDataKey, index);
  RL_CHECK(key->size() <= kMaxNameLength, Reason::kNameTooLong, index, key->size(), kMaxNameLength);
  RL_CHECK(segment < SizeOf(segments), Reason::kSegmentIndex, index, segment,
           Signed(SizeOf(segments)));
  return kOk;
}

Result<uint64_t> CheckShape(int scalar_type, const flatbuffers::Vector<int32_t>* sizes,
                            const flatbuffers::Vector<uint8_t>* dim_order, uint32_t index) {
  RL_CHECK(IsValidDType(scalar_type), Reason::kTensorDType, index, scalar_type);
  RL_CHECK(sizes != nullptr && dim_order != nullptr, Reason::kTensorSizes, index);
  const uoffset_t rank = sizes->size();
  RL_CHECK(rank <= kMaxRank, Reason::kTooManyDimensions, index, rank, kMaxRank);
  RL_CHECK(dim_order->size() == rank, Reason::kTensorDimCount, index, dim_order->size(), rank);
  uint32_t seen = 0;
  for (uoffset_t d = 0; d < rank; ++d) {
    const int32_t size = sizes->Get(d);
    RL_CHECK(size >= 0, Reason::kTensorSize, index, size, 0, d);
    const uint8_t order = dim_order->Get(d);
    RL_CHECK(order < rank && (seen >> order & 1) == 0, Reason::kTensorDimOrder, index, order, rank,
             d);
    seen |= 1u << order;
  }
  uint64_t bytes = ElementSize(static_cast<DType>(scalar_type));
  for (uoffset_t d = 0; d < rank; ++d) {
    RL_CHECK(!__builtin_mul_overflow(bytes, static_cast<uint64_t>(sizes->Get(d)), &bytes) &&
                 bytes <= PTRDIFF_MAX,
             Reason::kTensorBytes, index);
  }
  return bytes;
}

}  // namespace rushlight
