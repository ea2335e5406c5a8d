// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Products with packed weights, one thread, beside what the machine can do at the same moment:
// reading a buffer of the same size, and multiplying in registers.
//
//   packed_bench [u4|u8] [group, 0 for the whole row]      RUSHLIGHT_ISA caps the instruction set
//
// Weights are read in turn from copies that together exceed the caches, as a model's layers are.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "bench/roofline.h"
#include "rushlight/platform.h"
#include "src/kernels/packed/matmul.h"

namespace rushlight::kernels {
namespace {

#if defined(__x86_64__)
RUSHLIGHT_TARGET("avx2,avx512f,avx512bw,avx512vnni")
float Multiply512(size_t times) {
  __m512i sum[16];
  RUSHLIGHT_UNROLL
  for (int j = 0; j < 16; ++j) sum[j] = _mm512_set1_epi32(j);
  const __m512i a = _mm512_set1_epi8(3);
  for (size_t i = 0; i < times; ++i) {
    RUSHLIGHT_UNROLL
    for (int j = 0; j < 16; ++j) {
      sum[j] = _mm512_dpbusd_epi32(sum[j], a, a);
      __asm__("" : "+v"(sum[j]));
    }
  }
  __m512i all = sum[0];
  RUSHLIGHT_UNROLL
  for (int j = 1; j < 16; ++j) all = _mm512_add_epi32(all, sum[j]);
  return static_cast<float>(_mm_cvtsi128_si32(_mm512_castsi512_si128(all)));
}
RUSHLIGHT_TARGET_END
#endif

float Read(Isa isa, const uint8_t* bytes, size_t size) {
  const auto* p = reinterpret_cast<const float*>(bytes);
  const size_t n = size / sizeof(float);
#if defined(__x86_64__)
  if (isa >= Isa::kAvx512) return avx512::ReadAll(p, n);
  if (isa >= Isa::kAvx2) return avx2::ReadAll(p, n);
#elif defined(__aarch64__)
  if (isa >= Isa::kNeon) return neon::ReadAll(p, n);
#endif
  (void)isa;
  return scalar::ReadAll(p, n);
}

// 10^9 operations a second that registers allow; 0 where there is no loop for it.
double PeakGops() {
#if defined(__x86_64__)
  if (CanRun(Isa::kAvx512Vnni, platform::CpuFeatures())) {
    constexpr size_t kTimes = 100000;
    return kTimes * 16 * 128 / Fastest([] { sink = Multiply512(kTimes); }) / 1e9;
  }
#endif
  return 0;
}

struct Shape {
  size_t n, k;
};

struct Result {
  Shape shape;
  size_t m;
  double gigabytes, read, gops, share;  // share: of the roofline that is nearer

  bool operator<(const Result& other) const { return share > other.share; }
};

class Bench {
 public:
  Bench(PackedFormat format, size_t group, Isa isa)
      : format_(format), group_(group), isa_(isa), peak_(PeakGops()) {
    // 160 MB of what could be weights: codes are any bytes, scales become small numbers.
    size_ = size_t{160} << 20;
    pool_ = static_cast<uint8_t*>(platform::AllocatePages(size_));
    std::mt19937 random(1);
    for (size_t i = 0; i < size_; i += 4) {
      const uint32_t word = (static_cast<uint32_t>(random()) & 0x007f007fu) | 0x3c003c00u;
      std::memcpy(pool_ + i, &word, sizeof word);
    }
  }
  ~Bench() { platform::FreePages(pool_, size_); }

  double Peak() const { return peak_; }

