// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/reduce/reduce.h"

#include <cmath>
#include <limits>

#include "src/kernels/reduce/lanes.h"

namespace rushlight::kernels {
namespace {

// Steps after which lanes go into the state: rounding errors in T grow no further, and the second
// look that some folds take finds the piece in the first-level cache.
constexpr size_t kMaxSteps = 256;

template <class T>
using Wide = std::conditional_t<std::is_floating_point_v<T>, double, T>;

template <class T>
constexpr T Lowest() {
  return std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity()
                                              : std::numeric_limits<T>::lowest();
}
template <class T>
constexpr T Highest() {
  return std::numeric_limits<T>::has_infinity ? std::numeric_limits<T>::infinity()
                                              : std::numeric_limits<T>::max();
}

// A piece of input is one row for one result, or W columns for W neighbouring ones.  Its Fold gives
// kOutputs accumulators: F::Step over the elements of each.

template <class F>
constexpr auto kStep = [](auto acc, auto x, auto parameter) { return F::Step(acc, x, parameter); };
template <class F>
constexpr auto kCombine = [](auto a, auto b) { return F::Combine(a, b); };

template <class E>
struct Row {
  using T = E;
  static constexpr size_t kOutputs = 1;
  static constexpr size_t kMaxElements = kMaxSteps * kLanes<T>;

  const T* x;
  size_t n;
  int64_t step;  // 1

  template <class F>
  void Fold(const T* parameter, T* out) const {
    *out = FoldRow(F::template Identity<T>(), x, n, *parameter, kStep<F>, kCombine<F>);
  }
  T At(size_t, size_t k) const { return x[k]; }
};

template <class E, size_t W>
struct Columns {
  using T = E;
  static constexpr size_t kOutputs = W;
  static constexpr size_t kMaxElements = kMaxSteps;

  const T* x;
  size_t n;
  int64_t step;

  template <class F>
  void Fold(const T* parameter, T* out) const {
    FoldColumns(Lanes<T, W>::Fill(F::template Identity<T>()), x, n, step,
                Lanes<T, W>::Load(parameter), kStep<F>)
        .Store(out);
  }
  T At(size_t i, size_t k) const { return x[static_cast<int64_t>(k) * step + i]; }
};

// Where the results of a piece are kept.
template <class T>
struct Target {
  Wide<T>* state;
  void* beside;
  size_t position;
  double parameter;
};

template <class F, class T>
auto Apply(F f, T x, T parameter) {  // f on each lane, for functions that have no vector form
  if constexpr (std::is_arithmetic_v<T>) {
    return f(x, parameter);
  } else {
    T result{};
    for (size_t i = 0; i < sizeof x / sizeof x[0]; ++i) result[i] = f(x[i], parameter[i]);
    return result;
  }
}

template <class V>
V Absolute(V x) {
  return x < V{} ? -x : x;
}

}  // namespace

// Folds whose state is an accumulator.
template <class F>
struct Simple {
  // Joins two pieces' results: as a step does, where steps are not about something else.
  template <class T>
  static T Combine(T x, T y) {
    return F::Step(x, y, y);
  }
  template <class T>
  static void Initialize(const Target<T>& t) {
    *t.state = F::template Identity<Wide<T>>();
  }
  template <class P, class T = typename P::T>
  static void Update(const P& piece, const Target<T>& t) {
    T parameter[P::kOutputs];
    for (T& p : parameter) p = static_cast<T>(t.parameter);
    T part[P::kOutputs];
    piece.template Fold<F>(parameter, part);
    for (size_t i = 0; i < P::kOutputs; ++i) {
      t.state[i] = F::Combine(t.state[i], static_cast<Wide<T>>(part[i]));
    }
  }
};

template <class F>
struct Additive : Simple<F> {
  template <class T>
  static T Identity() {
    return 0;
  }
  template <class T>
  static T Combine(T a, T b) {
    return a + b;
  }
};

struct Sum : Additive<Sum> {
  template <class V>
  static V Step(V acc, V x, V) {
    return acc + x;
  }
};

struct Product : Simple<Product> {
  template <class T>
  static T Identity() {
    return 1;
  }
  template <class V>
  static V Step(V acc, V x, V) {
    return acc * x;
  }
};

struct Maximum : Simple<Maximum> {
  template <class T>
  static T Identity() {
    return Lowest<T>();
  }
  template <class V>
  static V Step(V acc, V x, V) {
    return ((x > acc) | (x != x)) ? x : acc;
  }
};

struct Minimum : Simple<Minimum> {
  template <class T>
  static T Identity() {
    return Highest<T>();
  }
  template <class V>
  static V Step(V acc, V x, V) {
    return ((x < acc) | (x != x)) ? x : acc;
  }
};

struct Any : Simple<Any> {
  template <class T>
  static T Identity() {
    return 0;
  }
  template <class V>
  static V Step(V acc, V x, V) {
    return x != V{} ? V{} + 1 : acc;
  }
};

struct All : Simple<All> {
  template <class T>
  static T Identity() {
    return 1;
  }
  template <class V>
  static V Step(V acc, V x, V) {
    return x == V{} ? V{} : acc;
  }
};

// The best element of a piece, then its place, but only where it beats what was there.
template <class Best>
struct ArgBest {
  template <class T>
  static void Initialize(const Target<T>& t) {
    *t.state = Best::template Identity<Wide<T>>();
    *static_cast<int64_t*>(t.beside) = 0;
  }
  template <class P, class T = typename P::T>
  static void Update(const P& piece, const Target<T>& t) {
    auto* position = static_cast<int64_t*>(t.beside);
    const T unused[P::kOutputs] = {};
    T best[P::kOutputs];
    piece.template Fold<Best>(unused, best);
    for (size_t i = 0; i < P::kOutputs; ++i) {
      const auto before = static_cast<T>(t.state[i]);
      const T now = Best::Step(before, best[i], best[i]);
      if (before != before || now == before) continue;
      size_t k = 0;
      while (piece.At(i, k) != now && (now == now || piece.At(i, k) == piece.At(i, k))) ++k;
      t.state[i] = now;
      position[i] = static_cast<int64_t>(t.position + k);
    }
  }
};
struct ArgMaximum : ArgBest<Maximum> {};
struct ArgMinimum : ArgBest<Minimum> {};

// Mean and sum of squares about it.  A first mean of the piece, rounded to T, is a centre near
// enough to it that the sums about the centre are accurate; they give the mean to more digits.
// Pieces are joined as if they were one (Chan, Golub and LeVeque).
struct Moments {
  struct SumAbout : Additive<SumAbout> {
    template <class V>
    static V Step(V acc, V x, V center) {
      return acc + (x - center);
    }
  };
  struct SquaresAbout : Additive<SquaresAbout> {
    template <class V>
    static V Step(V acc, V x, V center) {
      return acc + (x - center) * (x - center);
    }
  };

