// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <cstring>

#include "src/kernels/elementwise/elementwise.h"

namespace rushlight::kernels {
namespace {

template <size_t kBytes>
void GatherBytes(uint8_t* out, const uint8_t* in, size_t n, int64_t stride) {
  const int64_t step = stride * static_cast<int64_t>(kBytes);
  for (size_t i = 0; i < n; ++i) {
    std::memcpy(out + i * kBytes, in + static_cast<int64_t>(i) * step, kBytes);
  }
}

}  // namespace

void Gather(void* out, const void* in, size_t n, int64_t stride, size_t element_size) {
  auto* to = static_cast<uint8_t*>(out);
  const auto* from = static_cast<const uint8_t*>(in);
  if (stride == 1) {
    std::memmove(to, from, n * element_size);
    return;
  }
  switch (element_size) {
    case 1:
      return GatherBytes<1>(to, from, n, stride);
    case 2:
      return GatherBytes<2>(to, from, n, stride);
    case 4:
      return GatherBytes<4>(to, from, n, stride);
    case 8:
      return GatherBytes<8>(to, from, n, stride);
    default:
      return GatherBytes<16>(to, from, n, stride);
  }
}

}  // namespace rushlight::kernels
