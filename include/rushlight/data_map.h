// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// DataMap: bytes by name, from the program file itself or from files beside it (.ptd).
//
// A lookup, not a container: the bytes belong to whoever made the map and outlive every method
// that was loaded with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "rushlight/dtype.h"
#include "rushlight/error.h"
#include "rushlight/span.h"

namespace rushlight {

struct NamedBytes {
  Span<const uint8_t> bytes;
  // Where the bytes are a tensor:
  bool has_layout = false;
  DType dtype = DType::kUInt8;
  Span<const int32_t> sizes;
  Span<const uint8_t> dim_order;
};

class DataMap {
 public:
  using Lookup = Error (*)(const void* self, std::string_view key, NamedBytes* out);

  DataMap() = default;
  DataMap(const void* self, Lookup lookup) : self_(self), lookup_(lookup) {}

  // kKeyNotFound where there is none of that name.
  Error Find(std::string_view key, NamedBytes* out) const {
    return lookup_ == nullptr ? Error(Reason::kKeyNotFound) : lookup_(self_, key, out);
  }

 private:
  const void* self_ = nullptr;
  Lookup lookup_ = nullptr;
};

}  // namespace rushlight
