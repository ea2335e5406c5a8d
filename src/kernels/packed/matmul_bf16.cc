// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/packed/matmul_bf16.h"

#include "src/kernels/vector/table.h"

namespace rushlight::kernels {

RUSHLIGHT_DECLARE_VECTOR(void MatmulBF16(const BF16MatmulArgs& args))
RUSHLIGHT_DECLARE_VECTOR(void Round(const float* x, size_t k, BFloat16* out))
#if defined(__x86_64__)
namespace avx512bf16 {
void MatmulBF16(const BF16MatmulArgs& args);
}
namespace amx {
void MatmulBF16(const BF16MatmulArgs& args);
}
#endif

constexpr PerIsa<BF16Matmul> WithBF16(PerIsa<BF16Matmul> table) {
#if defined(__x86_64__)
  table.rows[static_cast<size_t>(Isa::kAvx512Bf16)] = avx512bf16::MatmulBF16;
  table.rows[static_cast<size_t>(Isa::kAmx)] = amx::MatmulBF16;
#endif
  return table;
}

constexpr PerIsa<RoundRow> kRoundRow = RUSHLIGHT_VECTOR_TABLE(Round);
constexpr PerIsa<BF16Matmul> kBF16Matmul = WithBF16(RUSHLIGHT_VECTOR_TABLE(MatmulBF16));

}  // namespace rushlight::kernels
