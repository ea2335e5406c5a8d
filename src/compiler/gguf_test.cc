// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Files that are wrong; what sound ones mean is compared with the reference in
// src/bindings/python/compiler_gguf_test.py.

#include "src/compiler/gguf.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace rushlight::compiler {
namespace {

constexpr uint64_t kHuge = UINT64_MAX;

// The bytes of a file, put together field by field.
class Writer {
 public:
  template <class T>
  Writer& Put(T value) {
    const auto* p = reinterpret_cast<const uint8_t*>(&value);
    bytes_.insert(bytes_.end(), p, p + sizeof value);
    return *this;
  }
  Writer& U32(uint64_t value) { return Put(static_cast<uint32_t>(value)); }
  Writer& U64(uint64_t value) { return Put(value); }
  Writer& Type(GgufType type) { return Put(type); }
  Writer& Text(const std::string& text) {
    U64(text.size());
    bytes_.insert(bytes_.end(), text.begin(), text.end());
    return *this;
  }
  Writer& Header(uint64_t tensors, uint64_t keys, uint32_t version = 3) {
    return U32(0x46554747).U32(version).U64(tensors).U64(keys);
  }
  Writer& Tensor(const std::string& name, const std::vector<uint64_t>& dims, uint64_t type,
                 uint64_t offset) {
    Text(name).U32(dims.size());
    for (const uint64_t d : dims) U64(d);
    return U32(type).U64(offset);
  }
  // Zeros up to the next multiple of `alignment`, then `size` more.
  Writer& Data(size_t size, size_t alignment = 32) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment + size, 0);
    return *this;
  }
  const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
};

// Looks at everything that a file offers; sanitizers watch.
size_t Touch(const GgufValue& value) {
  size_t sum = 0;
  for (const uint8_t byte : value.numbers) sum += byte;
  for (const std::string_view s : value.strings) {
    for (const char c : s) sum += static_cast<uint8_t>(c);
  }
  for (const GgufValue& item : value.arrays) sum += Touch(item);
  return sum;
}

Error Load(const std::vector<uint8_t>& content) {
  // Exactly as large as the file, so that sanitizers see every byte too many.
  const auto copy = std::make_unique<uint8_t[]>(content.size());
  if (!content.empty()) std::memcpy(copy.get(), content.data(), content.size());
  const Result<GgufFile> file = GgufFile::Parse({copy.get(), content.size()});
  if (!file.ok()) return file.error();
  for (const GgufEntry& e : file->metadata()) {
    Touch(e.value);
    EXPECT_EQ(file->FindValue(e.key), &e.value);
  }
  for (const GgufTensor& t : file->tensors()) {
    EXPECT_EQ(file->FindTensor(t.name), &t);
    if (t.type->decode == nullptr) continue;
    std::vector<float> values(t.numel);
    EXPECT_TRUE(Dequantize(t, 0, values).ok());
  }
  return kOk;
}

Reason Why(const Writer& writer) { return Load(writer.bytes()).reason; }

Writer Sound() {
  Writer w;
  w.Header(3, 4);
  w.Text("general.alignment").Type(GgufType::kUInt32).U32(64);
  w.Text("names").Type(GgufType::kArray).Type(GgufType::kString).U64(2).Text("a").Text("");
  w.Text("nested").Type(GgufType::kArray).Type(GgufType::kArray).U64(2);
  w.Type(GgufType::kUInt8).U64(1).Put(uint8_t{7}).Type(GgufType::kFloat64).U64(1).Put(0.5);
  w.Text("flag").Type(GgufType::kBool).Put(uint8_t{1});
  w.Tensor("w", {64, 2}, 2, 0);  // Q4_0: 4 blocks of 18 bytes
  w.Tensor("x", {}, 0, 128);
  w.Tensor("none", {0, 5}, 0, 192);
  return w.Data(192, 64);
}

