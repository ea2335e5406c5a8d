// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Every product and sum is rounded on its own, in the order that the format's reference uses, so
// that results agree bit for bit; this file is compiled without contraction to fused operations.

#include "src/compiler/ggml_types.h"

#include <cstring>

#include "rushlight/half.h"

namespace rushlight::compiler {
namespace {

template <class T>
T Read(const uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

float Half(const uint8_t* p) { return Read<Float16>(p); }

using kernels::PackedFormat;
using kernels::ScaleType;

// What the integers of a block are; its Read() takes them out.
template <uint32_t Elements, uint32_t Bytes, PackedFormat Format, ScaleType Scale, uint32_t Group,
          bool HasMinimum>
struct Block {
  static constexpr uint32_t kElements = Elements, kBytes = Bytes, kGroup = Group;
  static constexpr PackedFormat kFormat = Format;
  static constexpr ScaleType kScale = Scale;
  static constexpr bool kHasMinimum = HasMinimum;
};
constexpr PackedFormat kU4 = PackedFormat::kU4, kU8 = PackedFormat::kU8;
constexpr ScaleType kBF16 = ScaleType::kBF16, kF16 = ScaleType::kF16, kF32 = ScaleType::kF32;

int8_t Code(int x) { return static_cast<int8_t>(x); }

// 32 numbers of 4 bits in 16 bytes: the low halves are numbers 0 to 15, the high ones the rest.
template <class F>
void ForNibbles(const uint8_t* q, F f) {
  for (int j = 0; j < 16; ++j) {
    f(j, q[j] & 15);
    f(j + 16, q[j] >> 4);
  }
}

// Blocks of 32: one scale, perhaps one minimum.

struct Q4_0 : Block<32, 18, kU4, kF16, 32, false> {  // half d; nibbles
  static void Read(const uint8_t* p, int8_t* codes, float* scales, float*) {
    *scales = Half(p);
    ForNibbles(p + 2, [&](int j, int q) { codes[j] = Code(q - 8); });
  }
};

struct Q4_1 : Block<32, 20, kU4, kF16, 32, true> {  // half d, m; nibbles
  static void Read(const uint8_t* p, int8_t* codes, float* scales, float* minimums) {
    *scales = Half(p);
    *minimums = Half(p + 2);
    ForNibbles(p + 4, [&](int j, int q) { codes[j] = Code(q); });
  }
};

struct Q5_0 : Block<32, 22, kU8, kF16, 32, false> {  // half d; 32 fifth bits; nibbles
  static void Read(const uint8_t* p, int8_t* codes, float* scales, float*) {
    *scales = Half(p);
    const auto high = compiler::Read<uint32_t>(p + 2);
    ForNibbles(p + 6, [&](int j, int q) {
      codes[j] = Code((q | static_cast<int>(high >> j & 1) << 4) - 16);
    });
  }
};

struct Q5_1 : Block<32, 24, kU8, kF16, 32, true> {  // half d, m; 32 fifth bits; nibbles
  static void Read(const uint8_t* p, int8_t* codes, float* scales, float* minimums) {
    *scales = Half(p);
    *minimums = Half(p + 2);
    const auto high = compiler::Read<uint32_t>(p + 4);
    ForNibbles(p + 8,
               [&](int j, int q) { codes[j] = Code(q | static_cast<int>(high >> j & 1) << 4); });
  }
};

struct Q8_0 : Block<32, 34, kU8, kF16, 32, false> {  // half d; int8
  static void Read(const uint8_t* p, int8_t* codes, float* scales, float*) {
    *scales = Half(p);
    std::memcpy(codes, p + 2, 32);
  }
};

// Blocks of 256: a scale for the block and one for every 16 or 32 numbers.

// Numbers of 2 bits: 32 bytes hold 128 of them, in four runs of 32.
int TwoBits(const uint8_t* q, int i) { return q[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3; }

// 16 bytes of 4-bit scales (low) and minima (high); 2 bits; half d, dmin
struct Q2_K : Block<256, 84, kU4, kF32, 16, true> {
  static void Read(const uint8_t* p, int8_t* codes, float* scales, float* minimums) {
    const float d = Half(p + 80), dmin = Half(p + 82);
    for (int s = 0; s < 16; ++s) {
      scales[s] = d * static_cast<float>(p[s] & 15);
      minimums[s] = -(dmin * static_cast<float>(p[s] >> 4));
    }
    for (int i = 0; i < 256; ++i) codes[i] = Code(TwoBits(p + 16, i));
  }
};

// 256 third bits; 2 bits; 16 scales of 6 bits; half d
struct Q3_K : Block<256, 110, kU4, kF32, 16, false> {
  static void Read(const uint8_t* p, int8_t* codes, float* scales, float*) {
    const uint8_t* bits = p + 96;
    const float d = Half(p + 108);
    for (int s = 0; s < 16; ++s) {
      const int low = bits[s % 8] >> s / 8 * 4 & 15;
      const int high = bits[8 + s % 4] >> s / 4 * 2 & 3;
      scales[s] = d * static_cast<float>((low | high << 4) - 32);
    }
    for (int i = 0; i < 256; ++i) {
      const int third = p[i % 32] >> i / 32 & 1;
      codes[i] = Code(TwoBits(p + 32, i) - (third ^ 1) * 4);
    }
  }
};

// Eight pairs of a scale and a minimum, of 6 bits each, in 12 bytes.
void UnpackScale(const uint8_t* p, int s, int* scale, int* minimum) {
  if (s < 4) {
    *scale = p[s] & 63;
    *minimum = p[s + 4] & 63;
  } else {
    *scale = (p[s + 4] & 15) | (p[s - 4] >> 6) << 4;
    *minimum = p[s + 4] >> 4 | (p[s] >> 6) << 4;
  }
}

// Q4_K: half d, dmin; scales; nibbles, 32 low ones before the 32 high ones.
// Q5_K: the same with a fifth bit each, 32 bytes of them between scales and nibbles.
template <bool Fifth>
struct Q45_K : Block<256, Fifth ? 176 : 144, Fifth ? kU8 : kU4, kF32, 32, true> {
  static void Read(const uint8_t* p, int8_t* codes, float* scales, float* minimums) {
    const float d = Half(p), dmin = Half(p + 2);
    const uint8_t* nibbles = p + (Fifth ? 48 : 16);
    for (int s = 0; s < 8; ++s) {
      int scale_bits, minimum_bits;
      UnpackScale(p + 4, s, &scale_bits, &minimum_bits);
      scales[s] = d * static_cast<float>(scale_bits);
      minimums[s] = -(dmin * static_cast<float>(minimum_bits));
      for (int j = 0; j < 32; ++j) {
        int q = nibbles[s / 2 * 32 + j] >> s % 2 * 4 & 15;
        if (Fifth) q |= (p[16 + j] >> s & 1) << 4;
        codes[32 * s + j] = Code(q);
      }
    }
  }
};

// low 4 bits, 64 low nibbles before the 64 high ones; high 2 bits; int8 scales; half d
struct Q6_K : Block<256, 210, kU8, kF32, 16, false> {
  static void Read(const uint8_t* p, int8_t* codes, float* scales, float*) {
    const float d = Half(p + 208);
    for (int s = 0; s < 16; ++s) {
      scales[s] = d * static_cast<float>(compiler::Read<int8_t>(p + 192 + s));
    }
    for (int i = 0; i < 256; ++i) {
      const int low = p[i / 128 * 64 + i % 64] >> i % 128 / 64 * 4 & 15;
      codes[i] = Code((low | TwoBits(p + 128, i) << 4) - 32);
    }
  }
};

// float d; int8; sums of 16, which only products need
struct Q8_K : Block<256, 292, kU8, kF32, 256, false> {
  static void Read(const uint8_t* p, int8_t* codes, float* scales, float*) {
    *scales = compiler::Read<float>(p);
    std::memcpy(codes, p + 4, 256);
  }
};

// Numbers of 4 bits that stand for entries of a table.

constexpr int8_t kNonlinear[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                   1,    13,   25,  38,  53,  69,  89,  113};
// Twice the values of a 4-bit float (e2m1); the scales are halved to make up for it.
constexpr int8_t kE2M1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

struct IQ4_NL : Block<32, 18, kU8, kF16, 32, false> {  // half d; nibbles
  static void Read(const uint8_t* p, int8_t* codes, float* scales, float*) {
    *scales = Half(p);
    ForNibbles(p + 2, [&](int j, int q) { codes[j] = kNonlinear[q]; });
  }
};

// half d; 8 scales of 6 bits: 16 bits of high parts, 4 bytes of low ones; nibbles
struct IQ4_XS : Block<256, 136, kU8, kF32, 32, false> {
  static void Read(const uint8_t* p, int8_t* codes, float* scales, float*) {
    const float d = Half(p);
    const auto high = compiler::Read<uint16_t>(p + 2);
    for (int s = 0; s < 8; ++s) {
      const int bits = (p[4 + s / 2] >> s % 2 * 4 & 15) | (high >> 2 * s & 3) << 4;
      scales[s] = d * static_cast<float>(bits - 32);
      ForNibbles(p + 8 + 16 * s, [&](int j, int q) { codes[32 * s + j] = kNonlinear[q]; });
    }
  }
};

struct MXFP4 : Block<32, 17, kU8, kBF16, 32, false> {  // an exponent; nibbles
  static void Read(const uint8_t* p, int8_t* codes, float* scales, float*) {
    // 2^(e - 128), of which the two smallest are subnormal.
    const uint32_t bits = p[0] < 2 ? 0x00200000u << p[0] : static_cast<uint32_t>(p[0] - 1) << 23;
    std::memcpy(scales, &bits, sizeof bits);
    ForNibbles(p + 1, [&](int j, int q) { codes[j] = kE2M1[q]; });
  }
};

// 4 scales (e4m3 without sign); nibbles, 8 low ones before the 8 high ones
struct NVFP4 : Block<64, 36, kU8, kF16, 16, false> {
  static float Scale(uint8_t x) {
    if (x == 0 || x == 0x7f) return 0;
    const int exponent = x >> 3 & 15;
    const auto mantissa = static_cast<float>(x & 7);
    if (exponent == 0) return mantissa * 0x1p-10f;
    const uint32_t bits = static_cast<uint32_t>(exponent - 8 + 127) << 23;
    float power;
    std::memcpy(&power, &bits, sizeof power);
    return (1.0f + mantissa / 8.0f) * power;
  }
  static void Read(const uint8_t* p, int8_t* codes, float* scales, float*) {
    for (int s = 0; s < 4; ++s) {
      scales[s] = Scale(p[s]);
      for (int j = 0; j < 8; ++j) {
        const uint8_t q = p[4 + 8 * s + j];
        codes[16 * s + j] = kE2M1[q & 15];
        codes[16 * s + j + 8] = kE2M1[q >> 4];
      }
    }
  }
};

// Numbers of three values, -1, 0 and 1.

// five to a byte, in base 3, then four to a byte; half d
struct TQ1_0 : Block<256, 54, kU4, kF16, 256, false> {
  static void Read(const uint8_t* p, int8_t* codes, float* scales, float*) {
    *scales = Half(p + 52);
    codes = Run(p, 32, 5, codes);
    codes = Run(p + 32, 16, 5, codes);
    Run(p + 48, 4, 4, codes);
  }
  // A byte is a fraction of 256 in base 3: multiplied by 3^k, its next digit is the carry.
  static int8_t* Run(const uint8_t* q, int bytes, int digits, int8_t* codes) {
    for (int power = 1; digits > 0; --digits, power *= 3) {
      for (int j = 0; j < bytes; ++j) {
        *codes++ = Code((static_cast<uint8_t>(q[j] * power) * 3 >> 8) - 1);
      }
    }
    return codes;
  }
};

struct TQ2_0 : Block<256, 66, kU4, kF16, 256, false> {  // 2 bits; half d
  static void Read(const uint8_t* p, int8_t* codes, float* scales, float*) {
    *scales = Half(p + 64);
    for (int i = 0; i < 256; ++i) codes[i] = Code(TwoBits(p, i) - 1);
  }
};

template <class T>
constexpr GgmlType Number(uint32_t id, const char* name) {
  return {id, name, 1, sizeof(T), [](const uint8_t* p, size_t count, float* out) {
            for (size_t i = 0; i < count; ++i)
              out[i] = static_cast<float>(Read<T>(p + i * sizeof(T)));
          }};
}

template <class T>
void ReadBlocks(const uint8_t* blocks, size_t count, int8_t* codes, float* scales,
                float* minimums) {
  constexpr size_t kGroups = T::kElements / T::kGroup;
  for (size_t i = 0; i < count; ++i) {
    T::Read(blocks + i * T::kBytes, codes + i * T::kElements, scales + i * kGroups,
            T::kHasMinimum ? minimums + i * kGroups : nullptr);
  }
}
template <class T>
void DecodeBlocks(const uint8_t* blocks, size_t count, float* out) {
  int8_t codes[T::kElements];
  float scales[T::kElements / T::kGroup], minimums[T::kElements / T::kGroup];
  for (size_t block = 0; block < count; ++block, out += T::kElements) {
    T::Read(blocks + block * T::kBytes, codes, scales, minimums);
    for (size_t i = 0; i < T::kElements; ++i) {
      out[i] = scales[i / T::kGroup] * static_cast<float>(codes[i]);
      if constexpr (T::kHasMinimum) out[i] += minimums[i / T::kGroup];
    }
  }
}

template <class T>
constexpr GgmlIntegers kIntegers = {T::kFormat, T::kScale, T::kGroup, T::kHasMinimum,
                                    ReadBlocks<T>};
template <class T>
constexpr GgmlType Quantized(uint32_t id, const char* name) {
  return {id, name, T::kElements, T::kBytes, DecodeBlocks<T>, &kIntegers<T>};
}

constexpr GgmlType kTypes[] = {
    Number<float>(0, "F32"),
    Number<Float16>(1, "F16"),
    Quantized<Q4_0>(2, "Q4_0"),
    Quantized<Q4_1>(3, "Q4_1"),
    Quantized<Q5_0>(6, "Q5_0"),
    Quantized<Q5_1>(7, "Q5_1"),
    Quantized<Q8_0>(8, "Q8_0"),
    Quantized<Q2_K>(10, "Q2_K"),
    Quantized<Q3_K>(11, "Q3_K"),
    Quantized<Q45_K<false>>(12, "Q4_K"),
    Quantized<Q45_K<true>>(13, "Q5_K"),
    Quantized<Q6_K>(14, "Q6_K"),
    Quantized<Q8_K>(15, "Q8_K"),
    {16, "IQ2_XXS", 256, 66, nullptr},
    {17, "IQ2_XS", 256, 74, nullptr},
    {18, "IQ3_XXS", 256, 98, nullptr},
    {19, "IQ1_S", 256, 50, nullptr},
    Quantized<IQ4_NL>(20, "IQ4_NL"),
    {21, "IQ3_S", 256, 110, nullptr},
    {22, "IQ2_S", 256, 82, nullptr},
    Quantized<IQ4_XS>(23, "IQ4_XS"),
    Number<int8_t>(24, "I8"),
    Number<int16_t>(25, "I16"),
    Number<int32_t>(26, "I32"),
    Number<int64_t>(27, "I64"),
    Number<double>(28, "F64"),
    {29, "IQ1_M", 256, 56, nullptr},
    Number<BFloat16>(30, "BF16"),
    Quantized<TQ1_0>(34, "TQ1_0"),
    Quantized<TQ2_0>(35, "TQ2_0"),
    Quantized<MXFP4>(39, "MXFP4"),
    Quantized<NVFP4>(40, "NVFP4"),
};

}  // namespace

const GgmlType* FindGgmlType(uint32_t id) {
  for (const GgmlType& type : kTypes) {
    if (type.id == id) return &type;
  }
  return nullptr;
}

}  // namespace rushlight::compiler