  template <class T>
  static void Initialize(const Target<T>& t) {
    *t.state = 0;
    *static_cast<double*>(t.beside) = std::numeric_limits<double>::quiet_NaN();
  }
  template <class P, class T = typename P::T>
  static void Update(const P& piece, const Target<T>& t) {
    auto* mean = static_cast<double*>(t.beside);
    const auto n = static_cast<double>(piece.n);
    const auto before = static_cast<double>(t.position);
    T center[P::kOutputs] = {};
    T sum[P::kOutputs];
    T squares[P::kOutputs];
    piece.template Fold<Sum>(center, sum);
    for (size_t i = 0; i < P::kOutputs; ++i) center[i] = static_cast<T>(sum[i] / n);
    piece.template Fold<SumAbout>(center, sum);
    piece.template Fold<SquaresAbout>(center, squares);
    for (size_t i = 0; i < P::kOutputs; ++i) {
      const double error = sum[i] / n;
      const double spread = squares[i] - sum[i] * error;
      const double previous = t.position == 0 ? 0 : mean[i];
      const double delta = center[i] + error - previous;
      mean[i] = previous + delta * (n / (before + n));
      t.state[i] += (spread < 0 ? 0 : spread) + delta * delta * (before * n / (before + n));
    }
  }
};

// Exponentials are taken about the greatest element so far, the shift, which is finite once there
// is an element above -infinity.
struct LogSumExp {
  struct ExpAbout : Additive<ExpAbout> {
    template <class V>
    static V Step(V acc, V x, V shift) {
      return acc + Apply([](auto v, auto p) { return std::exp(v - p); }, x, shift);
    }
  };