TEST(Gguf, ReadsSoundFiles) {
  const Writer writer = Sound();
  EXPECT_EQ(Why(writer), Reason::kOk);
  const Result<GgufFile> parsed = GgufFile::Parse(writer.bytes());
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->version(), 3u);
  const GgufValue* names = parsed->FindValue("names");
  ASSERT_NE(names, nullptr);
  EXPECT_TRUE(names->is_array);
  EXPECT_EQ(names->strings, (std::vector<std::string_view>{"a", ""}));
  EXPECT_EQ(parsed->FindValue("nested")->arrays[1].type, GgufType::kFloat64);
  EXPECT_EQ(parsed->FindValue("absent"), nullptr);
  const GgufTensor* w = parsed->FindTensor("w");
  ASSERT_NE(w, nullptr);
  EXPECT_EQ(w->numel, 128u);
  EXPECT_EQ(w->bytes.size(), 72u);
  EXPECT_EQ(parsed->FindTensor("x")->bytes.data() - w->bytes.data(), 128);
  EXPECT_EQ(parsed->FindTensor("none")->numel, 0u);
  EXPECT_EQ(parsed->FindTensor("y"), nullptr);
  EXPECT_EQ(Why(Writer().Header(0, 0, 2)), Reason::kOk);
}

TEST(Gguf, OpensFiles) {
  const std::string path = testing::TempDir() + "/gguf_test.gguf";
  const std::vector<uint8_t> content = Sound().bytes();
  std::FILE* out = std::fopen(path.c_str(), "wb");
  ASSERT_NE(out, nullptr);
  std::fwrite(content.data(), 1, content.size(), out);
  std::fclose(out);
  for (const auto access : {platform::FileAccess::kMap, platform::FileAccess::kRead}) {
    Result<GgufFile> opened = GgufFile::Open(path, access);
    ASSERT_TRUE(opened.ok());
    const GgufFile moved = *std::move(opened);
    EXPECT_EQ(moved.FindTensor("w")->bytes.size(), 72u);
  }
  std::remove(path.c_str());
  EXPECT_EQ(GgufFile::Open(path).error().reason, Reason::kOpen);
  EXPECT_EQ(GgufFile::Open(testing::TempDir()).error().reason, Reason::kOpen);
}

TEST(Gguf, RefusesWrongHeaders) {
  EXPECT_EQ(Why(Writer()), Reason::kTooShort);
  EXPECT_EQ(Why(Writer().U32(0x46554748).U64(3)), Reason::kMagic);
  EXPECT_EQ(Why(Writer().Header(0, 0, 1)), Reason::kProgramVersion);
  EXPECT_EQ(Why(Writer().Header(0, 0, 4)), Reason::kProgramVersion);
  EXPECT_EQ(Why(Writer().Header(0, 0, 0x03000000)), Reason::kUnsupported);
  EXPECT_EQ(Why(Writer().Header(0, 0, 0)), Reason::kUnsupported);
  for (const uint64_t count : {uint64_t{1} << 32, uint64_t{1} << 61, kHuge}) {
    EXPECT_EQ(Why(Writer().Header(count, 0)), Reason::kTooManyEntries);
    EXPECT_EQ(Why(Writer().Header(0, count)), Reason::kTooManyEntries);
  }
  EXPECT_EQ(Why(Writer().Header(GgufFile::kMaxTensors, 0)), Reason::kTooShort);
  EXPECT_EQ(Why(Writer().Header(0, GgufFile::kMaxKeys)), Reason::kTooShort);
}

