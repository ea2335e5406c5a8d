// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Files that are wrong; what sound ones mean is compared with the reference in
// src/bindings/python/compiler_safetensors_test.py.

#include "src/compiler/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <string>

namespace rushlight::compiler {
namespace {

std::string File(const std::string& header, size_t data) {
  const uint64_t size = header.size();
  std::string file(sizeof size, '\0');
  std::memcpy(file.data(), &size, sizeof size);
  return file + header + std::string(data, '\x3c');
}

std::string Tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}
std::string One(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"a":)" + Tensor(dtype, shape, offsets) + "}";
}

std::string Sound() {
  return File(R"({"__metadata__":{"format":"pt"},"b":)" + Tensor("BF16", "[2, 3]", "[4, 16]") +
                  R"(,"a":)" + Tensor("F32", "[]", "[0, 4]") + R"(,"c":)" +
                  Tensor("U8", "[0, 7]", "[16, 16]") + "}  ",
              16);
}

Error Load(const std::string& content) {
  // Exactly as large as the file, so that sanitizers see every byte too many.
  const auto copy = std::make_unique<uint8_t[]>(content.size());
  if (!content.empty()) std::memcpy(copy.get(), content.data(), content.size());
  const Result<SafetensorsFile> file = SafetensorsFile::Parse({copy.get(), content.size()});
  if (!file.ok()) return file.error();
  size_t sum = 0;
  for (const SafetensorsTensor& t : file->tensors()) {
    EXPECT_EQ(file->Find(t.name), &t);
    for (const uint8_t byte : t.bytes) sum += byte;
  }
  EXPECT_LE(sum, content.size() * 255 * file->tensors().size());
  return kOk;
}

TEST(Safetensors, TensorsInOrder) {
  const std::string content = Sound();
  const Result<SafetensorsFile> file =
      SafetensorsFile::Parse({reinterpret_cast<const uint8_t*>(content.data()), content.size()});
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(file->tensors().size(), 3u);
  const SafetensorsTensor& b = file->tensors()[1];
  EXPECT_EQ(b.name, "b");
  EXPECT_EQ(b.type->name, "BF16");
  EXPECT_EQ(b.rank, 2u);
  EXPECT_EQ(b.dims[1], 3u);
  EXPECT_EQ(b.bytes.size(), 12u);
  EXPECT_EQ(file->Find("a")->rank, 0u);
  EXPECT_TRUE(file->Find("c")->bytes.empty());
  EXPECT_EQ(file->Find("d"), nullptr);
  EXPECT_EQ(file->Find("__metadata__"), nullptr);
}

TEST(Safetensors, RefusesHeaders) {
  const struct {
    std::string header;
    Reason reason;
  } kCases[] = {
      {"", Reason::kMagic},
      {"[]", Reason::kMagic},
      {" {}", Reason::kMagic},
      {"{", Reason::kWeightsJson},
      {"{}{}", Reason::kWeightsJson},
      {"{\"\xff\":{}}", Reason::kWeightsJson},
      {R"({"a":1})", Reason::kWeightsField},
      {R"({"a":[]})", Reason::kWeightsField},
      {R"({"a":{}})", Reason::kWeightsField},
      {R"({"a":{"dtype":{}}})", Reason::kWeightsField},
      {R"({"a":{"dtype":["U8"]}})", Reason::kWeightsField},
      {R"({"a":{"shape":[[]]}})", Reason::kWeightsField},
      {R"({"a":{"shape":"U8"}})", Reason::kWeightsField},
      {R"({"a":{"other":1}})", Reason::kWeightsField},
      {R"({"a":{"shape":[],"shape":[]}})", Reason::kWeightsField},
      {R"({"__metadata__":{"a":{}}})", Reason::kWeightsField},
      {R"({"__metadata__":"a"})", Reason::kWeightsField},
      {One("U8", "[-1]", "[0,1]"), Reason::kWeightsField},
      {One("U8", "[1.0]", "[0,1]"), Reason::kWeightsField},
      {One("U8", "[18446744073709551616]", "[0,1]"), Reason::kWeightsField},
      {One("U8", "[1]", "[0]"), Reason::kWeightsField},
      {One("U8", "[1]", "[0,1,2]"), Reason::kWeightsField},
      {One("U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]"), Reason::kTooManyDimensions},
      {One("Q8", "[1]", "[0,1]"), Reason::kTensorDType},
      {One("U8", "[9]", "[0,9]"), Reason::kTensorDataRange},
      {One("U8", "[1]", "[2,1]"), Reason::kTensorDataRange},
      {One("U8", "[1]", "[18446744073709551615,0]"), Reason::kTensorDataRange},
      {One("U8", "[4]", "[0,5]"), Reason::kWeightsSize},
      {One("F32", "[]", "[0,3]"), Reason::kWeightsSize},
      {One("F4", "[3]", "[0,1]"), Reason::kTensorBytes},
      {One("F64", "[4294967296,4294967296]", "[0,8]"), Reason::kTensorBytes},
      {One("U8", "[9223372036854775807,0]", "[0,0]"), Reason::kTensorBytes},
      {R"({"a":)" + Tensor("U8", "[1]", "[0,1]") + R"(,"a":)" + Tensor("U8", "[1]", "[0,1]") + "}",
       Reason::kTensorRepeated},
      {"{\"" + std::string(1025, 'a') + "\":{}}", Reason::kNameTooLong},
      {std::string(100000, '{'), Reason::kWeightsJson},
      {R"({"a":)" + std::string(100000, '['), Reason::kWeightsField},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(Load(File(c.header, 8)).reason, c.reason) << c.header.substr(0, 100);
  }
  EXPECT_TRUE(Load(File("{}", 0)).ok());
  EXPECT_TRUE(Load(File(One("F4", "[4,4]", "[0,8]"), 8)).ok());
}

TEST(Safetensors, RefusesLengths) {
  EXPECT_EQ(Load("1234567").reason, Reason::kTooShort);
  EXPECT_EQ(Load(std::string("\x03\0\0\0\0\0\0\0{}", 10)).reason, Reason::kTooShort);
  EXPECT_EQ(Load(std::string(8, '\xff') + "{}").reason, Reason::kMagic);
}

TEST(Safetensors, SurvivesTruncationAtEveryByte) {
  const std::string content = Sound();
  for (size_t n = 0; n < content.size(); ++n) EXPECT_FALSE(Load(content.substr(0, n)).ok()) << n;
}

TEST(Safetensors, SurvivesChanges) {
  const std::string content = Sound();
  for (size_t i = 0; i < content.size(); ++i) {
    for (const char value : {'\0', '\x7f', '\xff', '"', '[', ']', '{', '}', ',', ':', '9'}) {
      std::string changed = content;
      changed[i] = value;
      (void)Load(changed);
    }
  }
  std::mt19937 random(20261124);
  for (int round = 0; round < 20000; ++round) {
    std::string changed = content;
    for (uint32_t edit = 0; edit < 1 + random() % 4; ++edit) {
      changed[random() % changed.size()] = static_cast<char>(random());
    }
    (void)Load(changed);
  }
}

}  // namespace
}  // namespace rushlight::compiler