  template <class T>
  static void Initialize(const Target<T>& t) {
    *t.state = 0;
    *static_cast<double*>(t.beside) = Lowest<double>();
  }
  template <class P, class T = typename P::T>
  static void Update(const P& piece, const Target<T>& t) {
    auto* shift = static_cast<double*>(t.beside);
    const T unused[P::kOutputs] = {};
    T most[P::kOutputs];
    piece.template Fold<Maximum>(unused, most);
    T about[P::kOutputs];
    for (size_t i = 0; i < P::kOutputs; ++i) about[i] = std::isinf(most[i]) ? T(0) : most[i];
    T sum[P::kOutputs];
    piece.template Fold<ExpAbout>(about, sum);
    for (size_t i = 0; i < P::kOutputs; ++i) {
      if (most[i] == Lowest<T>()) continue;  // adds nothing
      const double now = about[i] > shift[i] || about[i] != about[i] ? about[i] : shift[i];
      t.state[i] = (t.state[i] == 0 ? 0 : t.state[i] * std::exp(shift[i] - now)) +
                   sum[i] * std::exp(about[i] - now);
      shift[i] = now;
    }
  }
};

namespace {

struct NonZero : Additive<NonZero> {
  template <class V>
  static V Step(V acc, V x, V) {
    return acc + (x != V{} ? V{} + 1 : V{});
  }
};
struct AbsoluteSum : Additive<AbsoluteSum> {
  template <class V>
  static V Step(V acc, V x, V) {
    return acc + Absolute(x);
  }
};
struct SquareSum : Additive<SquareSum> {
  template <class V>
  static V Step(V acc, V x, V) {
    return acc + x * x;
  }
};
struct PowerSum : Additive<PowerSum> {
  template <class V>
  static V Step(V acc, V x, V p) {
    return acc + Apply([](auto v, auto e) { return std::pow(v, e); }, Absolute(x), p);
  }
};
struct AbsoluteMaximum : Simple<AbsoluteMaximum> {
  template <class T>
  static T Identity() {
    return 0;
  }
  template <class V>
  static V Step(V acc, V x, V p) {
    return Maximum::Step(acc, Absolute(x), p);
  }
  template <class T>
  static T Combine(T a, T b) {
    return Maximum::Combine(a, b);
  }
};
struct AbsoluteMinimum : Simple<AbsoluteMinimum> {
  template <class T>
  static T Identity() {
    return Highest<T>();
  }
  template <class V>
  static V Step(V acc, V x, V p) {
    return Minimum::Step(acc, Absolute(x), p);
  }
  template <class T>
  static T Combine(T a, T b) {
    return Minimum::Combine(a, b);
  }
};

// Folds the inputs of results j, j + 1, ... P::kOutputs of them.
template <class F, class P, class T = typename P::T>
void FoldPieces(const FoldArgs& a, size_t j) {
  const T* x = static_cast<const T*>(a.in) + static_cast<int64_t>(j) * a.output_stride;
  Target<T> target{static_cast<Wide<T>*>(a.state) + j, static_cast<uint64_t*>(a.beside) + j,
                   a.position, a.parameter};
  for (size_t done = 0; done < a.n; done += P::kMaxElements) {
    const size_t n = a.n - done < P::kMaxElements ? a.n - done : P::kMaxElements;
    F::Update(P{x + static_cast<int64_t>(done) * a.step, n, a.step}, target);
    target.position += n;
  }
}

}  // namespace

template <class F, class T>
void Fold(const FoldArgs& a) {
  static_assert(sizeof(Wide<T>) == sizeof(uint64_t));
  size_t j = 0;
  if (a.in == nullptr) {
    for (; j < a.outputs; ++j) {
      F::Initialize(Target<T>{static_cast<Wide<T>*>(a.state) + j,
                              static_cast<uint64_t*>(a.beside) + j, 0, 0});
    }
  } else if (a.step == 1) {
    for (; j < a.outputs; ++j) FoldPieces<F, Row<T>>(a, j);
  } else {
    constexpr size_t kWidth = kLanes<T>;
    for (; j + kWidth <= a.outputs; j += kWidth) FoldPieces<F, Columns<T, kWidth>>(a, j);
    for (; j < a.outputs; ++j) FoldPieces<F, Columns<T, 1>>(a, j);
  }
}

void FoldNorm(const FoldArgs& a) {
  if (a.parameter == 0) return Fold<NonZero, double>(a);
  if (a.parameter == 1) return Fold<AbsoluteSum, double>(a);
  if (a.parameter == 2) return Fold<SquareSum, double>(a);
  if (a.parameter == Highest<double>()) return Fold<AbsoluteMaximum, double>(a);
  if (a.parameter == Lowest<double>()) return Fold<AbsoluteMinimum, double>(a);
  return Fold<PowerSum, double>(a);
}

double NormRoot(double state, double p) {
  if (p == 0 || std::isinf(p)) return state;
  return p == 2 ? std::sqrt(state) : p == 1 ? state : std::pow(state, 1 / p);
}

template void Fold<Sum, float>(const FoldArgs&);
template void Fold<Sum, double>(const FoldArgs&);
template void Fold<Sum, uint64_t>(const FoldArgs&);
template void Fold<Product, double>(const FoldArgs&);
template void Fold<Product, uint64_t>(const FoldArgs&);
template void Fold<Maximum, float>(const FoldArgs&);
template void Fold<Maximum, double>(const FoldArgs&);
template void Fold<Maximum, int64_t>(const FoldArgs&);
template void Fold<Minimum, float>(const FoldArgs&);
template void Fold<Minimum, double>(const FoldArgs&);
template void Fold<Minimum, int64_t>(const FoldArgs&);
template void Fold<Any, double>(const FoldArgs&);
template void Fold<Any, int64_t>(const FoldArgs&);
template void Fold<All, double>(const FoldArgs&);
template void Fold<All, int64_t>(const FoldArgs&);
template void Fold<ArgMaximum, float>(const FoldArgs&);
template void Fold<ArgMaximum, double>(const FoldArgs&);
template void Fold<ArgMaximum, int64_t>(const FoldArgs&);
template void Fold<ArgMinimum, float>(const FoldArgs&);
template void Fold<ArgMinimum, double>(const FoldArgs&);
template void Fold<ArgMinimum, int64_t>(const FoldArgs&);
template void Fold<Moments, float>(const FoldArgs&);
template void Fold<Moments, double>(const FoldArgs&);
template void Fold<LogSumExp, double>(const FoldArgs&);

}  // namespace rushlight::kernels