TEST(Gguf, RefusesWrongMetadata) {
  const auto key = [](const std::string& name) { return Writer().Header(0, 1).Text(name); };
  EXPECT_EQ(Why(key(std::string(1024, 'k')).Type(GgufType::kBool).Data(1, 1)), Reason::kOk);
  EXPECT_EQ(Why(key(std::string(1025, 'k')).Type(GgufType::kBool).Data(1, 1)),
            Reason::kNameTooLong);
  EXPECT_EQ(Why(Writer().Header(0, 1).U64(kHuge).Data(64)), Reason::kTooShort);
  for (const uint64_t type : {13u, 14u, 255u, 0xffffffffu}) {
    EXPECT_EQ(Why(key("k").U32(type).Data(64)), Reason::kMetadataType) << type;
    EXPECT_EQ(Why(key("k").Type(GgufType::kArray).U32(type).U64(1).Data(64)),
              Reason::kMetadataType);
  }
  for (const uint64_t length : {uint64_t{65}, uint64_t{1} << 63, kHuge, kHuge - 7}) {
    EXPECT_EQ(Why(key("k").Type(GgufType::kString).U64(length).Data(64, 1)), Reason::kTooShort);
  }
  const auto array = [&](GgufType type, uint64_t count) {
    return Why(key("k").Type(GgufType::kArray).Type(type).U64(count).Data(64, 1));
  };
  EXPECT_EQ(array(GgufType::kUInt64, 8), Reason::kOk);
  EXPECT_EQ(array(GgufType::kString, 8), Reason::kOk);  // empty ones
  for (const uint64_t count : {uint64_t{9}, uint64_t{1} << 61, (uint64_t{1} << 61) + 1, kHuge}) {
    EXPECT_EQ(array(GgufType::kUInt64, count), Reason::kTooShort) << count;
    EXPECT_EQ(array(GgufType::kString, count), Reason::kTooShort) << count;
  }
  EXPECT_EQ(array(GgufType::kArray, GgufFile::kMaxNestedArrays + 1), Reason::kTooManyEntries);
  EXPECT_EQ(array(GgufType::kArray, kHuge), Reason::kTooManyEntries);
  EXPECT_EQ(array(GgufType::kArray, GgufFile::kMaxNestedArrays), Reason::kTooShort);
}

TEST(Gguf, BoundsNesting) {
  const auto nested = [](size_t depth) {
    Writer w;
    w.Header(0, 1).Text("k");
    for (size_t i = 1; i < depth; ++i) {
      w.Type(GgufType::kArray);
      if (i > 1) w.U64(1);
    }
    w.Type(GgufType::kArray);
    if (depth > 1) w.U64(1);
    return w.Type(GgufType::kUInt8).U64(1).Put(uint8_t{1});
  };
  // Each array is written as: its items' type, their count, the items.
  EXPECT_EQ(Why(nested(1)), Reason::kOk);
  EXPECT_EQ(Why(nested(GgufFile::kMaxArrayDepth)), Reason::kOk);
  EXPECT_EQ(Why(nested(GgufFile::kMaxArrayDepth + 1)), Reason::kTooManyEntries);
  EXPECT_EQ(Why(nested(100000)), Reason::kTooManyEntries);
  // All arrays together are counted, not each on its own.
  Writer many;
  many.Header(0, 2);
  for (const char* key : {"a", "b"}) {
    many.Text(key).Type(GgufType::kArray).Type(GgufType::kArray).U64(GgufFile::kMaxNestedArrays);
    for (size_t i = 0; i < GgufFile::kMaxNestedArrays; ++i) many.Type(GgufType::kUInt8).U64(0);
  }
  EXPECT_EQ(Why(many), Reason::kTooManyEntries);
}

TEST(Gguf, RefusesRepeatedNames) {
  Writer keys;
  keys.Header(0, 3);
  for (const char* key : {"a", "b", "a"}) keys.Text(key).Type(GgufType::kInt8).Put(uint8_t{1});
  const Error error = Load(keys.bytes());
  EXPECT_EQ(error.reason, Reason::kMetadataKey);
  EXPECT_EQ(error.index, 2u);
  EXPECT_EQ(error.found, 0);
  EXPECT_EQ(Why(Writer().Header(2, 0).Tensor("t", {1}, 0, 0).Tensor("t", {1}, 0, 0).Data(4)),
            Reason::kTensorRepeated);
}

