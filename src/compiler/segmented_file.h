// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// What the writers of program files (.pte) and data files (.ptd) have in common: a FlatBuffer with
// a header inserted into it, then segments of bytes that are referred to, not copied, until they
// are written.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rushlight/error.h"
#include "rushlight/span.h"
#include "src/compiler/align.h"
#include "src/program/schema.h"

namespace rushlight::compiler {

using Bytes = Span<const uint8_t>;
// Takes a file in pieces, in order; false where it cannot.
using Sink = std::function<bool(const void* data, size_t size)>;
// Gives a file to a sink; stops and returns false where the sink does.
using Producer = std::function<bool(const Sink& write)>;

bool Equal(Bytes a, Bytes b);

struct Segment {
  std::vector<std::pair<uint64_t, Bytes>> pieces;  // offset in the segment, bytes
  uint64_t size = 0;
  size_t alignment = 1;
};

// The position in `segments` of the one that holds just these bytes, added if new.
uint32_t AddWholeSegment(std::vector<Segment>& segments, Bytes bytes, size_t alignment);

// Named data in ascending order of keys, as readers bisect them; equal keys keep their order.
template <class Named>
void SortByKey(std::vector<std::unique_ptr<Named>>* named) {
  std::stable_sort(named->begin(), named->end(),
                   [](const auto& a, const auto& b) { return a->key < b->key; });
}

// Appends to `entries` where each segment lies, one behind the other.  Returns the bytes of all.
uint64_t LayOut(const std::vector<const Segment*>& segments, size_t alignment,
                std::vector<std::unique_ptr<fb::DataSegmentT>>* entries);

// Writes `flatbuffer` with `header` inserted behind its file identifier, then the segments, the
// first of them at `base`.
bool WriteSegmented(const flatbuffers::FlatBufferBuilder& flatbuffer, Bytes header, uint64_t base,
                    const std::vector<const Segment*>& segments,
                    const std::vector<std::unique_ptr<fb::DataSegmentT>>& entries,
                    const Sink& write);

// Written beside and renamed, so that a reader never sees half a file.
Error WriteFile(const std::string& path, const Producer& produce);
std::vector<uint8_t> ToBytes(const Producer& produce);

}  // namespace rushlight::compiler
