// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Weight files (.gguf): all keys and tensors looked at, tensors decoded.

#include <cstdlib>
#include <cstring>

#include "fuzz/target.h"
#include "src/compiler/gguf.h"

namespace rushlight {

namespace {

using compiler::GgufType;

// A file, field by field.
struct Writer {
  template <class T>
  void Put(T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void Text(std::string_view text) {
    Put(uint64_t{text.size()});
    bytes.append(text);
  }
  void Key(std::string_view key, GgufType type) {
    Text(key);
    Put(type);
  }
  void Tensor(std::string_view name, uint64_t columns, uint64_t rows, uint32_t type,
              uint64_t offset) {
    Text(name);
    Put(uint32_t{2});
    Put(columns);
    Put(rows);
    Put(type);
    Put(offset);
  }

  std::string bytes;
};

std::string Make(uint32_t tensor_types) {
  Writer w;
  w.bytes = "GGUF";
  w.Put(uint32_t{3});
  w.Put(uint64_t{tensor_types});
  w.Put(uint64_t{5});
  w.Key("general.alignment", GgufType::kUInt32);
  w.Put(uint32_t{32});
  w.Key("general.architecture", GgufType::kString);
  w.Text("llama");
  w.Key("tokens", GgufType::kArray);
  w.Put(GgufType::kString);
  w.Put(uint64_t{2});
  w.Text("a");
  w.Text("");
  w.Key("nested", GgufType::kArray);
  w.Put(GgufType::kArray);
  w.Put(uint64_t{1});
  w.Put(GgufType::kFloat32);
  w.Put(uint64_t{1});
  w.Put(1.5f);
  w.Key("flag", GgufType::kBool);
  w.Put(uint8_t{1});
  // One tensor of each type; offsets leave room for the largest.
  for (uint32_t type = 0; type < tensor_types; ++type) {
    w.Tensor("t" + std::to_string(type), 256, 2, type, uint64_t{type} * 4096);
  }
  w.bytes.resize((w.bytes.size() + 31) / 32 * 32 + uint64_t{tensor_types} * 4096, '\x3c');
  return w.bytes;
}

void TouchValue(const compiler::GgufValue& value) {
  fuzz::Touch(value.numbers);
  for (const std::string_view s : value.strings) fuzz::Touch(s);
  for (const compiler::GgufValue& item : value.arrays) TouchValue(item);
}

}  // namespace

std::vector<std::string> fuzz::Seeds() { return {Make(0), Make(2), Make(4)}; }

}  // namespace rushlight

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rushlight;
  const auto file = compiler::GgufFile::Parse({data, size});
  if (!file.ok()) return 0;
  for (const compiler::GgufEntry& e : file->metadata()) {
    TouchValue(e.value);
    if (file->FindValue(e.key) != &e.value) std::abort();
  }
  for (const compiler::GgufTensor& t : file->tensors()) {
    if (file->FindTensor(t.name) != &t) std::abort();
    fuzz::Touch(t.bytes);
    if (t.type->decode == nullptr) continue;
    std::vector<float> values(static_cast<size_t>(t.numel));
    if (!compiler::Dequantize(t, 0, values).ok()) std::abort();
  }
  return 0;
}
