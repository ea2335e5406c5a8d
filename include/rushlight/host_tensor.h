// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// HostTensor: a tensor with its shape, and with memory of its own or borrowed, for callers.
//
//   HostTensor x(DType::kFloat32, {1, 3, 224, 224});            // owns zeroed memory
//   HostTensor y = HostTensor::View(DType::kFloat32, {4}, p);   // uses the caller's memory
//   module.Forward({x, y});
//
// Movable; the Tensor inside keeps its address.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <vector>

#include "rushlight/value.h"

namespace rushlight {

class HostTensor {
 public:
  // Requires: sizes are not negative, their product fits, rank <= kMaxRank.
  HostTensor(DType dtype, std::vector<int32_t> sizes, std::vector<uint8_t> dim_order = {});
  template <class T>
  HostTensor(DType dtype, std::vector<int32_t> sizes, std::initializer_list<T> values)
      : HostTensor(dtype, std::move(sizes)) {
    const size_t bytes = values.size() * sizeof(T);
    std::memcpy(tensor().raw(), values.begin(),
                bytes < tensor().nbytes() ? bytes : tensor().nbytes());
  }
  static HostTensor View(DType dtype, std::vector<int32_t> sizes, void* data,
                         std::vector<uint8_t> dim_order = {});
  static HostTensor CopyOf(const Tensor& tensor);

  Tensor& tensor() const;
  operator Value() const { return Value(&tensor()); }

 private:
  struct Storage;
  struct Delete {
    void operator()(Storage* s) const;
  };
  HostTensor() = default;

  std::unique_ptr<Storage, Delete> storage_;
};

}  // namespace rushlight
