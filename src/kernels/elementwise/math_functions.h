// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The functions of elementwise operators: mathematical functions of one operand.
#pragma once

#include <cmath>
#include <type_traits>

#include "src/kernels/elementwise/functions.h"  // WrapSub

namespace rushlight::kernels {

// Those that the standard library has; floating point only.
#define RL_MATH_FUNCTION(NAME, FUNCTION) \
  struct NAME {                          \
    template <class T>                   \
    T operator()(T x) const {            \
      return std::FUNCTION(x);           \
    }                                    \
  }
RL_MATH_FUNCTION(Acos, acos);
RL_MATH_FUNCTION(Acosh, acosh);
RL_MATH_FUNCTION(Asin, asin);
RL_MATH_FUNCTION(Asinh, asinh);
RL_MATH_FUNCTION(Atan, atan);
RL_MATH_FUNCTION(Atanh, atanh);
RL_MATH_FUNCTION(Cos, cos);
RL_MATH_FUNCTION(Cosh, cosh);
RL_MATH_FUNCTION(Erf, erf);
RL_MATH_FUNCTION(Erfc, erfc);
RL_MATH_FUNCTION(Exp, exp);
RL_MATH_FUNCTION(Exp2, exp2);
RL_MATH_FUNCTION(Expm1, expm1);
RL_MATH_FUNCTION(Log, log);
RL_MATH_FUNCTION(Log10, log10);
RL_MATH_FUNCTION(Log1p, log1p);
RL_MATH_FUNCTION(Log2, log2);
RL_MATH_FUNCTION(Sin, sin);
RL_MATH_FUNCTION(Sinh, sinh);
RL_MATH_FUNCTION(Sqrt, sqrt);
RL_MATH_FUNCTION(Tan, tan);
RL_MATH_FUNCTION(Tanh, tanh);
#undef RL_MATH_FUNCTION

// Rounding to integers, which integers are already.
#define RL_ROUNDING_FUNCTION(NAME, FUNCTION) \
  struct NAME {                              \
    template <class T>                       \
    T operator()(T x) const {                \
      if constexpr (std::is_integral_v<T>) { \
        return x;                            \
      } else {                               \
        return std::FUNCTION(x);             \
      }                                      \
    }                                        \
  }
RL_ROUNDING_FUNCTION(Ceil, ceil);
RL_ROUNDING_FUNCTION(Floor, floor);
RL_ROUNDING_FUNCTION(Round, nearbyint);  // half to even
RL_ROUNDING_FUNCTION(Trunc, trunc);
#undef RL_ROUNDING_FUNCTION

struct RoundDecimals {  // to multiples of divisor / factor; one of the two is 1
  template <class T>
  T operator()(T x, T factor, T divisor) const {
    return std::nearbyint(x * factor / divisor) * divisor / factor;
  }
};

struct Identity {
  template <class T>
  T operator()(T x) const {
    return x;
  }
};
struct Abs {
  template <class T>
  T operator()(T x) const {
    if constexpr (std::is_integral_v<T>) {
      return x < 0 ? WrapSub(T(0), x) : x;
    } else {
      return std::fabs(x);
    }
  }
};
struct Neg {
  template <class T>
  T operator()(T x) const {
    if constexpr (std::is_integral_v<T>) {
      return WrapSub(T(0), x);
    } else {
      return -x;
    }
  }
};
struct Sign {  // 0 of NaN
  template <class T>
  T operator()(T x) const {
    return static_cast<T>((x > T(0)) - (x < T(0)));
  }
};
struct Reciprocal {
  template <class T>
  T operator()(T x) const {
    return T(1) / x;
  }
};
struct Rsqrt {
  template <class T>
  T operator()(T x) const {
    return T(1) / std::sqrt(x);
  }
};
struct Logit {  // a negative eps: the operand is not clamped
  template <class T>
  T operator()(T x, T eps) const {
    if (eps >= T(0)) x = x < eps ? eps : x > T(1) - eps ? T(1) - eps : x;
    return std::log(x / (T(1) - x));
  }
};

}  // namespace rushlight::kernels
