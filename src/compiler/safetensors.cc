// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/compiler/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "src/core/no_throw.h"

namespace rushlight::compiler {
namespace {

constexpr size_t kMaxNameLength = 1024;

constexpr SafetensorsType kTypes[] = {
    {"BOOL", 8},    {"U8", 8},      {"I8", 8},      {"U16", 16},    {"I16", 16},
    {"U32", 32},    {"I32", 32},    {"U64", 64},    {"I64", 64},    {"F16", 16},
    {"BF16", 16},   {"F32", 32},    {"F64", 64},    {"F8_E4M3", 8}, {"F8_E5M2", 8},
    {"F8_E8M0", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4},      {"C64", 64},
};

const SafetensorsType* FindType(std::string_view name) {
  const auto* found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                   [&](const SafetensorsType& t) { return t.name == name; });
  return found == std::end(kTypes) ? nullptr : found;
}

int64_t Signed(uint64_t value) { return static_cast<int64_t>(value); }

// A tensor as the header has it: where its bytes begin and end, behind the header.
struct Entry {
  SafetensorsTensor tensor;
  uint64_t offsets[2] = {};
};

// {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ..., "__metadata__": {"a":
// "b"}} Reads no deeper, and nothing else.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  // Why the header was refused; `found` is where, for what is no JSON.
  const Error& error() const { return error_; }
  std::vector<Entry>& entries() { return entries_; }

  bool null() override { return Refuse(); }
  bool boolean(bool) override { return Refuse(); }
  bool number_integer(number_integer_t) override { return Refuse(); }  // negative
  bool number_float(number_float_t, const string_t&) override { return Refuse(); }
  bool binary(binary_t&) override { return Refuse(); }  // does not occur in text

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::kNumbers) return Refuse();
    Entry& entry = entries_.back();
    if (field_ == kOffsets) {
      if (count_ == 2) return Refuse();
      entry.offsets[count_++] = value;
      return true;
    }
    if (entry.tensor.rank == SafetensorsTensor::kMaxRank) {
      return Fail(Error(Reason::kTooManyDimensions, Index(), SafetensorsTensor::kMaxRank + 1,
                        SafetensorsTensor::kMaxRank));
    }
    entry.tensor.dims[entry.tensor.rank++] = value;
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) return true;
    if (place_ != Place::kTensor || field_ != kDType) return Refuse();
    entries_.back().tensor.type = FindType(value);
    return entries_.back().tensor.type != nullptr || Fail(Error(Reason::kTensorDType, Index()));
  }

  bool key(string_t& name) override {
    if (place_ == Place::kTensor) return Field(name);
    if (place_ == Place::kMetadata) return true;
    is_metadata_ = name == "__metadata__";
    return is_metadata_ || AddTensor(std::move(name));
  }

  bool start_object(size_t) override {
    if (place_ == Place::kOutside) {
      place_ = Place::kTop;
    } else if (place_ == Place::kTop) {
      place_ = is_metadata_ ? Place::kMetadata : Place::kTensor;
    } else {
      return Refuse();
    }
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kTensor && seen_ != (kDType | kShape | kOffsets)) return Refuse();
    place_ = place_ == Place::kTop ? Place::kOutside : Place::kTop;
    return true;
  }

  bool start_array(size_t) override {
    if (place_ != Place::kTensor || field_ == kDType) return Refuse();
    place_ = Place::kNumbers;
    count_ = 0;
    return true;
  }

  bool end_array() override {
    place_ = Place::kTensor;
    return field_ != kOffsets || count_ == 2 || Refuse();
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return Fail(Error(Reason::kWeightsJson, Error::kNone, Signed(position)));
  }

 private:
  enum class Place { kOutside, kTop, kMetadata, kTensor, kNumbers };
  enum : unsigned { kDType = 1, kShape = 2, kOffsets = 4 };  // fields of a tensor

  uint32_t Index() const { return static_cast<uint32_t>(entries_.size() - 1); }
  bool Fail(Error error) {
    error_ = error;
    return false;
  }
  bool Refuse() { return Fail(Error(Reason::kWeightsField, entries_.empty() ? 0 : Index())); }

  bool AddTensor(std::string name) {
    if (entries_.size() == SafetensorsFile::kMaxTensors) {
      return Fail(Error(Reason::kTooManyEntries, Error::kNone, Signed(entries_.size() + 1),
                        SafetensorsFile::kMaxTensors));
    }
    entries_.emplace_back();
    if (name.size() > kMaxNameLength) {
      return Fail(Error(Reason::kNameTooLong, Index(), Signed(name.size()), kMaxNameLength));
    }
    entries_.back().tensor.name = std::move(name);
    seen_ = 0;
    return true;
  }

  bool Field(std::string_view name) {
    field_ = name == "dtype"          ? kDType
             : name == "shape"        ? kShape
             : name == "data_offsets" ? kOffsets
                                      : 0;
    if (field_ == 0 || (seen_ & field_) != 0) return Refuse();
    seen_ |= field_;
    return true;
  }

  Error error_;
  std::vector<Entry> entries_;
  Place place_ = Place::kOutside;
  bool is_metadata_ = false;
  unsigned field_ = 0, seen_ = 0;
  size_t count_ = 0;  // of offsets
};

