// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/data_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "rushlight/tensor.h"  // kMaxRank
#include "src/program/container.h"

namespace rushlight {
namespace {

namespace ft = fb::flat_tensor;

constexpr size_t kInserted = 48;
constexpr uint64_t kHuge = UINT64_MAX;

// A file of two entries, with whatever is wrong about it.
struct Spec {
  struct Entry {
    const char* key = "weight";
    uint32_t segment = 0;
    bool layout = true;
    int scalar_type = static_cast<int>(DType::kFloat32);
    std::vector<int32_t> sizes = {2, 3};
    std::vector<uint8_t> dim_order = {1, 0};
    bool has_sizes = true;
    bool has_dim_order = true;
  };
  uint32_t version = 0;
  bool has_segments = true;
  bool has_named_data = true;
  std::vector<std::pair<uint64_t, uint64_t>> segments = {{0, 24}, {128, 5}};
  Entry tensor;
  Entry opaque = {"blob", 1, false};
  // The header; 0 where it is to be computed.
  std::string identifier = "FT01";
  std::string magic = "FH01";
  uint32_t header_length = 40;
  uint64_t inserted = kInserted;
  uint64_t flatbuffer = 0;
  uint64_t base = 0;
  uint64_t data_size = 133;
};

// The file, in 16-byte aligned memory, as LoadInPlace wants it.
struct File {
  explicit File(const std::vector<uint8_t>& content)
      : words((content.size() + 31) / 16 * 2), size(content.size()) {
    if (size > 0) std::memcpy(data(), content.data(), size);
  }
  uint8_t* data() {
    const auto address = reinterpret_cast<uintptr_t>(words.data());
    return reinterpret_cast<uint8_t*>((address + 15) / 16 * 16);
  }
  Span<const uint8_t> bytes() { return {data(), size}; }

