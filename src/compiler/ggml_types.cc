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

// A number as it is.
template <class T>
struct Plain {
  static constexpr uint32_t kElements = 1, kBytes = sizeof(T);
  static void Decode(const uint8_t* p, float* out) { *out = static_cast<float>(Read<T>(p)); }
};

// 32 numbers of 4 bits in 16 bytes: the low halves are numbers 0 to 15, the high ones the rest.
template <class F>
void ForNibbles(const uint8_t* q, F f) {
  for (int j = 0; j < 16; ++j) {
    f(j, q[j] & 15);
    f(j + 16, q[j] >> 4);
  }
}

// Blocks of 32: one scale, perhaps one minimum.

struct Q4_0 {  // half d; nibbles
  static constexpr uint32_t kElements = 32, kBytes = 18;
  static void Decode(const uint8_t* p, float* out) {
    const float d = Half(p);
    ForNibbles(p + 2, [&](int j, int q) { out[j] = d * static_cast<float>(q - 8); });
  }
};

struct Q4_1 {  // half d, m; nibbles
  static constexpr uint32_t kElements = 32, kBytes = 20;
  static void Decode(const uint8_t* p, float* out) {
    const float d = Half(p), m = Half(p + 2);
    ForNibbles(p + 4, [&](int j, int q) { out[j] = d * static_cast<float>(q) + m; });
  }
};

struct Q5_0 {  // half d; 32 fifth bits; nibbles
  static constexpr uint32_t kElements = 32, kBytes = 22;
  static void Decode(const uint8_t* p, float* out) {
    const float d = Half(p);
    const auto high = Read<uint32_t>(p + 2);
    ForNibbles(p + 6, [&](int j, int q) {
      out[j] = d * static_cast<float>((q | static_cast<int>(high >> j & 1) << 4) - 16);
    });
  }
};

struct Q5_1 {  // half d, m; 32 fifth bits; nibbles
  static constexpr uint32_t kElements = 32, kBytes = 24;
  static void Decode(const uint8_t* p, float* out) {
    const float d = Half(p), m = Half(p + 2);
    const auto high = Read<uint32_t>(p + 4);
    ForNibbles(p + 8, [&](int j, int q) {
      out[j] = d * static_cast<float>(q | static_cast<int>(high >> j & 1) << 4) + m;
    });
  }
};

struct Q8_0 {  // half d; int8
  static constexpr uint32_t kElements = 32, kBytes = 34;
  static void Decode(const uint8_t* p, float* out) {
    const float d = Half(p);
    for (int j = 0; j < 32; ++j) out[j] = static_cast<float>(Read<int8_t>(p + 2 + j)) * d;
  }
};

// Blocks of 256: a scale for the block and one for every 16 or 32 numbers.