  Result Run(Shape shape, size_t m) {
    PackedMatrix w;
    w.format = format_;
    w.n = shape.n;
    w.k = shape.k;
    w.group = group_ == 0 ? shape.k : group_;
    const size_t bytes = PackedBytes(w);
    const size_t copies = std::max<size_t>(1, size_ / bytes);
    const size_t groups = GroupCount(w);
    std::vector<float> x(m * shape.k), scales(m * groups), out(m * shape.n);
    std::vector<int8_t> values(m * QuantizedStride(shape.k));
    std::vector<int32_t> sums(m * groups);
    std::mt19937 random(2);
    std::normal_distribution<float> normal;
    for (float& v : x) v = normal(random);
    const IntegerKernels& kernels = kIntegerKernels[isa_];
    kernels.quantize(
        {x.data(), shape.k, m, shape.k, w.group, false, values.data(), scales.data(), sums.data()});
    const auto matmul = format_ == PackedFormat::kU4 ? kernels.matmul_u4 : kernels.matmul_u8;
    IntegerMatmulArgs args;
    args.rows = {values.data(), scales.data(), sums.data()};
    args.m = m;
    args.out = {out.data(), shape.n, shape.n, 0, PanelCount(w), {}};
    const size_t turns = std::max<size_t>(1, copies / m);
    size_t copy = 0;
    const double time = Fastest([&] {
      for (size_t i = 0; i < turns; ++i) {
        w.panels = pool_ + copy++ % copies * bytes;
        args.weight = w;
        matmul(args);
      }
    });
    const double read_time = Fastest([&] {
      if (++copy > copies - turns) copy = 0;
      sink = Read(isa_, pool_ + copy * bytes, turns * bytes);
    });
    Result r{shape, m, 0, 0, 0, 0};
    const double operations = 2.0 * static_cast<double>(shape.n * shape.k * m * turns);
    r.gigabytes = static_cast<double>(turns * bytes) / time / 1e9;
    r.read = static_cast<double>(turns * bytes) / read_time / 1e9;
    r.gops = operations / time / 1e9;
    const double limit = std::max(read_time, peak_ > 0 ? operations / (peak_ * 1e9) : 0);
    r.share = limit / time;
    return r;
  }

 private:
  PackedFormat format_;
  size_t group_;
  Isa isa_;
  double peak_;
  uint8_t* pool_;
  size_t size_;
};

int Main(int count, char** arguments) {
  const PackedFormat format =
      count > 1 && std::strcmp(arguments[1], "u8") == 0 ? PackedFormat::kU8 : PackedFormat::kU4;
  const size_t group = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 32;
  if (group % kGroupUnit != 0 || group > 576) {
    std::fprintf(stderr, "usage: packed_bench [u4|u8] [group]\n");
    return 1;
  }
  const Isa isa = ChooseIsa(platform::CpuFeatures(), platform::Setting("RUSHLIGHT_ISA"));
  Bench bench(format, group, isa);
  std::printf("%s, groups of %zu (0: whole row), %s, one thread; int8 peak %.0f GOPS\n",
              format == PackedFormat::kU4 ? "u4" : "u8", group, Info(isa).name, bench.Peak());
  std::printf("%16s %5s %10s %12s %8s %10s\n", "n x k", "m", "GB/s", "read GB/s", "GOPS",
              "of limit");
  constexpr Shape kShapes[] = {{960, 576}, {576, 576}, {3072, 576}, {576, 1536}, {49152, 576}};
  std::vector<Result> results;
  for (const Shape shape : kShapes) {
    for (const size_t m : {1, 8, 128, 512}) {
      if (m > 8 && shape.n > 4096) continue;  // prefill needs the head for one row
      results.push_back(bench.Run(shape, m));
    }
  }
  std::sort(results.begin(), results.end());
  for (const Result& r : results) {
    std::printf("%9zu x %4zu %5zu %10.1f %12.1f %8.0f %9.0f%%\n", r.shape.n, r.shape.k, r.m,
                r.gigabytes, r.read, r.gops, 100 * r.share);
  }
  return 0;
}

}  // namespace
}  // namespace rushlight::kernels

int main(int count, char** arguments) { return rushlight::kernels::Main(count, arguments); }
