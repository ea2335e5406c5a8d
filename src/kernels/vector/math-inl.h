// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Functions of sixteen numbers at once, without calls or branches; all instruction sets agree bit
// for bit.  Included once for each of them (RUSHLIGHT_ISA), in its target region.

namespace rushlight::kernels::RUSHLIGHT_ISA {

// Compilers order what is independent as they like, unless an instruction set says otherwise.
template <class V>
RUSHLIGHT_INLINE void KeepOrder(V&) {}

// Added and taken away, it rounds to an integer, which meanwhile lies in the low bits.
inline constexpr float kRound = 12582912.0f;  // 1.5 * 2^23

inline constexpr float kPlaces[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

RUSHLIGHT_INLINE F32x16 Polynomial(F32x16, F32x16 sum) { return sum; }
// ((sum * x + c) * x + ...): the highest coefficient is the first sum.
template <class... Rest>
RUSHLIGHT_INLINE F32x16 Polynomial(F32x16 x, F32x16 sum, float c, Rest... rest) {
  return Polynomial(x, MulAdd(sum, x, Set(c)), rest...);
}

RUSHLIGHT_INLINE F32x16 Abs(F32x16 x) { return CopySign(x, Set(0.0f)); }

// Requires: n is an integer, -126 <= n <= 127; others give any number.
RUSHLIGHT_INLINE F32x16 PowerOfTwo(F32x16 n) { return ShiftBitsLeft23(n + Set(kRound + 127)); }

// p * 2^n.  Requires: n is an integer, -252 <= n <= 254; p is 0.5 or more, but less than 2.  For
// instruction sets that have no function of that name: two factors, each of them a normal number.
template <class V>
RUSHLIGHT_INLINE V TimesPowerOfTwo(V p, V n) {
  const V half = MulAdd(n, Set(0.5f), Set(kRound)) - Set(kRound);
  return p * PowerOfTwo(half) * PowerOfTwo(n - half);
}

// x = e^x within 2 units in the last place, subnormal results included; infinite above 88.72.  Of
// several step by step: one alone is a chain of which a CPU cannot hold many.
template <int kCount>
RUSHLIGHT_INLINE void ExpAll(F32x16 (&x)[kCount]) {
#define RUSHLIGHT_ALL(step)          \
  RUSHLIGHT_UNROLL                   \
  for (int i = 0; i < kCount; ++i) { \
    step;                            \
  }
#define RUSHLIGHT_STEP(y, step) RUSHLIGHT_ALL(y[i] = step; KeepOrder(y[i]))
  // Below, it rounds to 0.  It is not computed, as numbers that vanish take x86 over 100 cycles.
  const F32x16 lowest = Set(-104.0f);
  F32x16 argument[kCount], n[kCount], q[kCount];
  // x = n ln 2 + r with |r| <= ln 2 / 2.  The bounds let NaN pass.
  RUSHLIGHT_ALL(argument[i] = x[i])
  RUSHLIGHT_STEP(x, SelectLess(argument[i], lowest, Set(0.0f), Min(Set(89.0f), x[i])))
  RUSHLIGHT_STEP(n, MulAdd(x[i], Set(1.44269504f), Set(kRound)))
  RUSHLIGHT_STEP(n, n[i] - Set(kRound))
  RUSHLIGHT_STEP(x, MulAdd(n[i], Set(-0.693147182f), x[i]))  // ln 2 in two parts
  RUSHLIGHT_STEP(x, MulAdd(n[i], Set(1.90465421e-9f), x[i]))
  // e^r = 1 + r + r^2 q(r)
  RUSHLIGHT_STEP(q, MulAdd(Set(0.00139517197f), x[i], Set(0.00836959854f)))
  RUSHLIGHT_STEP(q, MulAdd(q[i], x[i], Set(0.0416661873f)))
  RUSHLIGHT_STEP(q, MulAdd(q[i], x[i], Set(0.166665122f)))
  RUSHLIGHT_STEP(q, MulAdd(q[i], x[i], Set(0.5f)))
  RUSHLIGHT_STEP(q, MulAdd(x[i] * x[i], q[i], x[i]))
  RUSHLIGHT_STEP(q, q[i] + Set(1.0f))
  RUSHLIGHT_STEP(x, SelectLess(argument[i], lowest, Set(0.0f), TimesPowerOfTwo(q[i], n[i])))
#undef RUSHLIGHT_STEP
#undef RUSHLIGHT_ALL
}
RUSHLIGHT_INLINE F32x16 Exp(F32x16 x) {
  F32x16 one[1] = {x};
  ExpAll(one);
  return one[0];
}

// Within 3 units in the last place.
RUSHLIGHT_INLINE F32x16 Tanh(F32x16 x) {
  const F32x16 a = Abs(x);
  const F32x16 z = x * x;
  const F32x16 q = Polynomial(z, Set(-0.0057170447f), 0.0206505861f, -0.0537434965f, 0.133314908f,
                              -0.333332837f);
  const F32x16 small = MulAdd(a * z, q, a);
  const F32x16 large = Set(1.0f) - Set(2.0f) / (Exp(a + a) + Set(1.0f));
  return CopySign(SelectLess(a, Set(0.625f), small, large), x);
}

// Within 3 units in the last place.
RUSHLIGHT_INLINE F32x16 Erf(F32x16 x) {
  const F32x16 a = Min(Set(4.0f), Abs(x));  // erf(4) rounds to 1
  const F32x16 small = a * Polynomial(a * a, Set(-0.000566015427f), 0.00492478907f, -0.0267177075f,
                                      0.112804115f, -0.376123548f, 1.12837911f);
  // 1 - erf(a) = e^p(a)
  const F32x16 p = Polynomial(a, Set(0.000186379257f), -0.002947659f, 0.0218380671f, -0.103106759f,
                              -0.638144851f, -1.12708914f, -0.000341522304f);
  return CopySign(SelectLess(a, Set(1.0f), small, Set(1.0f) - Exp(p)), x);
}

RUSHLIGHT_INLINE F32x16 Silu(F32x16 x) { return x / (Set(1.0f) + Exp(Set(0.0f) - x)); }
RUSHLIGHT_INLINE F32x16 GeluErf(F32x16 x) {
  return Set(0.5f) * x * (Set(1.0f) + Erf(x * Set(0.707106781f)));
}
RUSHLIGHT_INLINE F32x16 GeluTanh(F32x16 x) {
  const F32x16 inner = x * MulAdd(x * x, Set(0.0356774081f), Set(0.797884561f));
  return Set(0.5f) * x * (Set(1.0f) + Tanh(inner));
}
RUSHLIGHT_INLINE F32x16 QuickGelu(F32x16 x) { return x / (Set(1.0f) + Exp(Set(-1.702f) * x)); }

}  // namespace rushlight::kernels::RUSHLIGHT_ISA
