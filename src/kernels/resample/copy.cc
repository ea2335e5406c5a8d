// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <cstring>

#include "src/kernels/resample/resample.h"

namespace rushlight::kernels {
namespace {

template <size_t kBytes>
void CopyBytes(void* out, int64_t out_stride, const void* in, int64_t in_stride, int64_t n) {
  auto* to = static_cast<uint8_t*>(out);
  const auto* from = static_cast<const uint8_t*>(in);
  const auto bytes = static_cast<int64_t>(kBytes);
  for (int64_t i = 0; i < n; ++i) {
    std::memcpy(to + i * out_stride * bytes, from + i * in_stride * bytes, kBytes);
  }
}

}  // namespace

void CopyStrided(void* out, int64_t out_stride, const void* in, int64_t in_stride, int64_t n,
                 size_t element_size) {
  switch (element_size) {
    case 1:
      return CopyBytes<1>(out, out_stride, in, in_stride, n);
    case 2:
      return CopyBytes<2>(out, out_stride, in, in_stride, n);
    case 4:
      return CopyBytes<4>(out, out_stride, in, in_stride, n);
    case 8:
      return CopyBytes<8>(out, out_stride, in, in_stride, n);
    default:
      return CopyBytes<16>(out, out_stride, in, in_stride, n);
  }
}

}  // namespace rushlight::kernels
