// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// What the fuzz targets have in common.  Each is one file that defines Seeds() and libFuzzer's
// LLVMFuzzerTestOneInput; quick_check.sh runs them all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rushlight/span.h"

namespace rushlight::fuzz {

// Inputs to begin with.  An empty corpus folder on the command line is filled with them.
std::vector<std::string> Seeds();

// Everything that is read ends up here, so that reading cannot be left out.
inline volatile uint64_t g_sum = 0;
template <class Bytes>
void Touch(const Bytes& bytes) {
  for (const auto b : bytes) g_sum = g_sum + static_cast<uint8_t>(b);
}

// An input of two texts: what stands in front of the first NUL, and what follows it.
inline std::pair<std::string_view, std::string_view> Split(const uint8_t* data, size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const size_t end = all.find('\0');
  if (end == std::string_view::npos) return {all, {}};
  return {all.substr(0, end), all.substr(end + 1)};
}
inline std::string Join(std::string_view first, std::string_view second) {
  return std::string(first) + '\0' + std::string(second);
}

inline std::string TextOf(const std::vector<uint8_t>& bytes) {
  return {bytes.begin(), bytes.end()};
}

}  // namespace rushlight::fuzz
