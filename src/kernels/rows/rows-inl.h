// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Row operations, written once.  Included for each instruction set (RUSHLIGHT_ISA), in its target
// region.  Sums have four vectors of partial sums, whatever the length of the row.

#include "src/kernels/packed/activate-inl.h"

namespace rushlight::kernels::RUSHLIGHT_ISA {
namespace {

// Sixteen from i on, or what is left of n, then `fill`.
RUSHLIGHT_INLINE F32x16 LoadAt(const float* p, size_t i, size_t n, float fill = 0) {
  return n - i >= 16 ? Load(p + i) : LoadFirst(p + i, n - i, fill);
}
RUSHLIGHT_INLINE void StoreAt(float* p, size_t i, size_t n, F32x16 x) {
  if (n - i >= 16) return Store(p + i, x);
  StoreFirst(p + i, x, n - i);
}

RUSHLIGHT_INLINE float SumOfFour(const F32x16 (&part)[4]) {
  return Sum((part[0] + part[1]) + (part[2] + part[3]));
}

// Sum of (x - mean)^2.
float SquaredDistance(const float* x, float mean, size_t n) {
  F32x16 part[4] = {Set(0.0f), Set(0.0f), Set(0.0f), Set(0.0f)};
  size_t i = 0;
  for (; i + 64 <= n; i += 64) {
    RUSHLIGHT_UNROLL
    for (size_t j = 0; j < 4; ++j) {
      const F32x16 d = Load(x + i + 16 * j) - Set(mean);
      part[j] = MulAdd(d, d, part[j]);
    }
  }
  for (; i < n; i += 16) {
    const F32x16 d = LoadAt(x, i, n, mean) - Set(mean);
    part[i / 16 % 4] = MulAdd(d, d, part[i / 16 % 4]);
  }
  return SumOfFour(part);
}

float Mean(const float* x, size_t n) {
  F32x16 part[4] = {Set(0.0f), Set(0.0f), Set(0.0f), Set(0.0f)};
  for (size_t i = 0; i < n; i += 16) part[i / 16 % 4] = part[i / 16 % 4] + LoadAt(x, i, n);
  return SumOfFour(part) / static_cast<float>(n);
}

void RmsNorm(const float* x, const float* weight, float eps, size_t n, float* out) {
  const float mean_square = SquaredDistance(x, 0, n) / static_cast<float>(n);
  const F32x16 scale = Set(1.0f / __builtin_sqrtf(mean_square + eps));
  for (size_t i = 0; i < n; i += 16) {
    StoreAt(out, i, n, LoadAt(x, i, n) * scale * LoadAt(weight, i, n));
  }
}

void LayerNorm(const float* x, const float* weight, const float* bias, float eps, size_t n,
               float* out) {
  const float mean = Mean(x, n);
  const float variance = SquaredDistance(x, mean, n) / static_cast<float>(n);
  const F32x16 scale = Set(1.0f / __builtin_sqrtf(variance + eps));
  for (size_t i = 0; i < n; i += 16) {
    F32x16 y = (LoadAt(x, i, n) - Set(mean)) * scale;
    if (weight != nullptr) y = y * LoadAt(weight, i, n);
    if (bias != nullptr) y = y + LoadAt(bias, i, n);
    StoreAt(out, i, n, y);
  }
}

void TurnHalves(const float* x, const float* cos, const float* sin, size_t half, float* out) {
  for (size_t i = 0; i < half; i += 16) {
    const F32x16 a = LoadAt(x, i, half), b = LoadAt(x + half, i, half);
    const F32x16 c = LoadAt(cos, i, half), s = LoadAt(sin, i, half);
    StoreAt(out, i, half, a * c - b * s);
    StoreAt(out + half, i, half, b * c + a * s);
  }
}

void TurnPairs(const float* x, const float* cos, const float* sin, size_t half, float* out) {
  for (size_t i = 0; i < half; ++i) {
    const float a = x[2 * i], b = x[2 * i + 1];
    out[2 * i] = a * cos[i] - b * sin[i];
    out[2 * i + 1] = b * cos[i] + a * sin[i];
  }
}

void Turn(const RopeArgs& args) {
  for (size_t head = 0; head < args.heads; ++head) {
    const float* x = args.x + head * args.size;
    float* out = args.out + head * args.size;
    if (args.kind == Rope::kHalves) {
      TurnHalves(x, args.cos, args.sin, args.rotary / 2, out);
    } else {
      TurnPairs(x, args.cos, args.sin, args.rotary / 2, out);
    }
    if (out != x) {
      std::memcpy(out + args.rotary, x + args.rotary, (args.size - args.rotary) * sizeof(float));
    }
  }
}

void Gate(Activation activation, const float* gate, const float* x, size_t n, float* out) {
  for (size_t i = 0; i < n; i += 16) {
    StoreAt(out, i, n, Activate(activation, LoadAt(gate, i, n)) * LoadAt(x, i, n));
  }
}

void Softmax(const float* x, float scale, float cap, size_t n, float* out) {
  constexpr float kLowest = -__builtin_inff();
  F32x16 highest = Set(kLowest);
  for (size_t i = 0; i < n; i += 16) {
    F32x16 y = LoadAt(x, i, n) * Set(scale);
    if (cap != 0) y = Set(cap) * Tanh(y / Set(cap));
    StoreAt(out, i, n, y);
    highest = Max(highest, LoadAt(out, i, n, kLowest));
  }
  const F32x16 base = Set(MaxLane(highest));
  F32x16 total = Set(0.0f);
  for (size_t i = 0; i < n; i += 16) {
    const F32x16 y = Exp(LoadAt(out, i, n, kLowest) - base);
    StoreAt(out, i, n, y);
    total = total + LoadAt(out, i, n);
  }
  const F32x16 part = Set(1.0f / Sum(total));
  for (size_t i = 0; i < n; i += 16) StoreAt(out, i, n, LoadAt(out, i, n) * part);
}

void Add(const float* a, const float* b, size_t n, float* out) {
  for (size_t i = 0; i < n; i += 16) StoreAt(out, i, n, LoadAt(a, i, n) + LoadAt(b, i, n));
}

void Affine(const float* x, const float* weight, const float* bias, size_t n, float* out) {
  for (size_t i = 0; i < n; i += 16) {
    F32x16 y = LoadAt(x, i, n);
    if (weight != nullptr) y = y * LoadAt(weight, i, n);
    if (bias != nullptr) y = y + LoadAt(bias, i, n);
    StoreAt(out, i, n, y);
  }
}

template <class T>
void WidenRow(const void* row, float scale, size_t n, float* out) {
  const T* x = static_cast<const T*>(row);
  size_t i = 0;
  for (; i + 16 <= n; i += 16) Store(out + i, Load(x + i) * Set(scale));
  for (; i < n; ++i) out[i] = static_cast<float>(x[i]) * scale;
}

void Widen(DType type, const void* row, float scale, size_t n, float* out) {
  switch (type) {
    case DType::kBFloat16:
      return WidenRow<BFloat16>(row, scale, n, out);
    case DType::kFloat16:
      return WidenRow<Float16>(row, scale, n, out);
    default:
      return WidenRow<float>(row, scale, n, out);
  }
}

// The largest of n; minus infinity if there is none.
float Highest(const float* x, size_t n) {
  constexpr float kLowest = -__builtin_inff();
  F32x16 highest = Set(kLowest);
  for (size_t i = 0; i < n; i += 16) highest = Max(LoadAt(x, i, n, kLowest), highest);  // not NaN
  return MaxLane(highest);
}

// Looks for the piece first, then in it.
size_t ArgMax(const float* x, size_t n) {
  constexpr size_t kPiece = 1024;
  size_t best = 0;
  float highest = -__builtin_inff();
  for (size_t i = 0; i < n; i += kPiece) {
    const float h = Highest(x + i, n - i < kPiece ? n - i : kPiece);
    if (h <= highest) continue;
    highest = h;
    best = i;
  }
  for (size_t i = best; i < n; ++i) {
    if (x[i] == highest) return i;
  }
  return 0;
}

// Whether the number at place a goes before the one at place b.
inline bool Before(const float* x, size_t a, size_t b) {
  return x[a] != x[b] ? x[a] > x[b] : a < b;
}

// Moves places[at] down a heap whose top is the last in order.
void Sift(const float* x, size_t* places, size_t count, size_t at) {
  for (size_t child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && Before(x, places[child], places[child + 1])) ++child;
    if (!Before(x, places[at], places[child])) return;
    const size_t place = places[at];
    places[at] = places[child];
    places[child] = place;
  }
}

// A heap of the k best so far, the worst of them on top; vectors without a better one are passed
// by.
size_t TopK(const float* x, size_t n, size_t k, size_t* places) {
  size_t count = 0;
  for (size_t i = 0; i < n && k > 0; i += 16) {
    const size_t some = n - i < 16 ? n - i : 16;
    if (count == k && Highest(x + i, some) <= x[places[0]]) continue;
    for (size_t j = i; j < i + some; ++j) {
      if (x[j] != x[j]) continue;
      if (count < k) {
        places[count++] = j;
        if (count < k) continue;
        for (size_t at = k / 2; at-- > 0;) Sift(x, places, k, at);
      } else if (x[j] > x[places[0]]) {
        places[0] = j;
        Sift(x, places, k, 0);
      }
    }
  }
  if (count < k) {
    for (size_t at = count / 2; at-- > 0;) Sift(x, places, count, at);
  }
  for (size_t left = count; left > 1;) {  // the worst goes to the end
    const size_t worst = places[0];
    places[0] = places[--left];
    places[left] = worst;
    Sift(x, places, left, 0);
  }
  return count;
}

}  // namespace

extern const RowKernels kRows;
const RowKernels kRows = {RmsNorm, LayerNorm, Turn,  Gate,   Softmax,
                          Add,     Affine,    Widen, ArgMax, TopK};

}  // namespace rushlight::kernels::RUSHLIGHT_ISA
