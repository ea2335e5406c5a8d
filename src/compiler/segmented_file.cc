// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/compiler/segmented_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace rushlight::compiler {

bool Equal(Bytes a, Bytes b) {
  return a.size() == b.size() &&
         (a.data() == b.data() || a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

uint32_t AddWholeSegment(std::vector<Segment>& segments, Bytes bytes, size_t alignment) {
  for (size_t i = 0; i < segments.size(); ++i) {
    if (Equal(segments[i].pieces[0].second, bytes)) {
      if (alignment > segments[i].alignment) segments[i].alignment = alignment;
      return static_cast<uint32_t>(i);
    }
  }
  Segment segment;
  segment.pieces.emplace_back(0, bytes);
  segment.size = bytes.size();
  segment.alignment = alignment;
  segments.push_back(std::move(segment));
  return static_cast<uint32_t>(segments.size() - 1);
}

uint64_t LayOut(const std::vector<const Segment*>& segments, size_t alignment,
                std::vector<std::unique_ptr<fb::DataSegmentT>>* entries) {
  uint64_t end = 0;
  for (const Segment* s : segments) {
    auto entry = std::make_unique<fb::DataSegmentT>();
    entry->offset = s->size == 0 ? end : AlignUp(end, std::max(s->alignment, alignment));
    entry->size = s->size;
    end = entry->offset + entry->size;
    entries->push_back(std::move(entry));
  }
  return end;
}

bool WriteSegmented(const flatbuffers::FlatBufferBuilder& flatbuffer, Bytes header, uint64_t base,
                    const std::vector<const Segment*>& segments,
                    const std::vector<std::unique_ptr<fb::DataSegmentT>>& entries,
                    const Sink& write) {
  const uint8_t* buffer = flatbuffer.GetBufferPointer();
  const size_t buffer_size = flatbuffer.GetSize();
  std::vector<uint8_t> head(buffer, buffer + 8);
  uint32_t root;
  std::memcpy(&root, buffer, sizeof root);
  root += static_cast<uint32_t>(header.size());
  std::memcpy(head.data(), &root, sizeof root);
  head.insert(head.end(), header.begin(), header.end());
  if (!write(head.data(), head.size()) || !write(buffer + 8, buffer_size - 8)) return false;

  uint64_t position = buffer_size + header.size();
  const auto pad_to = [&](uint64_t target) {
    static constexpr uint8_t kZeros[4096] = {};
    while (position < target) {
      const uint64_t n = std::min<uint64_t>(target - position, sizeof kZeros);
      if (!write(kZeros, n)) return false;
      position += n;
    }
    return true;
  };
  for (size_t i = 0; i < segments.size(); ++i) {
    for (const auto& [offset, bytes] : segments[i]->pieces) {
      if (!pad_to(base + entries[i]->offset + offset)) return false;
      if (!write(bytes.data(), bytes.size())) return false;
      position += bytes.size();
    }
  }
  return true;
}

Error WriteFile(const std::string& path, const Producer& produce) {
  const std::string partial = path + ".part";
  std::FILE* file = std::fopen(partial.c_str(), "wb");
  RL_CHECK(file != nullptr, Reason::kOpen, Error::kNone, errno);
  const bool written = produce(
      [&](const void* data, size_t size) { return std::fwrite(data, 1, size, file) == size; });
  const int write_errno = errno;
  const bool closed = std::fclose(file) == 0;
  if (!written || !closed || std::rename(partial.c_str(), path.c_str()) != 0) {
    const int code = written ? errno : write_errno;
    std::remove(partial.c_str());
    return Error(Reason::kWrite, Error::kNone, code);
  }
  return kOk;
}

std::vector<uint8_t> ToBytes(const Producer& produce) {
  std::vector<uint8_t> bytes;
  produce([&](const void* data, size_t size) {
    const auto* p = static_cast<const uint8_t*>(data);
    bytes.insert(bytes.end(), p, p + size);
    return true;
  });
  return bytes;
}

}  // namespace rushlight::compiler
