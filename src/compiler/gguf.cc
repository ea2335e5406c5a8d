// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/compiler/gguf.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <numeric>
#include <utility>

#include "src/compiler/align.h"

namespace rushlight::compiler {
namespace {

constexpr size_t kMaxNameLength = 1024;
constexpr uint64_t kMaxRank = 4;
constexpr uint32_t kDefaultAlignment = 32;

int64_t Signed(uint64_t value) { return static_cast<int64_t>(value); }

// Positions of `items`, sorted by name.
template <class T, class NameOf>
std::vector<uint32_t> SortByName(const std::vector<T>& items, NameOf name) {
  std::vector<uint32_t> order(items.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return name(items[a]) != name(items[b]) ? name(items[a]) < name(items[b]) : a < b;
  });
  return order;
}

template <class T, class NameOf>
const T* FindByName(const std::vector<T>& items, const std::vector<uint32_t>& order,
                    std::string_view key, NameOf name) {
  const auto found = std::lower_bound(
      order.begin(), order.end(), key,
      [&](uint32_t i, std::string_view wanted) { return name(items[i]) < wanted; });
  return found != order.end() && name(items[*found]) == key ? &items[*found] : nullptr;
}

std::string_view KeyOf(const GgufEntry& entry) { return entry.key; }
std::string_view NameOf(const GgufTensor& tensor) { return tensor.name; }

}  // namespace

// Reads a file from front to back.
class GgufParser {
 public:
  explicit GgufParser(Span<const uint8_t> bytes) : bytes_(bytes) {}

  Error Run(GgufFile* file) {
    uint64_t num_tensors = 0, num_keys = 0;
    RL_RETURN_IF_ERROR(ReadHeader(&file->version_, &num_tensors, &num_keys));
    for (uint32_t i = 0; i < num_keys; ++i) {
      GgufEntry entry;
      RL_RETURN_IF_ERROR(ReadName(i, &entry.key));
      uint32_t type = 0;
      RL_RETURN_IF_ERROR(Read(&type));
      RL_RETURN_IF_ERROR(ReadValue(i, type, 0, &entry.value));
      file->metadata_.push_back(std::move(entry));
    }
    file->keys_by_name_ = SortByName(file->metadata_, KeyOf);
    RL_RETURN_IF_ERROR(
        CheckUnique(file->metadata_, file->keys_by_name_, KeyOf, Reason::kMetadataKey));

    std::vector<uint64_t> offsets;
    for (uint32_t i = 0; i < num_tensors; ++i) {
      file->tensors_.emplace_back();
      offsets.emplace_back();
      RL_RETURN_IF_ERROR(ReadTensor(i, &file->tensors_.back(), &offsets.back()));
    }
    file->tensors_by_name_ = SortByName(file->tensors_, NameOf);
    RL_RETURN_IF_ERROR(
        CheckUnique(file->tensors_, file->tensors_by_name_, NameOf, Reason::kTensorRepeated));

    uint64_t alignment = kDefaultAlignment;
    RL_RETURN_IF_ERROR(ReadAlignment(*file, &alignment));
    const uint64_t base = AlignUp(position_, alignment);
    for (uint32_t i = 0; i < num_tensors; ++i) {
      RL_RETURN_IF_ERROR(Locate(i, base, offsets[i], alignment, &file->tensors_[i]));
    }
    return kOk;
  }

 private:
  // That `count` things of `size` bytes or more can follow.
  Error Need(uint64_t count, uint64_t size) const {
    RL_CHECK(count <= (bytes_.size() - position_) / size, Reason::kTooShort, Error::kNone,
             Signed(bytes_.size()), Signed(position_ + count * size));
    return kOk;
  }

  Error Take(uint64_t count, uint64_t size, Span<const uint8_t>* out) {
    RL_RETURN_IF_ERROR(Need(count, size));
    *out = bytes_.subspan(position_, static_cast<size_t>(count * size));
    position_ += out->size();
    return kOk;
  }

  template <class T>
  Error Read(T* value) {
    Span<const uint8_t> bytes;
    RL_RETURN_IF_ERROR(Take(1, sizeof(T), &bytes));
    std::memcpy(value, bytes.data(), sizeof(T));
    return kOk;
  }

  Error ReadString(std::string_view* text) {
    uint64_t length = 0;
    Span<const uint8_t> bytes;
    RL_RETURN_IF_ERROR(Read(&length));
    RL_RETURN_IF_ERROR(Take(length, 1, &bytes));
    *text = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    return kOk;
  }