TEST(Gguf, RefusesWrongAlignments) {
  const auto aligned = [](GgufType type, uint64_t value, uint64_t offset, size_t padding) {
    Writer w;
    w.Header(1, 1).Text("general.alignment").Type(type);
    type == GgufType::kUInt64 ? w.U64(value) : w.U32(value);
    return Why(w.Tensor("t", {1}, 0, offset).Data(4 + offset, padding));
  };
  EXPECT_EQ(aligned(GgufType::kUInt32, 8, 8, 8), Reason::kOk);
  EXPECT_EQ(aligned(GgufType::kUInt32, 1, 3, 1), Reason::kOk);
  EXPECT_EQ(aligned(GgufType::kUInt32, 4096, 4096, 4096), Reason::kOk);
  EXPECT_EQ(aligned(GgufType::kUInt32, 64, 32, 64), Reason::kTensorDataAlignment);
  EXPECT_EQ(aligned(GgufType::kUInt32, 0, 0, 32), Reason::kMetadataValue);
  EXPECT_EQ(aligned(GgufType::kUInt32, 24, 0, 32), Reason::kMetadataValue);
  EXPECT_EQ(aligned(GgufType::kUInt32, 0xffffffff, 0, 32), Reason::kMetadataValue);
  EXPECT_EQ(aligned(GgufType::kUInt32, uint64_t{1} << 31, 0, 32), Reason::kTensorDataRange);
  EXPECT_EQ(aligned(GgufType::kInt32, 32, 0, 32), Reason::kMetadataType);
  EXPECT_EQ(aligned(GgufType::kUInt64, 32, 0, 32), Reason::kMetadataType);
  Writer array;
  array.Header(0, 1).Text("general.alignment").Type(GgufType::kArray).Type(GgufType::kUInt32);
  EXPECT_EQ(Why(array.U64(0)), Reason::kMetadataType);
}

TEST(Gguf, RefusesWrongTensors) {
  const auto tensor = [](const std::vector<uint64_t>& dims, uint64_t type, uint64_t offset,
                         size_t data) {
    return Why(Writer().Header(1, 0).Tensor("t", dims, type, offset).Data(data));
  };
  EXPECT_EQ(tensor({4, 3, 2, 1}, 0, 0, 96), Reason::kOk);
  EXPECT_EQ(tensor({1, 1, 1, 1, 1}, 0, 0, 96), Reason::kTooManyDimensions);
  EXPECT_EQ(Why(Writer().Header(1, 0).Text("t").U32(0xffffffff).Data(64)),
            Reason::kTooManyDimensions);
  EXPECT_EQ(Why(Writer().Header(1, 0).Tensor(std::string(1025, 't'), {1}, 0, 0).Data(4)),
            Reason::kNameTooLong);
  for (const uint64_t type : {4u, 5u, 9u, 31u, 38u, 41u, 1000u, 0xffffffffu}) {
    EXPECT_EQ(tensor({256}, type, 0, 4096), Reason::kTensorDType) << type;
  }
  // One element or one byte too many.
  EXPECT_EQ(tensor({4, 3, 2, 1}, 0, 0, 95), Reason::kTensorDataRange);
  EXPECT_EQ(tensor({25}, 0, 0, 96), Reason::kTensorDataRange);
  EXPECT_EQ(tensor({8}, 0, 64, 96), Reason::kOk);
  EXPECT_EQ(tensor({9}, 0, 64, 96), Reason::kTensorDataRange);
  EXPECT_EQ(tensor({8}, 0, 16, 96), Reason::kTensorDataAlignment);
  EXPECT_EQ(tensor({0}, 0, 128, 96), Reason::kTensorDataRange);
  for (const uint64_t offset : {uint64_t{1} << 62, uint64_t{1} << 63, kHuge - 31}) {
    EXPECT_EQ(tensor({8}, 0, offset, 96), Reason::kTensorDataRange);
  }
  // Blocks are within rows.
  EXPECT_EQ(tensor({32}, 2, 0, 18), Reason::kOk);
  EXPECT_EQ(tensor({16, 2}, 2, 0, 18), Reason::kTensorSize);
  EXPECT_EQ(tensor({33}, 2, 0, 96), Reason::kTensorSize);
  EXPECT_EQ(tensor({}, 2, 0, 96), Reason::kTensorSize);
  EXPECT_EQ(tensor({256}, 16, 0, 66), Reason::kOk);  // known, though not decoded
  // Products that wrap, also beside a dimension of 0.
  for (const uint64_t n : {uint64_t{1} << 32, uint64_t{1} << 61, uint64_t{1} << 63, kHuge}) {
    EXPECT_NE(tensor({n, 1}, 0, 0, 96), Reason::kOk) << n;
    EXPECT_EQ(tensor({n, n}, 0, 0, 96), Reason::kTensorBytes) << n;
    EXPECT_EQ(tensor({n, n, n, n}, 0, 0, 96), Reason::kTensorBytes) << n;
    EXPECT_EQ(tensor({n, 0, n, n}, 0, 0, 96), Reason::kTensorBytes) << n;
    EXPECT_EQ(tensor({uint64_t{1} << 32, n}, 28, 0, 96), Reason::kTensorBytes) << n;
  }
  EXPECT_EQ(tensor({3, 0x5555555555555555}, 0, 0, 96), Reason::kTensorBytes);
}

