// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The functions of elementwise operators: activations.  Floating point only, unless said otherwise.
#pragma once

#include <cmath>

#include "src/kernels/elementwise/functions.h"  // Clamp

namespace rushlight::kernels {

struct Relu {  // integers too; NaN stays
  template <class T>
  T operator()(T x) const {
    return x < T(0) ? T(0) : x;
  }
};
struct Threshold {  // integers too; NaN stays
  template <class T>
  T operator()(T x, T threshold, T value) const {
    return x <= threshold ? value : x;
  }
};
struct LeakyRelu {
  template <class T>
  T operator()(T x, T slope) const {
    return x > T(0) ? x : x * slope;
  }
};
struct Elu {
  template <class T>
  T operator()(T x, T alpha, T scale, T input_scale) const {
    return scale * (x < T(0) ? alpha * std::expm1(x * input_scale) : x);
  }
};
struct Sigmoid {
  template <class T>
  T operator()(T x) const {
    return T(1) / (T(1) + std::exp(-x));
  }
};
struct LogSigmoid {
  template <class T>
  T operator()(T x) const {
    return Minimum()(x, T(0)) - std::log1p(std::exp(-std::fabs(x)));
  }
};
struct GatedLinear {
  template <class T>
  T operator()(T x, T gate) const {
    return x * Sigmoid()(gate);
  }
};
struct Silu {
  template <class T>
  T operator()(T x) const {
    return x / (T(1) + std::exp(-x));
  }
};
struct Gelu {
  template <class T>
  T operator()(T x) const {
    constexpr T kSqrtHalf = T(0.70710678118654752440);
    return T(0.5) * x * (T(1) + std::erf(x * kSqrtHalf));
  }
};
struct GeluTanh {
  template <class T>
  T operator()(T x) const {
    constexpr T kSqrtTwoOverPi = T(0.79788456080286535588);
    return T(0.5) * x * (T(1) + std::tanh(kSqrtTwoOverPi * (x + T(0.044715) * x * x * x)));
  }
};
struct Mish {
  template <class T>
  T operator()(T x) const {
    return x * std::tanh(std::log1p(std::exp(x)));
  }
};
struct Softplus {  // linear where beta * x exceeds the threshold
  template <class T>
  T operator()(T x, T beta, T threshold) const {
    return x * beta > threshold ? x : std::log1p(std::exp(x * beta)) / beta;
  }
};
struct HardSigmoid {
  template <class T>
  T operator()(T x) const {
    return Clamp()(x + T(3), T(0), T(6)) / T(6);
  }
};
struct HardSwish {
  template <class T>
  T operator()(T x) const {
    return x * Clamp()(x + T(3), T(0), T(6)) / T(6);
  }
};

}  // namespace rushlight::kernels