  Error ReadName(uint32_t index, std::string_view* name) {
    RL_RETURN_IF_ERROR(ReadString(name));
    RL_CHECK(name->size() <= kMaxNameLength, Reason::kNameTooLong, index, Signed(name->size()),
             kMaxNameLength);
    return kOk;
  }

  Error ReadHeader(uint32_t* version, uint64_t* num_tensors, uint64_t* num_keys) {
    uint32_t magic = 0;
    RL_RETURN_IF_ERROR(Read(&magic));
    RL_CHECK(magic == 0x46554747, Reason::kMagic, Error::kNone, magic);  // "GGUF"
    RL_RETURN_IF_ERROR(Read(version));
    RL_CHECK((*version & 0xffff) != 0, Reason::kUnsupported, Error::kNone, *version);  // big-endian
    RL_CHECK(*version == 2 || *version == 3, Reason::kProgramVersion, Error::kNone, *version, 3);
    RL_RETURN_IF_ERROR(Read(num_tensors));
    RL_RETURN_IF_ERROR(Read(num_keys));
    RL_CHECK(*num_tensors <= GgufFile::kMaxTensors, Reason::kTooManyEntries, Error::kNone,
             Signed(*num_tensors), GgufFile::kMaxTensors);
    RL_CHECK(*num_keys <= GgufFile::kMaxKeys, Reason::kTooManyEntries, Error::kNone,
             Signed(*num_keys), GgufFile::kMaxKeys);
    return kOk;
  }

  Error ReadValue(uint32_t key, uint32_t type, size_t depth, GgufValue* value) {
    uint64_t count = 1;
    if (type == static_cast<uint32_t>(GgufType::kArray)) {
      value->is_array = true;
      RL_RETURN_IF_ERROR(Read(&type));
      RL_RETURN_IF_ERROR(Read(&count));
    }
    value->type = static_cast<GgufType>(type);
    if (value->type == GgufType::kString) {
      RL_RETURN_IF_ERROR(Need(count, 8));  // its length: this bounds what is reserved
      value->strings.resize(static_cast<size_t>(count));
      for (std::string_view& s : value->strings) RL_RETURN_IF_ERROR(ReadString(&s));
    } else if (value->type == GgufType::kArray) {
      RL_CHECK(
          depth + 1 < GgufFile::kMaxArrayDepth && count <= GgufFile::kMaxNestedArrays - nested_,
          Reason::kTooManyEntries, key, Signed(count), GgufFile::kMaxNestedArrays);
      nested_ += static_cast<size_t>(count);
      value->arrays.resize(static_cast<size_t>(count));
      for (GgufValue& item : value->arrays)
        RL_RETURN_IF_ERROR(ReadValue(key, type, depth + 1, &item));
    } else {
      const size_t size = GgufTypeSize(value->type);
      RL_CHECK(size != 0, Reason::kMetadataType, key, type);
      RL_RETURN_IF_ERROR(Take(count, size, &value->numbers));
    }
    value->count = static_cast<size_t>(count);
    return kOk;
  }

  template <class T, class Name>
  static Error CheckUnique(const std::vector<T>& items, const std::vector<uint32_t>& order,
                           Name name, Reason reason) {
    for (size_t i = 1; i < order.size(); ++i) {
      RL_CHECK(name(items[order[i - 1]]) != name(items[order[i]]), reason, order[i], order[i - 1]);
    }
    return kOk;
  }

  Error ReadTensor(uint32_t index, GgufTensor* tensor, uint64_t* offset) {
    RL_RETURN_IF_ERROR(ReadName(index, &tensor->name));
    uint32_t rank = 0, type = 0;
    RL_RETURN_IF_ERROR(Read(&rank));
    RL_CHECK(rank <= kMaxRank, Reason::kTooManyDimensions, index, rank, kMaxRank);
    tensor->rank = rank;
    for (uint32_t d = 0; d < rank; ++d) RL_RETURN_IF_ERROR(Read(&tensor->dims[d]));
    RL_RETURN_IF_ERROR(Read(&type));
    RL_RETURN_IF_ERROR(Read(offset));
    tensor->type = FindGgmlType(type);
    RL_CHECK(tensor->type != nullptr, Reason::kTensorDType, index, type);
    return kOk;
  }

