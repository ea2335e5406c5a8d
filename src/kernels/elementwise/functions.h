// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The functions of elementwise operators, on one element each: arithmetic.  Integers wrap around.
// Beside it: math_functions.h, activation_functions.h, logic_functions.h.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

namespace rushlight::kernels {

// Signed overflow is undefined in C++; PyTorch's integers wrap.
template <class T>
T WrapAdd(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(a) + static_cast<U>(b));
  } else {
    return a + b;
  }
}
template <class T>
T WrapSub(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(a) - static_cast<U>(b));
  } else {
    return a - b;
  }
}
template <class T>
T WrapMul(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(a) * static_cast<U>(b));
  } else {
    return a * b;
  }
}

struct AddScaled {  // a + alpha * b
  template <class T>
  T operator()(T a, T b, T alpha) const {
    return WrapAdd(a, WrapMul(alpha, b));
  }
};
struct SubScaled {
  template <class T>
  T operator()(T a, T b, T alpha) const {
    return WrapSub(a, WrapMul(alpha, b));
  }
};
struct AddProduct {  // a + value * b * c
  template <class T>
  T operator()(T a, T b, T c, T value) const {
    return WrapAdd(a, WrapMul(WrapMul(value, b), c));
  }
};
struct AddQuotient {  // floating point only
  template <class T>
  T operator()(T a, T b, T c, T value) const {
    return a + value * b / c;
  }
};
struct Mul {
  template <class T>
  T operator()(T a, T b) const {
    return WrapMul(a, b);
  }
};
struct Div {  // floating point only
  template <class T>
  T operator()(T a, T b) const {
    return a / b;
  }
};

// Integer division.  Requires: b != 0 (MapDivide sees to it).  The one quotient that does not fit
// wraps around.
struct DivTrunc {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      return b == -1 ? WrapSub(T(0), a) : a / b;
    } else {
      return std::trunc(a / b);
    }
  }
};
struct DivFloor {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      if (b == -1) return WrapSub(T(0), a);
      const T q = a / b;
      return q - ((a % b != 0) && ((a < 0) != (b < 0)) ? 1 : 0);
    } else {
      if (b == T(0)) return a / b;
      // As Python: the remainder has the sign of b, and the quotient is made to agree with it.
      T mod = std::fmod(a, b);
      T quotient = (a - mod) / b;
      if (mod != T(0) && ((b < T(0)) != (mod < T(0)))) quotient -= T(1);
      if (quotient == T(0)) return std::copysign(T(0), a / b);
      T floored = std::floor(quotient);
      if (quotient - floored > T(0.5)) floored += T(1);
      return floored;
    }
  }
};
struct Remainder {  // the sign of b
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      if (b == -1) return 0;
      const T r = a % b;
      return r != 0 && ((r < 0) != (b < 0)) ? r + b : r;
    } else {
      T r = std::fmod(a, b);
      if (r != T(0) && ((r < T(0)) != (b < T(0)))) r += b;
      return r;
    }
  }
};
struct Fmod {  // the sign of a
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      return b == -1 ? T(0) : static_cast<T>(a % b);
    } else {
      return std::fmod(a, b);
    }
  }
};

struct Pow {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      if (b < 0) return a == 1 ? 1 : a == -1 ? (b % 2 == 0 ? 1 : -1) : 0;
      T result = 1;
      for (T base = a; b > 0; b /= 2) {
        if (b % 2 != 0) result = WrapMul(result, base);
        base = WrapMul(base, base);
      }
      return result;
    } else {
      return std::pow(a, b);
    }
  }
};
// The same for an exponent that is a number: those that models use go without a call.
struct PowNumber {  // floating point only
  template <class T>
  T operator()(T a, T b) const {
    if (b == T(2)) return a * a;
    if (b == T(3)) return a * a * a;
    if (b == T(0.5)) return std::sqrt(a);
    if (b == T(-0.5)) return T(1) / std::sqrt(a);
    if (b == T(-1)) return T(1) / a;
    return std::pow(a, b);
  }
};

struct Maximum {  // NaN wins; no branch, so that it vectorises
  template <class T>
  T operator()(T a, T b) const {
    return ((a > b) | (a != a)) ? a : b;
  }
};
struct Minimum {
  template <class T>
  T operator()(T a, T b) const {
    return ((a < b) | (a != a)) ? a : b;
  }
};
struct Clamp {  // the upper bound wins
  template <class T>
  T operator()(T x, T low, T high) const {
    return Minimum()(high, Maximum()(x, low));
  }
};
struct Lerp {  // exact at both ends
  template <class T>
  T operator()(T a, T b, T weight) const {
    return std::fabs(weight) < T(0.5) ? a + weight * (b - a) : b - (b - a) * (T(1) - weight);
  }
};
struct Atan2 {
  template <class T>
  T operator()(T a, T b) const {
    return std::atan2(a, b);
  }
};
struct Hypot {
  template <class T>
  T operator()(T a, T b) const {
    return std::hypot(a, b);
  }
};
struct CopySign {
  template <class T>
  T operator()(T a, T b) const {
    return std::copysign(a, b);
  }
};

}  // namespace rushlight::kernels
