// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/attention/attention.h"

#include <type_traits>

#include "rushlight/half.h"
#include "src/kernels/vector/table.h"

namespace rushlight::kernels {

RUSHLIGHT_DECLARE_VECTOR(void Attend(const AttentionArgs& args))
const PerIsa<Attention> kAttention = RUSHLIGHT_VECTOR_TABLE(Attend);

#if defined(__x86_64__)
namespace amx {
void Attend(const AttentionArgs& args);
}
const PerIsa<Attention> kTiledAttention = {
    {&scalar::Attend, &avx2::Attend, &avx2::Attend, &avx512::Attend, &avx512::Attend,
     &avx512::Attend, &amx::Attend, &scalar::Attend, &scalar::Attend, &scalar::Attend}};
#else
const PerIsa<Attention> kTiledAttention = RUSHLIGHT_VECTOR_TABLE(Attend);
#endif

namespace {

// Numbers as they are stored: themselves, or quantized, with their scale.
template <class T>
auto Stored(const AppendArgs& a, const float* x, size_t size, uint8_t* scale) {
  if constexpr (std::is_same_v<T, int8_t>) {
    QuantizeArgs q{};
    int32_t sum;
    float total;
    q.x = x;
    q.m = 1;
    q.k = q.group = size;
    q.values = a.quantized;
    q.scales = reinterpret_cast<float*>(scale);
    q.sums = &sum;
    q.totals = &total;
    a.quantize(q);
    return static_cast<const int8_t*>(a.quantized);
  } else {
    return x;
  }
}

template <class T>
void Append(const AppendArgs& a) {
  constexpr size_t kTogether = sizeof(T) == 2 ? 2 : 1;  // dimensions of keys
  const KvCache& c = a.cache;
  // Of a position of a head.
  const size_t key_bytes = KeyBytes(c) / c.kv_heads, value_bytes = ValueBytes(c) / c.kv_heads;
  const size_t key_elements = KeyElements(c) / c.kv_heads;
  const size_t scales = ScaleBytes(c) * kAttentionBlock;
  for (size_t i = 0; i < a.m; ++i) {
    const size_t block = (a.position + i) / kAttentionBlock,
                 place = (a.position + i) % kAttentionBlock;
    for (size_t head = a.begin; head < a.end; ++head) {
      const size_t first = (block * c.kv_heads + head) * kAttentionBlock;  // position of all heads'
      uint8_t* const keys = static_cast<uint8_t*>(c.keys) + first * key_bytes;
      const auto* const key = Stored<T>(a, a.keys + i * a.keys_stride + head * c.key_size,
                                        c.key_size, keys + place * ScaleBytes(c));
      T* const to_key = reinterpret_cast<T*>(keys + scales) + place * kTogether;
      for (size_t d = 0; d < key_elements; ++d) {
        to_key[d / kTogether * kTogether * kAttentionBlock + d % kTogether] =
            T(d < c.key_size ? key[d] : 0);
      }
      uint8_t* const values = static_cast<uint8_t*>(c.values) + first * value_bytes;
      const auto* const value = Stored<T>(a, a.values + i * a.values_stride + head * c.value_size,
                                          c.value_size, values + place * ScaleBytes(c));
      T* const to_value = reinterpret_cast<T*>(values + scales) + place * c.value_size;
      for (size_t d = 0; d < c.value_size; ++d) to_value[d] = T(value[d]);
    }
  }
}

}  // namespace

void AppendToCache(const AppendArgs& args) {
  switch (args.cache.type) {
    case DType::kBFloat16:
      return Append<BFloat16>(args);
    case DType::kFloat16:
      return Append<Float16>(args);
    case DType::kInt8:
      return Append<int8_t>(args);
    default:
      return Append<float>(args);
  }
}

}  // namespace rushlight::kernels
