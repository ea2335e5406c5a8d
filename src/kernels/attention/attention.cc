// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/attention/attention.h"

#include "rushlight/half.h"
#include "src/kernels/vector/table.h"

namespace rushlight::kernels {

RUSHLIGHT_DECLARE_VECTOR(void Attend(const AttentionArgs& args))

const PerIsa<Attention> kAttention = RUSHLIGHT_VECTOR_TABLE(Attend);

namespace {

// [kv_heads, size, kAttentionBlock] of a block, dims in groups of kTogether.
template <class T>
void AppendKeys(const AppendArgs& a) {
  constexpr size_t kTogether = sizeof(float) / sizeof(T);
  const size_t size = a.cache.key_size, head_size = KeyElements(a.cache) / a.cache.kv_heads;
  for (size_t i = 0; i < a.m; ++i) {
    const size_t block = (a.position + i) / kAttentionBlock,
                 place = (a.position + i) % kAttentionBlock;
    for (size_t head = a.begin; head < a.end; ++head) {
      T* to = static_cast<T*>(a.cache.keys) +
              (block * a.cache.kv_heads + head) * head_size * kAttentionBlock + place * kTogether;
      const float* from = a.keys + i * a.keys_stride + head * size;
      for (size_t d = 0; d < head_size; ++d) {
        const float x = d < size ? from[d] : 0.0f;
        to[d / kTogether * kTogether * kAttentionBlock + d % kTogether] = T(x);
      }
    }
  }
}

// [kv_heads, kAttentionBlock, size] of a block.
template <class T>
void AppendValues(const AppendArgs& a) {
  const size_t size = a.cache.value_size;
  for (size_t i = 0; i < a.m; ++i) {
    const size_t block = (a.position + i) / kAttentionBlock,
                 place = (a.position + i) % kAttentionBlock;
    for (size_t head = a.begin; head < a.end; ++head) {
      T* to = static_cast<T*>(a.cache.values) +
              ((block * a.cache.kv_heads + head) * kAttentionBlock + place) * size;
      const float* from = a.values + i * a.values_stride + head * size;
      for (size_t d = 0; d < size; ++d) to[d] = T(from[d]);
    }
  }
}

template <class T>
void Append(const AppendArgs& a) {
  AppendKeys<T>(a);
  AppendValues<T>(a);
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