// Numbers of 2 bits: 32 bytes hold 128 of them, in four runs of 32.
int TwoBits(const uint8_t* q, int i) { return q[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3; }

struct Q2_K {  // 16 bytes of 4-bit scales (low) and minima (high); 2 bits; half d, dmin
  static constexpr uint32_t kElements = 256, kBytes = 84;
  static void Decode(const uint8_t* p, float* out) {
    const float d = Half(p + 80), dmin = Half(p + 82);
    for (int s = 0; s < 16; ++s) {
      const float scale = d * static_cast<float>(p[s] & 15);
      const float minimum = dmin * static_cast<float>(p[s] >> 4);
      for (int i = 16 * s; i < 16 * s + 16; ++i) {
        out[i] = scale * static_cast<float>(TwoBits(p + 16, i)) - minimum;
      }
    }
  }
};

struct Q3_K {  // 256 third bits; 2 bits; 16 scales of 6 bits; half d
  static constexpr uint32_t kElements = 256, kBytes = 110;
  static void Decode(const uint8_t* p, float* out) {
    const uint8_t* scales = p + 96;
    const float d = Half(p + 108);
    for (int s = 0; s < 16; ++s) {
      const int low = scales[s % 8] >> s / 8 * 4 & 15;
      const int high = scales[8 + s % 4] >> s / 4 * 2 & 3;
      const float scale = d * static_cast<float>((low | high << 4) - 32);
      for (int i = 16 * s; i < 16 * s + 16; ++i) {
        const int third = p[i % 32] >> i / 32 & 1;
        out[i] = scale * static_cast<float>(TwoBits(p + 32, i) - (third ^ 1) * 4);
      }
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
struct Q45_K {
  static constexpr uint32_t kElements = 256, kBytes = Fifth ? 176 : 144;
  static void Decode(const uint8_t* p, float* out) {
    const float d = Half(p), dmin = Half(p + 2);
    const uint8_t* nibbles = p + (Fifth ? 48 : 16);
    for (int s = 0; s < 8; ++s) {
      int scale_bits, minimum_bits;
      UnpackScale(p + 4, s, &scale_bits, &minimum_bits);
      const float scale = d * static_cast<float>(scale_bits);
      const float minimum = dmin * static_cast<float>(minimum_bits);
      for (int j = 0; j < 32; ++j) {
        int q = nibbles[s / 2 * 32 + j] >> s % 2 * 4 & 15;
        if (Fifth) q |= (p[16 + j] >> s & 1) << 4;
        out[32 * s + j] = scale * static_cast<float>(q) - minimum;
      }
    }
  }
};

struct Q6_K {  // low 4 bits, 64 low nibbles before the 64 high ones; high 2 bits; int8 scales; half
               // d
  static constexpr uint32_t kElements = 256, kBytes = 210;
  static void Decode(const uint8_t* p, float* out) {
    const float d = Half(p + 208);
    for (int s = 0; s < 16; ++s) {
      const float scale = d * static_cast<float>(Read<int8_t>(p + 192 + s));
      for (int i = 16 * s; i < 16 * s + 16; ++i) {
        const int low = p[i / 128 * 64 + i % 64] >> i % 128 / 64 * 4 & 15;
        out[i] = scale * static_cast<float>((low | TwoBits(p + 128, i) << 4) - 32);
      }
    }
  }
};

struct Q8_K {  // float d; int8; sums of 16, which only products need
  static constexpr uint32_t kElements = 256, kBytes = 292;
  static void Decode(const uint8_t* p, float* out) {
    const auto d = Read<float>(p);
    for (int j = 0; j < 256; ++j) out[j] = d * static_cast<float>(Read<int8_t>(p + 4 + j));
  }
};

// Numbers of 4 bits that stand for entries of a table.

constexpr int8_t kNonlinear[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                   1,    13,   25,  38,  53,  69,  89,  113};
// Twice the values of a 4-bit float (e2m1); the scales are halved to make up for it.
constexpr int8_t kE2M1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

struct IQ4_NL {  // half d; nibbles
  static constexpr uint32_t kElements = 32, kBytes = 18;
  static void Decode(const uint8_t* p, float* out) {
    const float d = Half(p);
    ForNibbles(p + 2, [&](int j, int q) { out[j] = d * static_cast<float>(kNonlinear[q]); });
  }
};

struct IQ4_XS {  // half d; 8 scales of 6 bits: 16 bits of high parts, 4 bytes of low ones; nibbles
  static constexpr uint32_t kElements = 256, kBytes = 136;
  static void Decode(const uint8_t* p, float* out) {
    const float d = Half(p);
    const auto high = Read<uint16_t>(p + 2);
    for (int s = 0; s < 8; ++s) {
      const int bits = (p[4 + s / 2] >> s % 2 * 4 & 15) | (high >> 2 * s & 3) << 4;
      const float scale = d * static_cast<float>(bits - 32);
      ForNibbles(p + 8 + 16 * s, [&](int j, int q) {
        out[32 * s + j] = scale * static_cast<float>(kNonlinear[q]);
      });
    }
  }
};

struct MXFP4 {  // an exponent; nibbles
  static constexpr uint32_t kElements = 32, kBytes = 17;
  static void Decode(const uint8_t* p, float* out) {
    // 2^(e - 128), of which the two smallest are subnormal.
    const uint32_t bits = p[0] < 2 ? 0x00200000u << p[0] : static_cast<uint32_t>(p[0] - 1) << 23;
    float d;
    std::memcpy(&d, &bits, sizeof d);
    ForNibbles(p + 1, [&](int j, int q) { out[j] = d * static_cast<float>(kE2M1[q]); });
  }
};

struct NVFP4 {  // 4 scales (e4m3 without sign); nibbles, 8 low ones before the 8 high ones
  static constexpr uint32_t kElements = 64, kBytes = 36;
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
  static void Decode(const uint8_t* p, float* out) {
    for (int s = 0; s < 4; ++s) {
      const float d = Scale(p[s]);
      for (int j = 0; j < 8; ++j) {
        const uint8_t q = p[4 + 8 * s + j];
        out[16 * s + j] = d * static_cast<float>(kE2M1[q & 15]);
        out[16 * s + j + 8] = d * static_cast<float>(kE2M1[q >> 4]);
      }
    }
  }
};

// Numbers of three values, -1, 0 and 1.

struct TQ1_0 {  // five to a byte, in base 3, then four to a byte; half d
  static constexpr uint32_t kElements = 256, kBytes = 54;
  static void Decode(const uint8_t* p, float* out) {
    const float d = Half(p + 52);
    out = Run(p, 32, 5, d, out);
    out = Run(p + 32, 16, 5, d, out);
    Run(p + 48, 4, 4, d, out);
  }
  // A byte is a fraction of 256 in base 3: multiplied by 3^k, its next digit is the carry.
  static float* Run(const uint8_t* q, int bytes, int digits, float d, float* out) {
    for (int power = 1; digits > 0; --digits, power *= 3) {
      for (int j = 0; j < bytes; ++j) {
        const int digit = static_cast<uint8_t>(q[j] * power) * 3 >> 8;
        *out++ = d * static_cast<float>(digit - 1);
      }
    }
    return out;
  }
};

struct TQ2_0 {  // 2 bits; half d
  static constexpr uint32_t kElements = 256, kBytes = 66;
  static void Decode(const uint8_t* p, float* out) {
    const float d = Half(p + 64);
    for (int i = 0; i < 256; ++i) out[i] = d * static_cast<float>(TwoBits(p, i) - 1);
  }
};

template <class T>
constexpr GgmlType Row(uint32_t id, const char* name) {
  return {id, name, T::kElements, T::kBytes, [](const uint8_t* blocks, size_t count, float* out) {
            for (size_t i = 0; i < count; ++i) {
              T::Decode(blocks + i * T::kBytes, out + i * T::kElements);
            }
          }};
}

constexpr GgmlType kTypes[] = {
    Row<Plain<float>>(0, "F32"),
    Row<Plain<Float16>>(1, "F16"),
    Row<Q4_0>(2, "Q4_0"),
    Row<Q4_1>(3, "Q4_1"),
    Row<Q5_0>(6, "Q5_0"),
    Row<Q5_1>(7, "Q5_1"),
    Row<Q8_0>(8, "Q8_0"),
    Row<Q2_K>(10, "Q2_K"),
    Row<Q3_K>(11, "Q3_K"),
    Row<Q45_K<false>>(12, "Q4_K"),
    Row<Q45_K<true>>(13, "Q5_K"),
    Row<Q6_K>(14, "Q6_K"),
    Row<Q8_K>(15, "Q8_K"),
    {16, "IQ2_XXS", 256, 66, nullptr},
    {17, "IQ2_XS", 256, 74, nullptr},
    {18, "IQ3_XXS", 256, 98, nullptr},
    {19, "IQ1_S", 256, 50, nullptr},
    Row<IQ4_NL>(20, "IQ4_NL"),
    {21, "IQ3_S", 256, 110, nullptr},
    {22, "IQ2_S", 256, 82, nullptr},
    Row<IQ4_XS>(23, "IQ4_XS"),
    Row<Plain<int8_t>>(24, "I8"),
    Row<Plain<int16_t>>(25, "I16"),
    Row<Plain<int32_t>>(26, "I32"),
    Row<Plain<int64_t>>(27, "I64"),
    Row<Plain<double>>(28, "F64"),
    {29, "IQ1_M", 256, 56, nullptr},
    Row<Plain<BFloat16>>(30, "BF16"),
    Row<TQ1_0>(34, "TQ1_0"),
    Row<TQ2_0>(35, "TQ2_0"),
    Row<MXFP4>(39, "MXFP4"),
    Row<NVFP4>(40, "NVFP4"),
};

}  // namespace

const GgmlType* FindGgmlType(uint32_t id) {
  for (const GgmlType& type : kTypes) {
    if (type.id == id) return &type;
  }
  return nullptr;
}

}  // namespace rushlight::compiler