  std::vector<uint64_t> words;
  size_t size;
};

template <class T>
void Put(std::vector<uint8_t>& bytes, size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

std::vector<uint8_t> Make(const Spec& spec) {
  flatbuffers::FlatBufferBuilder b;
  std::vector<flatbuffers::Offset<fb::DataSegment>> segments;
  for (const auto& [offset, size] : spec.segments) {
    segments.push_back(fb::CreateDataSegment(b, offset, size));
  }
  std::vector<flatbuffers::Offset<ft::NamedData>> named;
  for (const Spec::Entry* e : {&spec.tensor, &spec.opaque}) {
    flatbuffers::Offset<ft::TensorLayout> layout = 0;
    if (e->layout) {
      const auto sizes = b.CreateVector(e->sizes);
      const auto dim_order = b.CreateVector(e->dim_order);
      layout = ft::CreateTensorLayout(b, static_cast<fb::ScalarType>(e->scalar_type),
                                      e->has_sizes ? sizes : 0, e->has_dim_order ? dim_order : 0);
    }
    const auto key =
        e->key == nullptr ? flatbuffers::Offset<flatbuffers::String>(0) : b.CreateString(e->key);
    named.push_back(ft::CreateNamedData(b, key, e->segment, layout));
  }
  const auto segment_vector = b.CreateVector(segments);
  const auto named_vector = b.CreateVector(named);
  b.Finish(ft::CreateFlatTensor(b, spec.version, spec.has_segments ? segment_vector : 0,
                                spec.has_named_data ? named_vector : 0),
           spec.identifier.c_str());

  const uint8_t* buffer = b.GetBufferPointer();
  const uint64_t metadata = kInserted + b.GetSize();
  const uint64_t base = (metadata + 127) / 128 * 128;
  std::vector<uint8_t> file(base + 133);
  std::memcpy(file.data(), buffer, 8);
  std::memcpy(file.data() + 8 + kInserted, buffer + 8, b.GetSize() - 8);
  Put(file, 0, ReadUnaligned<uint32_t>(buffer) + static_cast<uint32_t>(kInserted));
  std::memcpy(file.data() + 8, spec.magic.data(), 4);
  Put(file, 12, spec.header_length);
  Put(file, 16, spec.inserted);
  Put(file, 24, spec.flatbuffer != 0 ? spec.flatbuffer : uint64_t{b.GetSize()});
  Put(file, 32, spec.base != 0 ? spec.base : base);
  Put(file, 40, spec.data_size);
  for (int i = 0; i < 6; ++i) Put(file, base + 4 * i, static_cast<float>(i));
  std::memcpy(file.data() + base + 128, "hello", 5);
  return file;
}

// Looks at everything that a loaded file offers; sanitizers watch.
size_t Touch(const DataFile& file) {
  size_t sum = 0;
  for (size_t i = 0; i < file.size(); ++i) {
    const NamedBytes e = file.entry(i);
    for (const uint8_t byte : e.bytes) sum += byte;
    for (const int32_t size : e.sizes) sum += static_cast<size_t>(size);
    for (const uint8_t d : e.dim_order) sum += e.sizes[d] != 0;
    NamedBytes found;
    sum += file.map().Find(file.key(i), &found).ok();
  }
  return sum;
}

Error Load(const std::vector<uint8_t>& content) {
  File file(content);
  std::vector<uint64_t> memory(content.size() / 8 + 4);
  Arena arena(memory.data(), memory.size() * 8);
  const Result<DataFile> copied = DataFile::Load(file.bytes(), arena);
  const Result<DataFile> in_place = DataFile::LoadInPlace(file.bytes());
  EXPECT_EQ(copied.error().reason, in_place.error().reason);
  if (!copied.ok()) return copied.error();
  EXPECT_EQ(Touch(*copied), Touch(*in_place));
  return kOk;
}

Error Load(const std::function<void(Spec&)>& spoil) {
  Spec spec;
  spoil(spec);
  return Load(Make(spec));
}

Reason Why(const std::function<void(Spec&)>& spoil) { return Load(spoil).reason; }

TEST(DataFile, ReadsTensorsAndBytes) {
  File bytes(Make(Spec()));
  std::vector<uint64_t> memory(*DataFile::MetadataBytes(bytes.bytes(), bytes.size) / 8 + 2);
  Arena arena(memory.data(), memory.size() * 8);
  const Result<DataFile> file = DataFile::Load(bytes.bytes(), arena);
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(file->size(), 2u);
  EXPECT_EQ(file->key(0), "weight");
  NamedBytes found;
  ASSERT_TRUE(file->map().Find("weight", &found).ok());
  EXPECT_TRUE(found.has_layout);
  EXPECT_EQ(found.dtype, DType::kFloat32);
  EXPECT_EQ(std::vector<int32_t>(found.sizes.begin(), found.sizes.end()),
            (std::vector<int32_t>{2, 3}));
  EXPECT_EQ(std::vector<uint8_t>(found.dim_order.begin(), found.dim_order.end()),
            (std::vector<uint8_t>{1, 0}));
  ASSERT_EQ(found.bytes.size(), 24u);
  EXPECT_EQ(ReadUnaligned<float>(found.bytes.data() + 20), 5.0f);
  ASSERT_TRUE(file->map().Find("blob", &found).ok());
  EXPECT_FALSE(found.has_layout);
  EXPECT_EQ(found.bytes.size(), 5u);
  EXPECT_EQ(file->map().Find("bloc", &found).reason, Reason::kKeyNotFound);
}

// The head and the FlatBuffer of a file that ExecuTorch 1.5.1 wrote for a module with a parameter
// a = [[0, 1, 2], [3, 4, 5]] and a buffer b = [7].
constexpr const char kStock[] =
    "4800000046543031464830312800000030000000000000000001000000000000800100000000000084000000"
    "0000000000000000000000000000000000000a000c000000040008000a000000a40000000400000002000000"
    "540000001000000000000a001000040008000c000a0000002c0000000100000004000000c2ffffff00000006"
    "1000000004000000010000000000000001000000010000000100000062000a000e000400000008000a000000"
    "380000001000000000000a001000070008000c000a0000000000000610000000040000000200000000010000"
    "020000000200000003000000010000006100000002000000300000000c0000000800180004000c0008000000"
    "800000000000000004000000000000000000000008000c0000000400080000001800000000000000";

TEST(DataFile, ReadsWhatExecuTorchWrites) {
  std::vector<uint8_t> content(516);
  for (size_t i = 0; 2 * i + 1 < sizeof kStock; ++i) {
    content[i] = static_cast<uint8_t>(std::stoi(std::string(kStock + 2 * i, 2), nullptr, 16));
  }
  for (int i = 0; i < 6; ++i) Put(content, 384 + 4 * i, static_cast<float>(i));
  Put(content, 512, 7.0f);
  File bytes(content);
  const Result<DataFile> file = DataFile::LoadInPlace(bytes.bytes());
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(file->size(), 2u);
  NamedBytes a, b;
  ASSERT_TRUE(file->map().Find("a", &a).ok());
  ASSERT_TRUE(file->map().Find("b", &b).ok());
  EXPECT_EQ(a.sizes.size(), 2u);
  EXPECT_EQ(a.sizes[1], 3);
  EXPECT_EQ(a.dim_order[1], 1);
  EXPECT_EQ(a.bytes.size(), 24u);
  EXPECT_EQ(b.dtype, DType::kFloat32);
  EXPECT_EQ(b.bytes.size(), 4u);
  EXPECT_EQ(ReadUnaligned<float>(b.bytes.data()), 7.0f);
}

TEST(DataFile, MetadataIsCopied) {
  File bytes(Make(Spec()));
  std::vector<uint64_t> memory(bytes.size / 8 + 4);
  Arena arena(memory.data(), memory.size() * 8);
  const Result<DataFile> file = DataFile::Load(bytes.bytes(), arena);
  ASSERT_TRUE(file.ok());
  const size_t metadata = *DataFile::MetadataBytes(bytes.bytes(), bytes.size);
  std::memset(bytes.data(), 0xff, metadata);
  EXPECT_EQ(file->key(1), "blob");
  EXPECT_EQ(file->entry(0).sizes[1], 3);
}

TEST(DataFile, RefusesWhatIsNotADataFile) {
  EXPECT_EQ(Load(std::vector<uint8_t>()).reason, Reason::kTooShort);
  EXPECT_EQ(Load(std::vector<uint8_t>(63)).reason, Reason::kTooShort);
  EXPECT_EQ(DataFile::MetadataBytes({Make(Spec()).data(), 63}, 4096).error().reason,
            Reason::kTooShort);
  EXPECT_EQ(Why([](Spec& s) { s.identifier = "ET12"; }), Reason::kMagic);
  EXPECT_EQ(Why([](Spec& s) { s.identifier = "FT02"; }), Reason::kOtherFormatVersion);
  EXPECT_EQ(Why([](Spec& s) { s.magic = "FH02"; }), Reason::kMagic);
}

TEST(DataFile, RefusesWrongHeaders) {
  EXPECT_EQ(Why([](Spec& s) { s.header_length = 39; }), Reason::kHeaderLength);
  EXPECT_EQ(Why([](Spec& s) { s.header_length = 41; }), Reason::kOk);  // of a later version
  EXPECT_EQ(Why([](Spec& s) { s.flatbuffer = kHuge; }), Reason::kHeaderSizes);
  EXPECT_EQ(Why([](Spec& s) { s.inserted = kHuge - 3; }), Reason::kHeaderSizes);
  EXPECT_EQ(Why([](Spec& s) { s.flatbuffer = 63 - kInserted; }), Reason::kHeaderSizes);
  EXPECT_EQ(Why([](Spec& s) { s.flatbuffer = 1 << 20; }), Reason::kProgramTruncated);
  EXPECT_EQ(Why([](Spec& s) { s.base = 63; }), Reason::kSegmentBase);
  EXPECT_EQ(Why([](Spec& s) { s.base = 1 << 20; }), Reason::kSegmentsTruncated);
  EXPECT_EQ(Why([](Spec& s) { s.base = kHuge; }), Reason::kSegmentsTruncated);
  EXPECT_EQ(Why([](Spec& s) { s.data_size = 134; }), Reason::kSegmentsTruncated);
  EXPECT_EQ(Why([](Spec& s) { s.data_size = kHuge; }), Reason::kSegmentsTruncated);
}

TEST(DataFile, RefusesMetadataOf2GiB) {
  Spec spec;
  spec.flatbuffer = uint64_t{1} << 31;
  const std::vector<uint8_t> head = Make(spec);
  EXPECT_EQ(DataFile::MetadataBytes(head, uint64_t{1} << 40).error().reason, Reason::kFileTooLarge);
}

TEST(DataFile, RefusesASmallArena) {
  File bytes(Make(Spec()));
  const size_t needed = *DataFile::MetadataBytes(bytes.bytes(), bytes.size);
  std::vector<uint64_t> memory(needed / 8 + 4);
  Arena small(memory.data(), needed - 1);
  EXPECT_EQ(DataFile::Load(bytes.bytes(), small).error().reason, Reason::kMetadataArena);
}

TEST(DataFile, RefusesMisalignedMemory) {
  std::vector<uint8_t> content = Make(Spec());
  content.insert(content.begin(), 8, 0);
  File bytes(content);
  EXPECT_EQ(DataFile::LoadInPlace({bytes.data() + 8, bytes.size - 8}).error().reason,
            Reason::kInputMisaligned);
}

TEST(DataFile, RefusesAFileThatChangesWhileItIsCopied) {
  static int calls;
  calls = 0;
  const HeaderReader changing = [](Span<const uint8_t>, uint64_t) -> Result<FileLayout> {
    FileLayout layout;
    layout.metadata_bytes = calls++ == 0 ? 64 : 4096;
    return layout;
  };
  const std::vector<uint8_t> file(64);
  std::vector<uint64_t> memory(32);
  Arena arena(memory.data(), memory.size() * 8);
  EXPECT_EQ(OpenCopied(file, changing, arena).error().reason, Reason::kHeaderSizes);
}

TEST(DataFile, RefusesBrokenStructure) {
  std::vector<uint8_t> content = Make(Spec());
  Put(content, 0, uint32_t{0xfffffff0});  // the root
  EXPECT_EQ(Load(content).reason, Reason::kFlatBuffer);
  content = Make(Spec());
  const size_t metadata = *DataFile::MetadataBytes(content, content.size());
  Put(content, 24, uint64_t{metadata - kInserted - 4});  // the last table is cut
  EXPECT_EQ(Load(content).reason, Reason::kFlatBuffer);
}

TEST(DataFile, RefusesWrongEntries) {
  EXPECT_EQ(Why([](Spec& s) { s.version = 1; }), Reason::kProgramVersion);
  EXPECT_EQ(Why([](Spec& s) { s.has_segments = false; }), Reason::kMissingField);
  EXPECT_EQ(Load([](Spec& s) { s.has_named_data = false; }).index, 1u);
  EXPECT_EQ(Why([](Spec& s) { s.has_named_data = false; }), Reason::kMissingField);
  EXPECT_EQ(Why([](Spec& s) { s.segments[1] = {128, 6}; }), Reason::kSegmentRange);
  EXPECT_EQ(Why([](Spec& s) { s.segments[1] = {134, 0}; }), Reason::kSegmentRange);
  EXPECT_EQ(Why([](Spec& s) { s.segments[1] = {kHuge, 2}; }), Reason::kSegmentRange);
  EXPECT_EQ(Why([](Spec& s) { s.segments[1] = {2, kHuge}; }), Reason::kSegmentRange);
  EXPECT_EQ(Why([](Spec& s) { s.segments[1] = {133, 0}; }), Reason::kOk);
  EXPECT_EQ(Why([](Spec& s) { s.opaque.key = nullptr; }), Reason::kNamedDataKey);
  EXPECT_EQ(Load([](Spec& s) { s.opaque.key = nullptr; }).index, 1u);
  const std::string longest(kMaxNameLength, 'k'), longer(kMaxNameLength + 1, 'k');
  EXPECT_EQ(Why([&](Spec& s) { s.opaque.key = longest.c_str(); }), Reason::kOk);
  EXPECT_EQ(Why([&](Spec& s) { s.opaque.key = longer.c_str(); }), Reason::kNameTooLong);
  EXPECT_EQ(Why([](Spec& s) { s.opaque.segment = 2; }), Reason::kSegmentIndex);
  EXPECT_EQ(Why([](Spec& s) { s.opaque.segment = 0xffffffff; }), Reason::kSegmentIndex);
}

TEST(DataFile, RefusesWrongLayouts) {
  using Sizes = std::vector<int32_t>;
  using Order = std::vector<uint8_t>;
  const auto shape = [](Sizes sizes, Order order) {
    return Why([&](Spec& s) {
      s.tensor.sizes = std::move(sizes);
      s.tensor.dim_order = std::move(order);
    });
  };
  EXPECT_EQ(shape({2, 3}, {0, 1}), Reason::kOk);
  EXPECT_EQ(shape({}, {}), Reason::kOk);
  EXPECT_EQ(shape({2, 0}, {0, 1}), Reason::kOk);
  EXPECT_EQ(shape({2, -1}, {0, 1}), Reason::kTensorSize);
  EXPECT_EQ(shape({2, 3}, {0, 2}), Reason::kTensorDimOrder);
  EXPECT_EQ(shape({2, 3}, {1, 1}), Reason::kTensorDimOrder);
  EXPECT_EQ(shape({2, 3}, {0, 255}), Reason::kTensorDimOrder);
  EXPECT_EQ(shape({2, 3}, {0}), Reason::kTensorDimCount);
  EXPECT_EQ(shape({2}, {0, 1}), Reason::kTensorDimCount);
  EXPECT_EQ(shape(Sizes(kMaxRank + 1, 1), Order(kMaxRank + 1, 0)), Reason::kTooManyDimensions);
  EXPECT_EQ(shape({INT32_MAX, INT32_MAX, 2}, {0, 1, 2}), Reason::kTensorBytes);
  EXPECT_EQ(shape({INT32_MAX, INT32_MAX, INT32_MAX}, {0, 1, 2}), Reason::kTensorBytes);
  EXPECT_EQ(shape({7, 1}, {0, 1}), Reason::kTensorDataRange);  // 28 of 24 bytes
  EXPECT_EQ(shape({INT32_MAX, 1}, {0, 1}), Reason::kTensorDataRange);
  EXPECT_EQ(Why([](Spec& s) { s.tensor.scalar_type = 30; }), Reason::kTensorDType);
  EXPECT_EQ(Why([](Spec& s) { s.tensor.scalar_type = -1; }), Reason::kTensorDType);
  EXPECT_EQ(Why([](Spec& s) { s.tensor.has_sizes = false; }), Reason::kTensorSizes);
  EXPECT_EQ(Why([](Spec& s) { s.tensor.has_dim_order = false; }), Reason::kTensorSizes);
  EXPECT_EQ(Load([](Spec& s) { s.tensor.sizes[1] = -5; }).found, -5);
}

TEST(DataFile, SurvivesTruncationAtEveryByte) {
  const std::vector<uint8_t> content = Make(Spec());
  for (size_t n = 0; n < content.size(); ++n) {
    const Error error = Load(std::vector<uint8_t>(content.begin(), content.begin() + n));
    EXPECT_EQ(error.code(), ErrorCode::kTruncated) << n;
  }
}

TEST(DataFile, SurvivesEveryChangedByte) {
  const std::vector<uint8_t> content = Make(Spec());
  const size_t metadata = *DataFile::MetadataBytes(content, content.size());
  size_t refused = 0;
  for (size_t i = 0; i < metadata; ++i) {
    for (const int value : {0x00, 0x01, 0x7f, 0x80, 0xff, content[i] ^ 1, content[i] ^ 4,
                            content[i] ^ 16, content[i] + 1}) {
      std::vector<uint8_t> changed = content;
      changed[i] = static_cast<uint8_t>(value);
      refused += !Load(changed).ok();
    }
  }
  EXPECT_GT(refused, metadata);  // most bytes matter
}

}  // namespace
}  // namespace rushlight
