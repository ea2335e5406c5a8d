// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Weight files (.safetensors): all tensors looked at.

#include <cstdlib>
#include <cstring>

#include "fuzz/target.h"
#include "src/compiler/safetensors.h"

namespace rushlight {

namespace {

std::string Make(std::string_view header, size_t data) {
  const uint64_t size = header.size();
  std::string file(sizeof size, '\0');
  std::memcpy(file.data(), &size, sizeof size);
  file.append(header);
  file.append(data, '\x3c');
  return file;
}

}  // namespace

std::vector<std::string> fuzz::Seeds() {
  return {Make("{}", 0), Make(R"({"__metadata__":{"format":"pt"},)"
                              R"("a.weight":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},)"
                              R"("b":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
                              R"("c":{"dtype":"F4","shape":[0,7],"data_offsets":[16,16]}} )",
                              16)};
}

}  // namespace rushlight

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rushlight;
  const auto file = compiler::SafetensorsFile::Parse({data, size});
  if (!file.ok()) return 0;
  for (const compiler::SafetensorsTensor& t : file->tensors()) {
    if (file->Find(t.name) != &t || t.rank > compiler::SafetensorsTensor::kMaxRank) std::abort();
    fuzz::Touch(t.bytes);
  }
  return 0;
}
