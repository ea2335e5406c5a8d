// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/host_tensor.h"

namespace rushlight {

namespace {
struct alignas(16) Block {  // all bytes of it are zeroed, which padding would not be
  uint8_t bytes[16];
};
}  // namespace

struct HostTensor::Storage {
  std::vector<int32_t> sizes;
  std::vector<uint8_t> dim_order;
  std::vector<Block> memory;
  Tensor tensor;
};

void HostTensor::Delete::operator()(Storage* s) const { delete s; }

HostTensor::HostTensor(DType dtype, std::vector<int32_t> sizes, std::vector<uint8_t> dim_order) {
  *this = View(dtype, std::move(sizes), nullptr, std::move(dim_order));
  Storage& s = *storage_;
  s.memory.resize((s.tensor.nbytes() + sizeof(Block) - 1) / sizeof(Block));
  s.tensor.Rebind(s.memory.data(), s.tensor.capacity());
}

HostTensor HostTensor::View(DType dtype, std::vector<int32_t> sizes, void* data,
                            std::vector<uint8_t> dim_order) {
  HostTensor t;
  t.storage_.reset(new Storage{std::move(sizes), std::move(dim_order), {}, {}});
  Storage& s = *t.storage_;
  s.tensor = Tensor(dtype, data, s.sizes, s.dim_order.empty() ? nullptr : s.dim_order.data());
  return t;
}

HostTensor HostTensor::CopyOf(const Tensor& tensor) {
  // Named, because braces would be a list of values.
  std::vector<uint8_t> order(tensor.dim_order().begin(), tensor.dim_order().end());
  HostTensor t(tensor.dtype(), {tensor.sizes().begin(), tensor.sizes().end()}, std::move(order));
  if (tensor.nbytes() > 0) std::memcpy(t.tensor().raw(), tensor.raw(), tensor.nbytes());
  return t;
}

Tensor& HostTensor::tensor() const { return storage_->tensor; }

}  // namespace rushlight
