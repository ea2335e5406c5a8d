// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/compiler/data_file_builder.h"

#include <cstring>
#include <memory>
#include <numeric>
#include <utility>

namespace rushlight::compiler {
namespace {

namespace ft = fb::flat_tensor;

constexpr uint32_t kHeaderBytes = 40;
constexpr size_t kTensorAlignment = 16;

}  // namespace

ft::NamedDataT& DataFileBuilder::Add(const std::string& key, Bytes bytes, size_t alignment) {
  auto entry = std::make_unique<ft::NamedDataT>();
  entry->key = key;
  entry->segment_index = AddWholeSegment(segments_, bytes, alignment);
  root_.named_data.push_back(std::move(entry));
  return *root_.named_data.back();
}

void DataFileBuilder::AddTensor(const std::string& key, Bytes bytes, DType dtype,
                                std::vector<int32_t> sizes, std::vector<uint8_t> dim_order) {
  auto layout = std::make_unique<ft::TensorLayoutT>();
  layout->scalar_type = static_cast<fb::ScalarType>(dtype);
  if (dim_order.empty()) {
    dim_order.resize(sizes.size());
    std::iota(dim_order.begin(), dim_order.end(), uint8_t{0});
  }
  layout->sizes = std::move(sizes);
  layout->dim_order = std::move(dim_order);
  Add(key, bytes, kTensorAlignment).tensor_layout = std::move(layout);
}

void DataFileBuilder::AddBytes(const std::string& key, Bytes bytes, size_t alignment) {
  Add(key, bytes, alignment);
}

bool DataFileBuilder::Finish(const Sink& write) {
  std::vector<const Segment*> layout;
  for (const Segment& s : segments_) layout.push_back(&s);
  SortByKey(&root_.named_data);
  root_.segments.clear();
  const uint64_t data_size = LayOut(layout, segment_alignment_, &root_.segments);
  flatbuffers::FlatBufferBuilder builder(1 << 16);
  builder.Finish(ft::CreateFlatTensor(builder, &root_), ft::FlatTensorIdentifier());

  std::vector<uint8_t> header(AlignUp(kHeaderBytes, 16), 0);
  const uint64_t inserted = header.size();
  const uint64_t size = builder.GetSize();
  const uint64_t base = data_size == 0 ? 0 : AlignUp(inserted + size, segment_alignment_);
  std::memcpy(header.data(), "FH01", 4);
  std::memcpy(header.data() + 4, &kHeaderBytes, 4);
  std::memcpy(header.data() + 8, &inserted, 8);
  std::memcpy(header.data() + 16, &size, 8);
  std::memcpy(header.data() + 24, &base, 8);
  std::memcpy(header.data() + 32, &data_size, 8);
  return WriteSegmented(builder, header, base, layout, root_.segments, write);
}

Error DataFileBuilder::WriteFile(const std::string& path) {
  return compiler::WriteFile(path, [this](const Sink& write) { return Finish(write); });
}

std::vector<uint8_t> DataFileBuilder::ToBytes() {
  return compiler::ToBytes([this](const Sink& write) { return Finish(write); });
}

}  // namespace rushlight::compiler
