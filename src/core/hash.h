// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// FNV-1a, 64 bits: for tables and identities, not against those who wish for collisions.
#pragma once

#include <cstdint>
#include <string_view>

namespace rushlight {

constexpr uint64_t Fnv1a(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ull;
  return hash;
}

}  // namespace rushlight
