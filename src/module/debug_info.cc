// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/debug_info.h"

#include <nlohmann/json.hpp>

#include "src/core/no_throw.h"

namespace rushlight {

namespace {

// A parsed text takes many times its size; a hundred thousand instructions fit.
constexpr size_t kMaxBytes = size_t{8} << 20;

// The file is not trusted: nothing here throws, whatever the text is, but where memory runs out.
Result<SourceLocation> FindInText(Span<const uint8_t> text, std::string_view method,
                                  size_t instruction) {
  const nlohmann::json root = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  const Error absent(Reason::kKeyNotFound);
  if (!root.is_object() || !root.contains("methods") || !root["methods"].is_object()) return absent;
  const auto list = root["methods"].find(std::string(method));
  if (list == root["methods"].end() || !list->is_array() || instruction >= list->size()) {
    return absent;
  }
  const nlohmann::json& entry = (*list)[instruction];
  if (!entry.is_array() || entry.size() != 3) return absent;
  for (const nlohmann::json& number : entry) {
    if (!number.is_number_integer()) return absent;
  }
  SourceLocation location;
  location.debug_handle = entry[0].get<int64_t>();
  location.line = entry[2].get<int64_t>();
  const auto file = entry[1].get<int64_t>();
  if (!root.contains("files") || !root["files"].is_array() || file < 0 ||
      file >= static_cast<int64_t>(root["files"].size()) ||
      !root["files"][static_cast<size_t>(file)].is_string()) {
    return absent;
  }
  location.file = root["files"][static_cast<size_t>(file)].get<std::string>();
  return location;
}

}  // namespace

Result<SourceLocation> FindSource(const Program& program, std::string_view method,
                                  size_t instruction) {
  NamedBytes data;
  RL_RETURN_IF_ERROR(program.named_data_map().Find(kDebugInfoKey, &data));
  RL_CHECK(data.bytes.size() <= kMaxBytes, Reason::kKeyNotFound);
  return NoThrow([&] { return FindInText(data.bytes, method, instruction); });
}

}  // namespace rushlight
