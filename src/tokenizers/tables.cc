// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/tokenizers/tables.h"

#include <cstring>

namespace rushlight::tokenizers {
namespace {

struct Header {
  char magic[4];
  uint32_t version;
  uint64_t sizes[Tables::kNumSections];
};

constexpr char kMagic[4] = {'R', 'L', 'T', 'K'};
constexpr uint32_t kVersion = 1;  // also of HashOf() and of the order in an index

Error SectionError(uint32_t section, uint64_t found, uint64_t limit = 0) {
  return Error(Reason::kTokenizerTables, section, static_cast<int64_t>(found),
               static_cast<int64_t>(limit));
}

// A FrozenIndex of `count` keys.
Error CheckIndex(const Span<const uint8_t>* sections, uint32_t order, uint32_t buckets,
                 size_t count) {
  if (count == 0 && sections[order].empty() && sections[buckets].empty()) return kOk;
  if (sections[order].size() != count * sizeof(uint32_t)) {
    return SectionError(order, sections[order].size(), count * sizeof(uint32_t));
  }
  const size_t bytes = FrozenIndex::BucketsOf(count) * sizeof(uint32_t);
  if (sections[buckets].size() != bytes) {
    return SectionError(buckets, sections[buckets].size(), bytes);
  }
  return kOk;
}

std::string_view Text(Span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Result<Tables> Tables::Open(Span<const uint8_t> file) {
  Header header;
  if (file.size() < sizeof(header)) return SectionError(kNumSections, file.size(), sizeof(header));
  std::memcpy(&header, file.data(), sizeof(header));
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0 || header.version != kVersion) {
    return SectionError(kNumSections, header.version, kVersion);
  }
  Span<const uint8_t> sections[kNumSections];
  size_t begin = sizeof(header);
  for (uint32_t s = 0; s < kNumSections; ++s) {
    const uint64_t size = header.sizes[s];
    if (size > file.size() - begin) return SectionError(s, size, file.size() - begin);
    sections[s] = file.subspan(begin, static_cast<size_t>(size));
    begin += static_cast<size_t>(size);
  }

  const size_t starts = sections[kContentStarts].size() / sizeof(uint32_t);
  if (starts == 0 || starts - 1 >= FrozenIndex::kNone ||
      sections[kContentStarts].size() % sizeof(uint32_t) != 0) {
    return SectionError(kContentStarts, sections[kContentStarts].size());
  }
  const size_t tokens = starts - 1;
  if (!sections[kIds].empty() && sections[kIds].size() != tokens * sizeof(int32_t)) {
    return SectionError(kIds, sections[kIds].size(), tokens * sizeof(int32_t));
  }
  const size_t merges = sections[kMerges].size() / sizeof(Merge);
  if (sections[kMerges].size() % sizeof(Merge) != 0 || merges >= FrozenIndex::kNone) {
    return SectionError(kMerges, sections[kMerges].size());
  }
  RL_RETURN_IF_ERROR(CheckIndex(sections, kContentOrder, kContentBuckets, tokens));
  RL_RETURN_IF_ERROR(CheckIndex(sections, kMergeOrder, kMergeBuckets, merges));

  Tables tables;
  tables.content_starts = Column<uint32_t>(sections[kContentStarts]);
  tables.ids = Column<int32_t>(sections[kIds]);
  tables.content_index = FrozenIndex(Column<uint32_t>(sections[kContentOrder]),
                                     Column<uint32_t>(sections[kContentBuckets]));
  tables.merges = Column<Merge>(sections[kMerges]);
  tables.merge_index = FrozenIndex(Column<uint32_t>(sections[kMergeOrder]),
                                   Column<uint32_t>(sections[kMergeBuckets]));
  tables.contents = Text(sections[kContents]);
  tables.description = Text(sections[kDescription]);
  return tables;
}

std::string TablesBuilder::Build() const {
  Header header = {};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.version = kVersion;
  size_t size = sizeof(header);
  for (size_t s = 0; s < Tables::kNumSections; ++s) {
    header.sizes[s] = sections_[s].size();
    size += sections_[s].size();
  }
  std::string file;
  file.reserve(size);
  file.append(reinterpret_cast<const char*>(&header), sizeof(header));
  for (const std::string& section : sections_) file.append(section);
  return file;
}

}  // namespace rushlight::tokenizers