TEST(Gguf, DequantizesParts) {
  Writer w;
  w.Header(1, 0).Tensor("t", {32, 4}, 8, 0).Data(0);  // Q8_0
  for (int block = 0; block < 4; ++block) {
    w.Put(uint16_t{0x3c00});  // 1
    for (int j = 0; j < 32; ++j) w.Put(static_cast<int8_t>(block * 32 + j - 64));
  }
  const Result<GgufFile> file = GgufFile::Parse(w.bytes());
  ASSERT_TRUE(file.ok());
  const GgufTensor& t = file->tensors()[0];
  std::vector<float> part(64);
  ASSERT_TRUE(Dequantize(t, 32, part).ok());
  for (int i = 0; i < 64; ++i) EXPECT_EQ(part[static_cast<size_t>(i)], i - 32);
  EXPECT_TRUE(Dequantize(t, 128, {}).ok());
  EXPECT_EQ(Dequantize(t, 96, part).reason, Reason::kOptionInvalid);
  EXPECT_EQ(Dequantize(t, kHuge - 31, part).reason, Reason::kOptionInvalid);
  EXPECT_EQ(Dequantize(t, 16, part).reason, Reason::kOptionInvalid);
  EXPECT_EQ(Dequantize(t, 0, {part.data(), 31}).reason, Reason::kOptionInvalid);
  GgufTensor other = t;
  other.type = FindGgmlType(16);
  EXPECT_EQ(Dequantize(other, 0, {}).reason, Reason::kUnsupported);
}

TEST(Gguf, SurvivesTruncationAtEveryByte) {
  const std::vector<uint8_t> content = Sound().bytes();
  for (size_t n = 0; n < content.size(); ++n) {
    EXPECT_FALSE(Load(std::vector<uint8_t>(content.begin(), content.begin() + n)).ok()) << n;
  }
}

TEST(Gguf, SurvivesEveryChangedByte) {
  const std::vector<uint8_t> content = Sound().bytes();
  for (size_t i = 0; i < content.size(); ++i) {
    for (const int value : {0x00, 0x01, 0x7f, 0x80, 0xff, content[i] ^ 1, content[i] ^ 4,
                            content[i] ^ 16, content[i] + 1}) {
      std::vector<uint8_t> changed = content;
      changed[i] = static_cast<uint8_t>(value);
      (void)Load(changed);
    }
  }
}

TEST(Gguf, SurvivesRandomChanges) {
  std::mt19937 random(8);
  const std::vector<uint8_t> content = Sound().bytes();
  const uint64_t boundary[] = {0,    1, 0x7f, 0x80, 0xff, 0x7fffffff, 0xffffffff, uint64_t{1} << 63,
                               kHuge};
  for (int round = 0; round < 20000; ++round) {
    std::vector<uint8_t> changed = content;
    for (uint32_t edit = 0; edit < 1 + random() % 4; ++edit) {
      const size_t width = size_t{1} << random() % 4;
      const size_t at = random() % (content.size() - width);
      const uint64_t value = random() % 4 == 0 ? random() : boundary[random() % 9];
      std::memcpy(changed.data() + at, &value, width);
    }
    (void)Load(changed);
  }
}

}  // namespace
}  // namespace rushlight::compiler
