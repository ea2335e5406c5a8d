// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/rows/rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "rushlight/half.h"
#include "src/kernels/packed/reference.h"
#include "src/kernels/vector/kernel_test.h"

namespace rushlight::kernels {
namespace {

constexpr size_t kSizes[] = {1, 2, 15, 16, 17, 63, 64, 65, 127, 300, 576};
constexpr float kInfinity = std::numeric_limits<float>::infinity();
using Floats = std::vector<float>;

// Calls f(kernels, x) for rows of all sizes, in double's neighbourhood and hostile.  What f returns
// must be the same on every instruction set; of the first kind it is compared with want(x).
template <class F, class Want>
void Check(F f, Want want, double tolerance) {
  std::mt19937 random(1);
  for (const size_t n : kSizes) {
    for (const bool hostile : {false, true}) {
      const Floats x = (hostile ? HostileFloats : RandomFloats)(n, random);
      Floats first;
      for (const Isa isa : RunnableIsas()) {
        SCOPED_TRACE(testing::Message() << Info(isa).name << " n " << n << " hostile " << hostile);
        const Floats got = f(*kRowKernels[isa], x);
        if (first.empty()) first = got;
        ExpectSameBits(got, first);
        if (hostile) continue;
        const std::vector<double> right = want(x);
        for (size_t i = 0; i < n; ++i) {
          ASSERT_NEAR(got[i], right[i], tolerance * (1 + std::fabs(right[i]))) << i;
        }
      }
    }
  }
}

Floats Weight(size_t n, int seed) {
  std::mt19937 random(seed);
  return RandomFloats(n, random);
}

TEST(Rows, RmsNorm) {
  Check(
      [](const RowKernels& k, Floats x) {
        k.rms_norm(x.data(), Weight(x.size(), 7).data(), 1e-5f, x.size(), x.data());
        return x;
      },
      [](const Floats& x) {
        const Floats weight = Weight(x.size(), 7);
        double square = 0;
        for (const double v : x) square += v * v;
        std::vector<double> y;
        for (size_t i = 0; i < x.size(); ++i) {
          y.push_back(x[i] / std::sqrt(square / x.size() + 1e-5) * weight[i]);
        }
        return y;
      },
      1e-6);
}

TEST(Rows, LayerNorm) {
  for (const bool affine : {false, true}) {
    Check(
        [=](const RowKernels& k, Floats x) {
          const Floats weight = Weight(x.size(), 7), bias = Weight(x.size(), 8);
          k.layer_norm(x.data(), affine ? weight.data() : nullptr, affine ? bias.data() : nullptr,
                       1e-5f, x.size(), x.data());
          return x;
        },
        [=](const Floats& x) {
          const Floats weight = Weight(x.size(), 7), bias = Weight(x.size(), 8);
          const double mean = std::accumulate(x.begin(), x.end(), 0.0) / x.size();
          double square = 0;
          for (const double v : x) square += (v - mean) * (v - mean);
          std::vector<double> y;
          for (size_t i = 0; i < x.size(); ++i) {
            const double z = (x[i] - mean) / std::sqrt(square / x.size() + 1e-5);
            y.push_back(affine ? z * weight[i] + bias[i] : z);
          }
          return y;
        },
        2e-5);  // rows of 2 have a small variance
  }
}

TEST(Rows, Gate) {
  for (const Activation activation :
       {Activation::kNone, Activation::kSilu, Activation::kGelu, Activation::kGeluTanh,
        Activation::kRelu, Activation::kTanh, Activation::kQuickGelu}) {
    Check(
        [=](const RowKernels& k, Floats x) {
          k.gate(activation, x.data(), Weight(x.size(), 7).data(), x.size(), x.data());
          return x;
        },
        [=](const Floats& x) {
          const Floats up = Weight(x.size(), 7);
          std::vector<double> y;
          for (size_t i = 0; i < x.size(); ++i) {
            y.push_back(ReferenceActivation(activation, x[i]) * up[i]);
          }
          return y;
        },
        1e-6);
  }
}

TEST(Rows, Softmax) {
  for (const float cap : {0.0f, 2.0f}) {
    Check(
        [=](const RowKernels& k, Floats x) {
          k.softmax(x.data(), 0.7f, cap, x.size(), x.data());
          return x;
        },
        [=](const Floats& x) {
          std::vector<double> y;
          for (const double v : x) {
            y.push_back(std::exp(cap == 0 ? v * 0.7f : cap * std::tanh(v * 0.7f / cap)));
          }
          const double total = std::accumulate(y.begin(), y.end(), 0.0);
          for (double& v : y) v /= total;
          return y;
        },
        1e-6);
  }
}

TEST(Rows, SoftmaxOfMinusInfinity) {
  for (const Isa isa : RunnableIsas()) {
    Floats x(20, -kInfinity);
    x[18] = 3;
    kRowKernels[isa]->softmax(x.data(), 1, 0, x.size(), x.data());
    for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(x[i], i == 18 ? 1 : 0);
  }
}

TEST(Rows, Add) {
  Check(
      [](const RowKernels& k, Floats x) {
        k.add(x.data(), Weight(x.size(), 7).data(), x.size(), x.data());
        return x;
      },
      [](const Floats& x) {
        const Floats b = Weight(x.size(), 7);
        std::vector<double> y;
        for (size_t i = 0; i < x.size(); ++i) y.push_back(x[i] + b[i]);
        return y;
      },
      0);
}

TEST(Rows, Affine) {
  for (const bool weighted : {false, true}) {
    for (const bool biased : {false, true}) {
      const auto vector = [](bool there, const Floats& v) { return there ? v.data() : nullptr; };
      Check(
          [=](const RowKernels& k, Floats x) {
            const Floats weight = Weight(x.size(), 7), bias = Weight(x.size(), 9);
            k.affine(x.data(), vector(weighted, weight), vector(biased, bias), x.size(), x.data());
            return x;
          },
          [=](const Floats& x) {
            const Floats weight = Weight(x.size(), 7), bias = Weight(x.size(), 9);
            std::vector<double> y;
            for (size_t i = 0; i < x.size(); ++i) {
              y.push_back(double{x[i]} * (weighted ? weight[i] : 1) + (biased ? bias[i] : 0));
            }
            return y;
          },
          1e-6);
    }
  }
}

TEST(Rows, Rope) {
  std::mt19937 random(3);
  for (const Rope kind : {Rope::kHalves, Rope::kInterleaved}) {
    for (const size_t rotary : {0u, 2u, 32u, 38u, 64u}) {
      constexpr size_t kHeads = 3, kSize = 64;
      const Floats x = RandomFloats(kHeads * kSize, random);
      Floats cos(rotary / 2), sin(rotary / 2);
      for (size_t i = 0; i < rotary / 2; ++i) {
        cos[i] = std::cos(0.3f * i);
        sin[i] = std::sin(0.3f * i);
      }
      Floats first;
      for (const Isa isa : RunnableIsas()) {
        SCOPED_TRACE(testing::Message() << Info(isa).name << rotary);
        Floats out(x.size()), same = x;
        kRowKernels[isa]->rope(
            {x.data(), out.data(), cos.data(), sin.data(), kHeads, kSize, rotary, kind});
        kRowKernels[isa]->rope(
            {same.data(), same.data(), cos.data(), sin.data(), kHeads, kSize, rotary, kind});
        ExpectSameBits(out, same);
        if (first.empty()) first = out;
        ExpectSameBits(out, first);
        for (size_t head = 0; head < kHeads; ++head) {
          const float* a = &x[head * kSize];
          const float* b = &out[head * kSize];
          for (size_t i = 0; i < rotary / 2; ++i) {
            const size_t p = kind == Rope::kHalves ? i : 2 * i;
            const size_t q = kind == Rope::kHalves ? i + rotary / 2 : 2 * i + 1;
            ASSERT_NEAR(b[p],
                        static_cast<double>(a[p]) * cos[i] - static_cast<double>(a[q]) * sin[i],
                        1e-6);
            ASSERT_NEAR(b[q],
                        static_cast<double>(a[q]) * cos[i] + static_cast<double>(a[p]) * sin[i],
                        1e-6);
          }
          for (size_t i = rotary; i < kSize; ++i) ASSERT_EQ(a[i], b[i]);
        }
      }
    }
  }
}

template <class T>
void CheckWiden(DType type) {
  std::mt19937 random(4);
  for (const size_t n : kSizes) {
    std::vector<T> row;
    Floats want;
    for (const float v : RandomFloats(n, random)) {
      row.push_back(T(v));
      want.push_back(static_cast<float>(row.back()) * 1.5f);
    }
    for (const Isa isa : RunnableIsas()) {
      Floats got(n);
      kRowKernels[isa]->widen(type, row.data(), 1.5f, n, got.data());
      ExpectSameBits(got, want);
    }
  }
}

TEST(Rows, Widen) {
  CheckWiden<float>(DType::kFloat32);
  CheckWiden<BFloat16>(DType::kBFloat16);
  CheckWiden<Float16>(DType::kFloat16);
}

// Small integers: many are equal.
Floats Ties(size_t n, std::mt19937& random) {
  Floats x(n);
  for (float& v : x) v = static_cast<float>(static_cast<int>(random() % 9) - 4);
  return x;
}

TEST(Rows, ArgMaxAndTopK) {
  std::mt19937 random(5);
  for (const size_t n : {0u, 1u, 5u, 16u, 100u, 1024u, 1025u, 5000u}) {
    for (int kind = 0; kind < 5; ++kind) {
      Floats x = kind == 0   ? RandomFloats(n, random)
                 : kind == 1 ? HostileFloats(n, random)
                             : Ties(n, random);
      if (kind == 3) std::fill(x.begin(), x.end(), std::nanf(""));
      if (kind == 4) std::sort(x.begin(), x.end());  // each is better than those before
      std::vector<size_t> order;
      for (size_t i = 0; i < n; ++i) {
        if (!std::isnan(x[i])) order.push_back(i);
      }
      std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return x[a] > x[b]; });
      for (const Isa isa : RunnableIsas()) {
        SCOPED_TRACE(testing::Message() << Info(isa).name << " n " << n << " kind " << kind);
        EXPECT_EQ(kRowKernels[isa]->argmax(x.data(), n), order.empty() ? 0 : order[0]);
        for (const size_t k : {size_t{0}, size_t{1}, size_t{7}, size_t{50}, n}) {
          std::vector<size_t> places(k);
          const size_t count = kRowKernels[isa]->top_k(x.data(), n, k, places.data());
          ASSERT_EQ(count, std::min(k, order.size()));
          for (size_t i = 0; i < count; ++i) ASSERT_EQ(places[i], order[i]) << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace rushlight::kernels
