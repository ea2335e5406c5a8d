// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/packed/matmul_integer.h"

namespace rushlight::kernels {

// Rows are quantized with the vectors of `vectors`.
#define RUSHLIGHT_ROW_OF(vectors, isa) \
  { vectors::QuantizeRows, isa::MatmulU4, isa::MatmulU8 }
#define RUSHLIGHT_ROW(isa) RUSHLIGHT_ROW_OF(isa, isa)

// What an instruction set does not improve is a lower one's; what this architecture has not is the
// reference.
constexpr PerIsa<IntegerKernels> kIntegerKernels = {{
    RUSHLIGHT_ROW(scalar),
#if defined(__x86_64__)
    RUSHLIGHT_ROW(avx2),
    RUSHLIGHT_ROW(avx2vnni),
    RUSHLIGHT_ROW(avx2),  // avx512
    RUSHLIGHT_ROW(avx512vnni),
    RUSHLIGHT_ROW(avx512vnni),  // avx512bf16
    RUSHLIGHT_ROW_OF(avx512vnni, amx),
#else
    RUSHLIGHT_ROW(scalar),
    RUSHLIGHT_ROW(scalar),
    RUSHLIGHT_ROW(scalar),
    RUSHLIGHT_ROW(scalar),
    RUSHLIGHT_ROW(scalar),
    RUSHLIGHT_ROW(scalar),
#endif
#if defined(__aarch64__)
    RUSHLIGHT_ROW(neon),
    RUSHLIGHT_ROW(neondot),
    RUSHLIGHT_ROW_OF(neondot, neoni8mm),
#else
    RUSHLIGHT_ROW(scalar),
    RUSHLIGHT_ROW(scalar),
    RUSHLIGHT_ROW(scalar),
#endif
}};

}  // namespace rushlight::kernels
