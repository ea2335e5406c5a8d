// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Work of a fixed size, for budgets.py: a small int4 decoder on one thread, and a tokenizer.
//
//   budgets_workload load|prefill|decode|tokenizer|encode   does it inside Measured()
//   budgets_workload memory                                 prints "NAME BYTES" lines

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rushlight/host_tensor.h"
#include "rushlight/memory_estimate.h"
#include "rushlight/module.h"
#include "rushlight/tokenizer.h"
#include "tests/hostile/cpu_plans.h"

// Callgrind counts what runs in here.
extern "C" __attribute__((noinline)) void Measured(const std::function<void()>& work) { work(); }

namespace rushlight {
namespace {

constexpr int64_t kPrompt = 32, kDecoded = 8;

// As in a program that is not to go on.
void Require(bool condition) {
  if (!condition) std::abort();
}

// A program in memory that is aligned as a mapped file is.
class File {
 public:
  File() {
    hostile::DecoderShape shape;
    shape.tokens = 512;
    shape.width = 128;
    shape.heads = 4;
    shape.kv_heads = 2;
    shape.head = 32;
    shape.mlp = 256;
    shape.layers = 4;
    shape.max_rows = kPrompt;
    shape.positions = 64;
    const std::vector<uint8_t> bytes = hostile::MakeDecoderProgram(shape);
    memory_.resize(bytes.size() + 63);
    void* place = memory_.data();
    size_t space = memory_.size();
    bytes_ = {static_cast<uint8_t*>(std::align(64, bytes.size(), place, space)), bytes.size()};
    std::copy(bytes.begin(), bytes.end(), static_cast<uint8_t*>(place));
  }

  Module Load() const {
    ModuleOptions options;
    options.threads = 1;
    Result<Module> module = Module::FromBytes(bytes_, options);
    Require(module.ok() && module->LoadMethod("forward").ok());
    return *std::move(module);
  }

 private:
  std::vector<uint8_t> memory_;
  Span<const uint8_t> bytes_;
};

void Feed(Module& module, int64_t first, int64_t count) {
  HostTensor ids(DType::kInt64, {static_cast<int32_t>(count)});
  HostTensor positions(DType::kInt64, {static_cast<int32_t>(count)});
  for (int64_t i = 0; i < count; ++i) {
    ids.tensor().mutable_data<int64_t>()[i] = (first + i) * 37 % 512;
    positions.tensor().mutable_data<int64_t>()[i] = first + i;
  }
  Require(module.Forward({ids, positions}).ok());
}

// Bytes, and the pairs of small letters, as a byte-level BPE.
std::string TokenizerFile() {
  std::string vocabulary, merges;
  int id = 0;
  const auto add = [&](const std::string& token) {
    vocabulary += (id == 0 ? "\"" : ",\"") + token + "\":" + std::to_string(id);
    ++id;
  };
  for (char c = '0'; c <= '9'; ++c) add(std::string(1, c));
  for (char c = 'a'; c <= 'z'; ++c) add(std::string(1, c));
  for (const char* c : {".", ",", "\u0120"}) add(c);
  for (char a = 'a'; a <= 'z'; ++a) {
    for (char b = 'a'; b <= 'z'; ++b) {
      add({a, b});
      merges += std::string(merges.empty() ? "\"" : ",\"") + a + " " + b + "\"";
    }
  }
  return R"({"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true},
             "decoder":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{)" +
         vocabulary + R"(},"merges":[)" + merges + "]}}";
}

std::string Text() {
  std::string text;
  uint32_t random = 1;
  for (int word = 0; word < 400; ++word) {
    random = random * 1664525 + 1013904223;
    for (uint32_t i = 0; i < 2 + (random >> 28); ++i) {
      text += static_cast<char>('a' + (random >> (i % 24)) % 26);
    }
    text += word % 9 == 8 ? ", " : " ";
  }
  return text;
}

std::unique_ptr<Tokenizer> LoadFrom(const std::string& file) {
  auto tokenizer = LoadTokenizer({reinterpret_cast<const uint8_t*>(file.data()), file.size()});
  Require(tokenizer.ok());
  return *std::move(tokenizer);
}

void PrintMemory() {
  const File file;
  Module module = file.Load();
  const Result<MemoryEstimate> memory = EstimateMemory(module, "forward");
  Require(memory.ok());
  const std::pair<const char*, uint64_t> figures[] = {{"tables", memory->tables},
                                                      {"activations", memory->activations},
                                                      {"state", memory->state},
                                                      {"scratch", memory->scratch}};
  for (const auto& [name, bytes] : figures) {
    std::printf("%s %llu\n", name, static_cast<unsigned long long>(bytes));
  }
}

int Run(std::string_view what) {
  if (what == "memory") {
    PrintMemory();
  } else if (what == "load") {
    const File file;
    Measured([&] { file.Load(); });
  } else if (what == "prefill") {
    const File file;
    Module module = file.Load();
    Measured([&] { Feed(module, 0, kPrompt); });
  } else if (what == "decode") {
    const File file;
    Module module = file.Load();
    Feed(module, 0, kPrompt);
    Measured([&] {
      for (int64_t i = 0; i < kDecoded; ++i) Feed(module, kPrompt + i, 1);
    });
  } else if (what == "tokenizer") {
    const std::string file = TokenizerFile();
    Measured([&] { LoadFrom(file); });
  } else if (what == "encode") {
    const std::unique_ptr<Tokenizer> tokenizer = LoadFrom(TokenizerFile());
    const std::string text = Text();
    Measured([&] { Require(tokenizer->Encode(text, {}).ok()); });
  } else {
    return 2;
  }
  return 0;
}

}  // namespace
}  // namespace rushlight

int main(int argc, char** argv) { return argc == 2 ? rushlight::Run(argv[1]) : 2; }