  static Error ReadAlignment(const GgufFile& file, uint64_t* alignment) {
    const GgufEntry* entry =
        FindByName(file.metadata_, file.keys_by_name_, "general.alignment", KeyOf);
    if (entry == nullptr) return kOk;
    const GgufValue& value = entry->value;
    const auto key = static_cast<uint32_t>(entry - file.metadata_.data());
    RL_CHECK(value.type == GgufType::kUInt32 && !value.is_array, Reason::kMetadataType, key,
             static_cast<int64_t>(value.type));
    uint32_t found;
    std::memcpy(&found, value.numbers.data(), sizeof found);
    RL_CHECK(found != 0 && (found & (found - 1)) == 0, Reason::kMetadataValue, key, found);
    *alignment = found;
    return kOk;
  }

  // Checks the tensor's shape against its type, and that the file has its bytes.
  Error Locate(uint32_t index, uint64_t base, uint64_t offset, uint64_t alignment,
               GgufTensor* tensor) const {
    uint64_t numel = 1;
    bool empty = false;
    for (const uint64_t dim : tensor->dims) {
      // Dimensions of 0 are left out of the product, so that it bounds the others too.
      RL_CHECK(!__builtin_mul_overflow(numel, std::max<uint64_t>(dim, 1), &numel) &&
                   numel <= INT64_MAX / 8,
               Reason::kTensorBytes, index);
      empty |= dim == 0;
    }
    if (tensor->dims[0] % tensor->type->elements != 0) {
      return Error(Reason::kTensorSize, index, Signed(tensor->dims[0]), tensor->type->elements)
          .WithArgument(0);
    }
    tensor->numel = empty ? 0 : numel;
    const uint64_t size = tensor->numel / tensor->type->elements * tensor->type->bytes;
    RL_CHECK(offset % alignment == 0, Reason::kTensorDataAlignment, index, Signed(offset));
    const uint64_t left = base <= bytes_.size() ? bytes_.size() - base : 0;
    RL_CHECK(offset <= left && size <= left - offset, Reason::kTensorDataRange, index,
             Signed(base + offset + size), Signed(bytes_.size()));
    // Where there are no bytes, the file may end before their place.
    tensor->bytes = bytes_.subspan(static_cast<size_t>(size == 0 ? 0 : base + offset),
                                   static_cast<size_t>(size));
    return kOk;
  }

  Span<const uint8_t> bytes_;
  size_t position_ = 0;
  size_t nested_ = 0;  // arrays in arrays so far
};

size_t GgufTypeSize(GgufType type) {
  constexpr uint8_t kSizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  const auto index = static_cast<uint32_t>(type);
  return index < sizeof kSizes ? kSizes[index] : 0;
}

Result<GgufFile> GgufFile::Open(const std::string& path, platform::FileAccess access) {
  RL_ASSIGN_OR_RETURN(FileBytes file, FileBytes::Open(path.c_str(), access));
  const Span<const uint8_t> bytes = file.bytes();
  return Load(bytes, std::move(file));
}

Result<GgufFile> GgufFile::Parse(Span<const uint8_t> bytes) { return Load(bytes, {}); }

Result<GgufFile> GgufFile::Load(Span<const uint8_t> bytes, FileBytes owned) {
  GgufFile file;
  file.owned_ = std::move(owned);
  try {
    RL_RETURN_IF_ERROR(GgufParser(bytes).Run(&file));
  } catch (const std::bad_alloc&) {
    return Error(Reason::kHeap, Error::kNone, Signed(bytes.size()));
  }
  return file;
}

const GgufValue* GgufFile::FindValue(std::string_view key) const {
  const GgufEntry* entry = FindByName(metadata_, keys_by_name_, key, KeyOf);
  return entry == nullptr ? nullptr : &entry->value;
}

const GgufTensor* GgufFile::FindTensor(std::string_view name) const {
  return FindByName(tensors_, tensors_by_name_, name, NameOf);
}

Error Dequantize(const GgufTensor& tensor, uint64_t first, Span<float> out) {
  const GgmlType& type = *tensor.type;
  RL_CHECK(type.decode != nullptr, Reason::kUnsupported, Error::kNone, type.id);
  RL_CHECK(first <= tensor.numel && out.size() <= tensor.numel - first, Reason::kOptionInvalid,
           Error::kNone, Signed(first), Signed(tensor.numel));
  RL_CHECK(first % type.elements == 0 && out.size() % type.elements == 0, Reason::kOptionInvalid,
           Error::kNone, Signed(first), type.elements);
  type.decode(tensor.bytes.data() + first / type.elements * type.bytes, out.size() / type.elements,
              out.data());
  return kOk;
}

}  // namespace rushlight::compiler
