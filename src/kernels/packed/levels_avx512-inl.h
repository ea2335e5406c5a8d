// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Nibbles with scales of two levels as the bytes that they stand for.  For AVX-512, included in the
// target region of an instruction set (RUSHLIGHT_ISA).

namespace rushlight::kernels::RUSHLIGHT_ISA {
namespace {

// Sixteen bytes, each in a word of 32 bits.
RUSHLIGHT_INLINE __m512i LoadBytes(const uint8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm512_and_si512(_mm512_cvtepi8_epi32(bytes), _mm512_set1_epi32(255));
}

// The codes of inputs [begin, begin + inputs) of a panel, in lines as those of u8, each plus
// `zero`. Requires: begin is a multiple of the group, and so is inputs, but for the last ones.
RUSHLIGHT_INLINE void WidenLevels(const PackedMatrix& w, const uint8_t* panel, size_t begin,
                                  size_t inputs, int8_t zero, void* out) {
  const __m512i nibble = _mm512_set1_epi8(15);
  auto* to = static_cast<uint8_t*>(out);
  for (size_t done = 0; done < inputs; done += w.group) {
    const size_t group = (begin + done) / w.group;
    const uint8_t* const header = panel + ScaleOffset(w, group);
    const __m512i scale = LoadBytes(header), minimum = LoadBytes(header + MinimumDistance(w));
    const __m512i scales = _mm512_or_si512(scale, _mm512_slli_epi32(scale, 16));
    const __m512i two = _mm512_or_si512(minimum, _mm512_slli_epi32(minimum, 8));
    const __m512i four = _mm512_or_si512(two, _mm512_slli_epi32(two, 16));
    const __m512i minimums = _mm512_add_epi8(four, _mm512_set1_epi8(zero));
    const uint8_t* codes = panel + CodesOffset(w, group);
    const size_t lines = DivideUp(InputsOfGroup(w, group), InputsPerLine(PackedFormat::kU4));
    for (size_t i = 0; i < lines; ++i, codes += kLineBytes, to += 2 * kLineBytes) {
      const __m512i line = _mm512_loadu_si512(codes);
      const __m512i low = _mm512_and_si512(line, nibble);
      const __m512i high = _mm512_and_si512(_mm512_srli_epi16(line, 4), nibble);
      // Two bytes at a time: what the first one comes to does not reach into the second.
      _mm512_storeu_si512(to, _mm512_add_epi8(_mm512_mullo_epi16(low, scales), minimums));
      _mm512_storeu_si512(to + kLineBytes,
                          _mm512_add_epi8(_mm512_mullo_epi16(high, scales), minimums));
    }
  }
}

}  // namespace
}  // namespace rushlight::kernels::RUSHLIGHT_ISA
