// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "tools/cli/npy.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "rushlight/half.h"

namespace rushlight::cli {
namespace {

struct NumpyType {
  DType dtype;
  const char* code;  // as in a header, without the byte order
};
constexpr NumpyType kTypes[] = {
    {DType::kBool, "b1"},    {DType::kInt8, "i1"},    {DType::kInt16, "i2"},
    {DType::kInt32, "i4"},   {DType::kInt64, "i8"},   {DType::kUInt8, "u1"},
    {DType::kUInt16, "u2"},  {DType::kUInt32, "u4"},  {DType::kUInt64, "u8"},
    {DType::kFloat16, "f2"}, {DType::kFloat32, "f4"}, {DType::kFloat64, "f8"},
};

struct Close {
  void operator()(std::FILE* f) const { std::fclose(f); }
};
using File = std::unique_ptr<std::FILE, Close>;

// The text after 'key': in a header, which is a Python dict literal.
std::optional<std::string_view> Field(std::string_view header, std::string_view key) {
  const size_t at = header.find("'" + std::string(key) + "'");
  if (at == std::string_view::npos) return std::nullopt;
  const size_t colon = header.find(':', at);
  if (colon == std::string_view::npos) return std::nullopt;
  return header.substr(colon + 1);
}

std::optional<DType> ParseType(std::string_view field) {
  const size_t open = field.find('\'');
  if (open == std::string_view::npos || field.size() < open + 4) return std::nullopt;
  const char order = field[open + 1];
  const std::string_view code = field.substr(open + 2, 2);
  for (const NumpyType& t : kTypes) {
    if (code == t.code && (order == '<' || order == '|')) return t.dtype;
  }
  return std::nullopt;
}

std::optional<std::vector<int32_t>> ParseShape(std::string_view field) {
  const size_t open = field.find('(');
  const size_t close = field.find(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) {
    return std::nullopt;
  }
  std::vector<int32_t> shape;
  int64_t number = -1;
  for (const char c : field.substr(open + 1, close - open)) {
    if (c >= '0' && c <= '9') {
      number = (number < 0 ? 0 : number) * 10 + (c - '0');
      if (number > INT32_MAX) return std::nullopt;
    } else if (number >= 0) {
      shape.push_back(static_cast<int32_t>(number));
      number = -1;
    }
  }
  return shape.size() <= kMaxRank ? std::optional(shape) : std::nullopt;
}

}  // namespace

Result<HostTensor> ReadNpy(const std::string& path) {
  const File file(std::fopen(path.c_str(), "rb"));
  RL_CHECK(file != nullptr, Reason::kOpen, Error::kNone, errno);
  uint8_t head[12];
  const Error invalid(Reason::kArrayFile);
  if (std::fread(head, 1, 10, file.get()) != 10 || std::memcmp(head, "\x93NUMPY", 6) != 0) {
    return invalid;
  }
  size_t length = static_cast<size_t>(head[8]) | static_cast<size_t>(head[9]) << 8;
  if (head[6] > 1) {
    if (std::fread(head + 10, 1, 2, file.get()) != 2) return invalid;
    length |= static_cast<size_t>(head[10]) << 16 | static_cast<size_t>(head[11]) << 24;
  }
  if (length > 1 << 20) return invalid;
  std::string header(length, '\0');
  if (std::fread(header.data(), 1, length, file.get()) != length) return invalid;
  const auto type = Field(header, "descr");
  const auto shape = Field(header, "shape");
  const auto order = Field(header, "fortran_order");
  if (!type || !shape || !order || order->find("False") > 2) return invalid;
  const auto dtype = ParseType(*type);
  const auto sizes = ParseShape(*shape);
  size_t numel = 0;
  if (!dtype || !sizes || !CheckedNumel(Span<const int32_t>(*sizes), &numel)) return invalid;
  // The file must hold what its header declares before any memory is asked for.
  const long data = std::ftell(file.get());
  std::fseek(file.get(), 0, SEEK_END);
  const long end = std::ftell(file.get());
  std::fseek(file.get(), data, SEEK_SET);
  if (end < data || numel > static_cast<size_t>(end - data) / ElementSize(*dtype)) return invalid;
  HostTensor tensor(*dtype, *sizes);
  const size_t bytes = tensor.tensor().nbytes();
  if (std::fread(tensor.tensor().raw(), 1, bytes, file.get()) != bytes) return invalid;
  return tensor;
}

Error WriteNpy(const std::string& path, const Tensor& tensor) {
  if (tensor.dtype() == DType::kBFloat16) {
    HostTensor wide(DType::kFloat32, {tensor.sizes().begin(), tensor.sizes().end()});
    for (size_t i = 0; i < tensor.numel(); ++i) {
      wide.tensor().mutable_data<float>()[i] = tensor.data<BFloat16>()[i];
    }
    return WriteNpy(path, wide.tensor());
  }
  const NumpyType* type = nullptr;
  for (const NumpyType& t : kTypes) {
    if (t.dtype == tensor.dtype()) type = &t;
  }
  RL_CHECK(type != nullptr && tensor.IsContiguous(), Reason::kArrayFile);
  std::string header = std::string("{'descr': '") + (ElementSize(type->dtype) == 1 ? '|' : '<') +
                       type->code + "', 'fortran_order': False, 'shape': (";
  for (const int32_t size : tensor.sizes()) header += std::to_string(size) + ",";
  header += "), }";
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 10 - 1, ' ');
  header += '\n';
  const File file(std::fopen(path.c_str(), "wb"));
  RL_CHECK(file != nullptr, Reason::kOpen, Error::kNone, errno);
  const uint8_t head[] = {0x93,
                          'N',
                          'U',
                          'M',
                          'P',
                          'Y',
                          1,
                          0,
                          static_cast<uint8_t>(header.size()),
                          static_cast<uint8_t>(header.size() >> 8)};
  const bool written =
      std::fwrite(head, 1, sizeof head, file.get()) == sizeof head &&
      std::fwrite(header.data(), 1, header.size(), file.get()) == header.size() &&
      std::fwrite(tensor.raw(), 1, tensor.nbytes(), file.get()) == tensor.nbytes() &&
      std::fflush(file.get()) == 0;
  RL_CHECK(written, Reason::kWrite, Error::kNone, errno);
  return kOk;
}

}  // namespace rushlight::cli
