// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "tests/hostile/mutator.h"

#include <algorithm>
#include <cstring>

namespace rushlight::hostile {
namespace {

constexpr uint32_t kBoundaries[] = {0,      1,      0x7f,       0x80,       0xff,       0x7fff,
                                    0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
constexpr size_t kSegmentAlignment = 128;

template <class T>
T Read(const File& file, size_t at) {
  T value;
  std::memcpy(&value, file.data() + at, sizeof value);
  return value;
}

template <class T>
void Write(File& file, size_t at, T value) {
  std::memcpy(file.data() + at, &value, sizeof value);
}

bool IsDataFile(const File& file) { return std::memcmp(file.data() + 4, "FT01", 4) == 0; }

// `flatbuffer` with a header of `inserted` bytes put in, and then the segments.
File Assemble(const flatbuffers::FlatBufferBuilder& flatbuffer, size_t inserted,
              const File& original) {
  const FileParts parts = PartsOf(original);
  const uint8_t* buffer = flatbuffer.GetBufferPointer();
  const size_t size = flatbuffer.GetSize();
  File file(buffer, buffer + size);
  if (parts.segment_base == 0) return file;
  file.insert(file.begin() + 8, inserted, 0);
  Write(file, 0, Read<uint32_t>(file, 0) + static_cast<uint32_t>(inserted));
  const size_t base = (file.size() + kSegmentAlignment - 1) / kSegmentAlignment * kSegmentAlignment;
  // Both kinds of header: magic and length, two numbers, where segments begin, their size.
  std::memcpy(file.data() + 8, original.data() + 8, 8);
  if (IsDataFile(original)) {
    Write(file, 16, uint64_t{inserted});
    Write(file, 24, uint64_t{size});
    Write(file, 32, uint64_t{base});
    Write(file, 40, Read<uint64_t>(original, 40));
  } else {
    Write(file, 16, uint64_t{file.size()});
    Write(file, 24, uint64_t{base});
    Write(file, 32, Read<uint64_t>(original, 32));
  }
  file.resize(base);
  file.insert(file.end(), original.begin() + static_cast<ptrdiff_t>(parts.segment_base),
              original.end());
  return file;
}

}  // namespace

FileParts PartsOf(const File& file) {
  if (IsDataFile(file)) {
    return {static_cast<size_t>(Read<uint64_t>(file, 16) + Read<uint64_t>(file, 24)),
            static_cast<size_t>(Read<uint64_t>(file, 32))};
  }
  if (std::memcmp(file.data() + 8, "eh00", 4) != 0) return {file.size(), 0};
  return {static_cast<size_t>(Read<uint64_t>(file, 16)),
          static_cast<size_t>(Read<uint64_t>(file, 24))};
}

File MutateBytes(const File& file, size_t limit, Random& random) {
  File mutant = file;
  constexpr int kEdits[] = {1, 1, 1, 2, 4};
  constexpr size_t kWidths[] = {1, 2, 4, 4, 4, 8};
  const int edits = random.Choice(kEdits);
  for (int e = 0; e < edits; ++e) {
    const size_t offset = random.Below(limit);
    const size_t width = random.Choice(kWidths);
    if (random.Chance(0.2)) {
      mutant[offset] ^= static_cast<uint8_t>(1u << random.Below(8));
      continue;
    }
    const uint64_t value = random.Chance(0.7) ? random.Choice(kBoundaries) : random.Bits(32);
    uint8_t bytes[8];
    std::memcpy(bytes, &value, sizeof bytes);
    std::memcpy(mutant.data() + offset, bytes, std::min(width, limit - offset));
  }
  return mutant;
}

File MutateOffsets(const File& file, Random& random) {
  File mutant = file;
  const size_t words = PartsOf(file).metadata / 4;
  for (size_t e = 1 + random.Below(3); e > 0; --e) {
    // A word that could be an offset or a length: not zero, not beyond the end.
    size_t at = 0;
    uint32_t old = 0;
    for (int attempt = 0; attempt < 50 && (old == 0 || old > words * 4); ++attempt) {
      at = random.Below(words) * 4;
      old = Read<uint32_t>(file, at);
    }
    const uint32_t other = static_cast<uint32_t>(random.Below(words)) * 4;
    const uint32_t replacements[] = {old + 1,
                                     old - 1,
                                     old + 4,
                                     old - 4,
                                     old * 2,
                                     old / 2,
                                     0 - old,
                                     static_cast<uint32_t>(words * 4 - at),
                                     static_cast<uint32_t>(words * 4 - at) - 4,
                                     static_cast<uint32_t>(words - at / 4),
                                     other - static_cast<uint32_t>(at),
                                     other,
                                     random.Choice(kBoundaries)};
    Write(mutant, at, random.Choice(replacements));
  }
  return mutant;
}

File Repack(const fb::ProgramT& program, const File& original) {
  flatbuffers::FlatBufferBuilder builder(1 << 16);
  builder.Finish(fb::CreateProgram(builder, &program), fb::ProgramIdentifier());
  return Assemble(builder, 32, original);
}

File MutateProgram(const File& file, Random& random) {
  fb::ProgramT program;
  fb::GetProgram(file.data())->UnPackTo(&program);
  for (size_t e = 1 + random.Below(3); e > 0; --e) MutateFields(program, random);
  return Repack(program, file);
}

File MutateDataFile(const File& file, Random& random) {
  namespace ft = fb::flat_tensor;
  ft::FlatTensorT root;
  ft::GetFlatTensor(file.data())->UnPackTo(&root);
  const auto number = [&] { return BoundaryNumber(random); };
  for (size_t e = 1 + random.Below(3); e > 0; --e) {
    if (root.named_data.empty() || root.segments.empty()) break;
    ft::NamedDataT& entry = *root.named_data[random.Below(root.named_data.size())];
    fb::DataSegmentT& segment = *root.segments[random.Below(root.segments.size())];
    ft::TensorLayoutT* const layout = entry.tensor_layout.get();
    switch (random.Below(9)) {
      case 0:
        segment.offset = static_cast<uint64_t>(number());
        break;
      case 1:
        segment.size = static_cast<uint64_t>(number());
        break;
      case 2:
        entry.segment_index = static_cast<uint32_t>(number());
        break;
      case 3:
        entry.key = root.named_data[random.Below(root.named_data.size())]->key;
        break;
      case 4:
        entry.tensor_layout.reset();
        break;
      case 5:
        if (layout != nullptr) layout->scalar_type = static_cast<fb::ScalarType>(number());
        break;
      case 6:
        if (layout != nullptr) layout->sizes.push_back(static_cast<int32_t>(number()));
        break;
      case 7:
        if (layout != nullptr) layout->dim_order.push_back(static_cast<uint8_t>(number()));
        break;
      default:
        std::swap(entry.key, root.named_data.front()->key);
        break;
    }
  }
  flatbuffers::FlatBufferBuilder builder(1 << 16);
  builder.Finish(ft::CreateFlatTensor(builder, &root), ft::FlatTensorIdentifier());
  return Assemble(builder, 48, file);
}

int64_t BoundaryNumber(Random& random) {
  constexpr int64_t kNumbers[] = {0,
                                  1,
                                  -1,
                                  2,
                                  -2,
                                  3,
                                  15,
                                  16,
                                  17,
                                  127,
                                  128,
                                  255,
                                  256,
                                  65535,
                                  65536,
                                  INT32_MAX,
                                  INT32_MIN,
                                  UINT32_MAX,
                                  int64_t{1} << 32,
                                  INT64_MAX,
                                  INT64_MIN,
                                  INT64_MAX - 1};
  return random.Chance(0.3) ? static_cast<int64_t>(random.Below(12)) : random.Choice(kNumbers);
}

}  // namespace rushlight::hostile
