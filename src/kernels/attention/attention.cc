// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/attention/attention.h"

#include "rushlight/half.h"
#include "src/kernels/vector/table.h"

namespace rushlight::kernels {

RUSHLIGHT_DECLARE_VECTOR(void Attend(const AttentionArgs& args))

const PerIsa<Attention> kAttention = RUSHLIGHT_VECTOR_TABLE(Attend);

namespace {

template <class T>
void AppendRows(const AppendArgs& a, const float* rows, size_t stride, size_t size, void* to) {
  for (size_t head = a.begin; head < a.end; ++head) {
    T* row = static_cast<T*>(to) + (head * a.cache.capacity + a.position) * size;
    for (size_t i = 0; i < a.m; ++i, row += size) {
      const float* from = rows + i * stride + head * size;
      for (size_t d = 0; d < size; ++d) row[d] = T(from[d]);
    }
  }
}

template <class T>
void Append(const AppendArgs& a) {
  AppendRows<T>(a, a.keys, a.keys_stride, a.cache.key_size, a.cache.keys);
  AppendRows<T>(a, a.values, a.values_stride, a.cache.value_size, a.cache.values);
}

}  // namespace

void AppendToCache(const AppendArgs& args) {
  switch (args.cache.type) {
    case DType::kBFloat16:
      return Append<BFloat16>(args);
    case DType::kFloat16:
      return Append<Float16>(args);
    default:
      return Append<float>(args);
  }
}

}  // namespace rushlight::kernels
