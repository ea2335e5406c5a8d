// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// FlatBuffers, set up as the library uses them.  Comes before any accessors that flatc generated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

// The accessors' own assertions would call abort(); everything they assert is checked by Load.
#ifndef FLATBUFFERS_ASSERT
#define FLATBUFFERS_ASSERT(condition) ((void)0)
#endif
#include <flatbuffers/base.h>
// The library's value, but not in 64 bits: small targets would link a division for it.
#undef FLATBUFFERS_MAX_BUFFER_SIZE
#define FLATBUFFERS_MAX_BUFFER_SIZE 0x7fffffffu
#include <flatbuffers/flatbuffers.h>

namespace rushlight {

// Entries of a vector that may be absent.
template <class T>
size_t SizeOf(const flatbuffers::Vector<T>* vector) {
  return vector == nullptr ? 0 : vector->size();
}

// Requires: the string is present.
inline std::string_view View(const flatbuffers::String* s) { return {s->c_str(), s->size()}; }

inline std::string_view ViewOrEmpty(const flatbuffers::String* s) {
  return s == nullptr ? std::string_view() : View(s);
}

}  // namespace rushlight
