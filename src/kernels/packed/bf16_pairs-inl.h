// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Pairs of bf16 as floats, where no instruction multiplies them as they are.  Included once for
// each instruction set (RUSHLIGHT_ISA), in its target region.

namespace rushlight::kernels::RUSHLIGHT_ISA {

struct Pairs {
  F32x16 even, odd;
};

inline constexpr int kPairRows = kTileVectors * (kTileRows > 4 ? 4 : kTileRows);  // of a tile

RUSHLIGHT_INLINE Pairs LoadPairs(const BFloat16* p) { return {Even(p), Odd(p)}; }
RUSHLIGHT_INLINE Pairs BroadcastPair(const BFloat16* p) { return {Set(p[0]), Set(p[1])}; }
RUSHLIGHT_INLINE F32x16 AddProducts(const F32x16& sum, const Pairs& x, const Pairs& w) {
  return MulAdd(x.even, w.even, MulAdd(x.odd, w.odd, sum));
}

}  // namespace rushlight::kernels::RUSHLIGHT_ISA
