// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The functions of elementwise operators: comparison, logic, bits, choice.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace rushlight::kernels {

struct Eq {
  template <class T>
  bool operator()(T a, T b) const {
    return a == b;
  }
};
struct Ne {
  template <class T>
  bool operator()(T a, T b) const {
    return a != b;
  }
};
struct Lt {
  template <class T>
  bool operator()(T a, T b) const {
    return a < b;
  }
};
struct Le {
  template <class T>
  bool operator()(T a, T b) const {
    return a <= b;
  }
};
struct Gt {
  template <class T>
  bool operator()(T a, T b) const {
    return a > b;
  }
};
struct Ge {
  template <class T>
  bool operator()(T a, T b) const {
    return a >= b;
  }
};

struct IsNan {
  template <class T>
  bool operator()(T x) const {
    return x != x;
  }
};
struct IsInf {
  template <class T>
  bool operator()(T x) const {
    if constexpr (std::is_integral_v<T>) {
      return false;
    } else {
      return std::fabs(x) == std::numeric_limits<T>::infinity();
    }
  }
};

struct LogicalNot {
  template <class T>
  bool operator()(T x) const {
    return x == T(0);
  }
};
struct LogicalAnd {
  template <class T>
  bool operator()(T a, T b) const {
    return (a != T(0)) & (b != T(0));
  }
};
struct LogicalOr {
  template <class T>
  bool operator()(T a, T b) const {
    return (a != T(0)) | (b != T(0));
  }
};
struct LogicalXor {
  template <class T>
  bool operator()(T a, T b) const {
    return (a != T(0)) != (b != T(0));
  }
};

struct BitwiseAnd {
  template <class T>
  T operator()(T a, T b) const {
    return a & b;
  }
};
struct BitwiseOr {
  template <class T>
  T operator()(T a, T b) const {
    return a | b;
  }
};
struct BitwiseXor {
  template <class T>
  T operator()(T a, T b) const {
    return a ^ b;
  }
};

// Shifts by less than nothing, or by all bits and more, leave zeros; to the right, copies of the
// sign.  That the compute type may be wider than the tensors' makes no difference: to the left, the
// bits that it keeps are cut off afterwards; to the right, it has the same sign.
struct LeftShift {
  template <class T>
  T operator()(T a, T b) const {
    constexpr T kBits = std::numeric_limits<T>::digits + 1;
    return b < 0 || b >= kBits ? T(0) : static_cast<T>(std::make_unsigned_t<T>(a) << b);
  }
};
struct RightShift {
  template <class T>
  T operator()(T a, T b) const {
    constexpr T kSignBit = std::numeric_limits<T>::digits;
    return a >> (b < 0 || b > kSignBit ? kSignBit : b);
  }
};

struct Where {
  template <class T>
  T operator()(T condition, T a, T b) const {
    return condition != T(0) ? a : b;
  }
};

}  // namespace rushlight::kernels