// Bytes of a shape, or an error where they are no whole number or too many.
Error SizeOf(uint32_t index, const SafetensorsTensor& tensor, uint64_t* size) {
  uint64_t numel = 1;
  bool empty = false;
  for (size_t d = 0; d < tensor.rank; ++d) {
    // Dimensions of 0 are left out of the product, so that it bounds the others too.
    RL_CHECK(!__builtin_mul_overflow(numel, std::max<uint64_t>(tensor.dims[d], 1), &numel) &&
                 numel <= INT64_MAX / 64,
             Reason::kTensorBytes, index);
    empty |= tensor.dims[d] == 0;
  }
  const uint64_t bits = empty ? 0 : numel * tensor.type->bits;
  RL_CHECK(bits % 8 == 0, Reason::kTensorBytes, index);
  *size = bits / 8;
  return kOk;
}

Error Locate(uint32_t index, Span<const uint8_t> data, Entry* entry) {
  const auto [begin, end] = entry->offsets;
  RL_CHECK(begin <= end && end <= data.size(), Reason::kTensorDataRange, index, Signed(end),
           Signed(data.size()));
  uint64_t size = 0;
  RL_RETURN_IF_ERROR(SizeOf(index, entry->tensor, &size));
  RL_CHECK(end - begin == size, Reason::kWeightsSize, index, Signed(end - begin), Signed(size));
  entry->tensor.bytes = data.subspan(static_cast<size_t>(begin), static_cast<size_t>(size));
  return kOk;
}

Error Read(Span<const uint8_t> bytes, std::vector<SafetensorsTensor>* tensors) {
  uint64_t header = 0;
  RL_CHECK(bytes.size() >= sizeof header, Reason::kTooShort, Error::kNone, Signed(bytes.size()),
           sizeof header);
  std::memcpy(&header, bytes.data(), sizeof header);
  const auto rest = bytes.subspan(sizeof header, bytes.size() - sizeof header);
  RL_CHECK(header <= SafetensorsFile::kMaxHeader, Reason::kMagic, Error::kNone, Signed(header));
  RL_CHECK(header <= rest.size(), Reason::kTooShort, Error::kNone, Signed(bytes.size()),
           Signed(sizeof header + header));
  const size_t length = static_cast<size_t>(header);
  RL_CHECK(length > 0 && rest[0] == '{', Reason::kMagic, Error::kNone, Signed(header));

  HeaderReader reader;
  if (!nlohmann::json::sax_parse(rest.data(), rest.data() + length, &reader)) {
    return reader.error();
  }
  std::vector<Entry>& entries = reader.entries();
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.tensor.name < b.tensor.name; });
  const auto data = rest.subspan(length, rest.size() - length);
  tensors->reserve(entries.size());
  for (Entry& entry : entries) {
    const auto index = static_cast<uint32_t>(tensors->size());
    RL_CHECK(tensors->empty() || tensors->back().name != entry.tensor.name, Reason::kTensorRepeated,
             index);
    RL_RETURN_IF_ERROR(Locate(index, data, &entry));
    tensors->push_back(std::move(entry.tensor));
  }
  return kOk;
}

}  // namespace

Result<SafetensorsFile> SafetensorsFile::Open(const std::string& path,
                                              platform::FileAccess access) {
  RL_ASSIGN_OR_RETURN(FileBytes file, FileBytes::Open(path.c_str(), access));
  const Span<const uint8_t> bytes = file.bytes();
  return Load(bytes, std::move(file));
}

Result<SafetensorsFile> SafetensorsFile::Parse(Span<const uint8_t> bytes) {
  return Load(bytes, {});
}

Result<SafetensorsFile> SafetensorsFile::Load(Span<const uint8_t> bytes, FileBytes owned) {
  SafetensorsFile file;
  file.owned_ = std::move(owned);
  RL_RETURN_IF_ERROR(NoThrow([&] { return Read(bytes, &file.tensors_); }));
  return file;
}

const SafetensorsTensor* SafetensorsFile::Find(std::string_view name) const {
  const auto found = std::lower_bound(
      tensors_.begin(), tensors_.end(), name,
      [](const SafetensorsTensor& t, std::string_view wanted) { return t.name < wanted; });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

}  // namespace rushlight::compiler
