// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Products with packed weights, one thread, beside what the machine can do at the same moment:
// reading as many bytes, and multiplying in registers.
//
//   packed_bench [--json] [all | FORMAT ...]      RUSHLIGHT_ISA caps the instruction set
//   packed_bench --peaks                          those of registers alone, as JSON
//
// Formats are those of kFormats; without any, one for each kernel.  Shapes are the products of a
// decoder layer, and the head for one row, of models.
//
// Weights are read in turn from copies that together exceed the caches, as a model's layers are.
// Of a matrix that would take long the first outputs stand for all.

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "bench/roofline.h"
#include "rushlight/platform.h"
#include "src/kernels/packed/matmul.h"
#include "src/kernels/packed/matmul_float.h"

namespace rushlight::kernels {
namespace {

struct Format {
  const char* name;
  PackedFormat packed;
  size_t group;  // 0: the whole row
  bool quick;
  bool two_levels = false;
};

constexpr Format kFormats[] = {
    {"f32", PackedFormat::kF32, 0, true},    {"bf16", PackedFormat::kBF16, 0, true},
    {"f16", PackedFormat::kF16, 0, false},   {"u8", PackedFormat::kU8, 0, true},
    {"u8/32", PackedFormat::kU8, 32, false}, {"u4", PackedFormat::kU4, 0, false},
    {"u4/32", PackedFormat::kU4, 32, true},  {"u4/32/i8", PackedFormat::kU4, 32, true, true},
};

struct Shape {
  const char* model;
  const char* what;
  size_t n, k;
};

// Queries, keys and values are one product, gates and what they gate another.
constexpr Shape kShapes[] = {
    {"SmolLM2-135M", "qkv", 960, 576},         {"SmolLM2-135M", "out", 576, 576},
    {"SmolLM2-135M", "gate, up", 3072, 576},   {"SmolLM2-135M", "down", 576, 1536},
    {"SmolLM2-135M", "head", 49152, 576},      {"Qwen2.5-0.5B", "qkv", 1152, 896},
    {"Qwen2.5-0.5B", "out", 896, 896},         {"Qwen2.5-0.5B", "gate, up", 9728, 896},
    {"Qwen2.5-0.5B", "down", 896, 4864},       {"Qwen2.5-0.5B", "head", 151936, 896},
    {"Llama-3.2-1B", "qkv", 3072, 2048},       {"Llama-3.2-1B", "out", 2048, 2048},
    {"Llama-3.2-1B", "gate, up", 16384, 2048}, {"Llama-3.2-1B", "down", 2048, 8192},
    {"Llama-3.2-1B", "head", 128256, 2048},
};
constexpr size_t kRows[] = {1, 128, 512};

constexpr size_t kPoolBytes = size_t{160} << 20;
constexpr double kMostOperations = 1e9;  // of one product
constexpr size_t kMostOutputs = 32768;   // of a layer's
constexpr double kSeconds = 0.06;        // of a case

struct Result {
  Format format;
  Shape shape;
  size_t m;
  double read, peak;  // 10^9 bytes and operations a second that the machine gave
  double gigabytes, gops;

  double OfMemory() const { return gigabytes / read; }
  double OfPeak() const { return peak > 0 ? gops / peak : 0; }
  // Of the limit that is nearer.
  double Share() const { return std::max(OfMemory(), OfPeak()); }
};

// As a plan's buffers lie.
template <class T>
struct OnLines {
  using value_type = T;
  OnLines() = default;
  template <class U>
  OnLines(const OnLines<U>&) {}  // NOLINT(google-explicit-constructor)
  T* allocate(size_t n) {
    return static_cast<T*>(::operator new (n * sizeof(T), std::align_val_t{kLineBytes}));
  }
  void deallocate(T* p, size_t) { ::operator delete (p, std::align_val_t{kLineBytes}); }
  bool operator==(const OnLines&) const { return true; }
};
template <class T>
using Lines = std::vector<T, OnLines<T>>;

class Bench {
 public:
  explicit Bench(Isa isa) : isa_(isa), limits_(LimitsOf(isa)) {
    // What could be weights: codes are any bytes, floats and scales are small numbers.
    pool_ = static_cast<uint8_t*>(platform::AllocatePages(kPoolBytes));
    std::mt19937 random(1);
    for (size_t i = 0; i < kPoolBytes; i += 4) {
      const uint32_t word = (static_cast<uint32_t>(random()) & 0x007f007fu) | 0x3c003c00u;
      std::memcpy(pool_ + i, &word, sizeof word);
    }
  }
  ~Bench() { platform::FreePages(pool_, kPoolBytes); }

  Result Run(const Format& format, const Shape& shape, size_t m) {
    PackedMatrix w;
    w.format = format.packed;
    w.n = kPanelOutputs;
    w.k = shape.k;
    w.group = format.group == 0 ? shape.k : format.group;
    w.has_minimum = format.two_levels;
    if (format.two_levels) w.scale = ScaleType::kI8;
    const auto affordable =
        static_cast<size_t>(kMostOperations / static_cast<double>(2 * shape.k * m * kPanelOutputs));
    w.n *= std::min({DivideUp(shape.n, kPanelOutputs), kPoolBytes / PackedBytes(w), affordable});
    const size_t bytes = PackedBytes(w), copies = kPoolBytes / bytes;
    const size_t groups = GroupCount(w), stride = shape.k + 16;

    Lines<float> x(m * stride), scales(m * groups), totals(m * groups), out(m * w.n);
    Lines<int8_t> values(m * QuantizedStride(shape.k));
    Lines<int32_t> sums(m * groups);
    std::mt19937 random(2);
    std::normal_distribution<float> normal;
    for (float& v : x) v = normal(random);
    const bool integers = IsInteger(w.format);
    if (integers) {
      kIntegerKernels[isa_].quantize({x.data(), stride, m, shape.k, w.group, format.two_levels,
                                      values.data(), scales.data(), sums.data(), totals.data()});
    }
    const auto multiply = [&] {
      const MatmulOutput to = {out.data(), w.n, w.n, 0, PanelCount(w), {}};
      if (!integers) return kFloatMatmul[isa_]({w, x.data(), stride, m, to});
      const QuantizedRows rows = {values.data(), scales.data(), sums.data(), totals.data()};
      const IntegerKernels& kernels = kIntegerKernels[isa_];
      (w.format == PackedFormat::kU4 ? kernels.matmul_u4 : kernels.matmul_u8)({w, rows, m, to});
    };

    const Chains& chains = !integers                       ? limits_.floats
                           : w.format == PackedFormat::kU4 ? limits_.nibbles
                                                           : limits_.bytes;
    // One row goes through all copies at once; many rows through one after another.
    const size_t turns = std::max<size_t>(1, copies / m);
    size_t copy = 0;
    const auto [time, read_time, peak_time] = FastestByTurns(
        kSeconds,
        [&] {
          for (size_t i = 0; i < turns; ++i) {
            w.panels = pool_ + copy++ % copies * bytes;
            multiply();
          }
        },
        [&] {
          const auto* p =
              reinterpret_cast<const float*>(pool_ + copy % (copies - turns + 1) * bytes);
          sink = limits_.read(p, turns * bytes / sizeof(float));
        },
        [&] {
          if (chains.run != nullptr) chains();
        });
    const double size = static_cast<double>(turns * bytes) * 1e-9;
    const double operations = 2e-9 * static_cast<double>(turns * w.n * shape.k * m);
    const double peak = chains.run == nullptr ? 0 : chains.operations() * 1e-9 / peak_time;
    return {format, shape, m, size / read_time, peak, size / time, operations / time};
  }

 private:
  Isa isa_;
  Limits limits_;
  uint8_t* pool_;
};

void PrintRow(const Result& r) {
  std::printf("%-6s %4zu  %-13s %-9s %6zu x %4zu %8.1f %7.1f %5.0f %% %9.0f %7.0f %5.0f %%\n",
              r.format.name, r.m, r.shape.model, r.shape.what, r.shape.n, r.shape.k, r.gigabytes,
              r.read, 100 * r.OfMemory(), r.gops, r.peak, 100 * r.OfPeak());
}

void PrintJson(const Result& r, bool first) {
  std::printf("%s{\"format\": \"%s\", \"m\": %zu, \"model\": \"%s\", \"what\": \"%s\", ",
              first ? "[" : ",\n ", r.format.name, r.m, r.shape.model, r.shape.what);
  std::printf("\"n\": %zu, \"k\": %zu, \"gigabytes\": %.2f, \"read_gigabytes\": %.2f, ", r.shape.n,
              r.shape.k, r.gigabytes, r.read);
  std::printf("\"gops\": %.2f, \"peak_gops\": %.2f, \"of_memory\": %.4f, \"of_peak\": %.4f}",
              r.gops, r.peak, r.OfMemory(), r.OfPeak());
}

// 10^9 operations a second.
void PrintPeaks(Isa isa) {
  const Limits limits = LimitsOf(isa);
  const auto peak = [](const Chains& chains) {
    return chains.run == nullptr ? 0 : chains.operations() * 1e-9 / Fastest(chains);
  };
  std::printf("{\"isa\": \"%s\", \"f32\": %.2f, \"u8\": %.2f, \"u4\": %.2f}\n", Info(isa).name,
              peak(limits.floats), peak(limits.bytes), peak(limits.nibbles));
}

int Main(int count, char** arguments) {
  const Isa isa = ChooseIsa(platform::CpuFeatures(), platform::Setting("RUSHLIGHT_ISA"));
  if (count == 2 && std::strcmp(arguments[1], "--peaks") == 0) {
    PrintPeaks(isa);
    return 0;
  }
  bool json = false, all = false;
  std::vector<std::string> chosen;
  for (int i = 1; i < count; ++i) {
    const std::string word = arguments[i];
    const auto names = [&](const Format& f) { return word == f.name; };
    if (word == "--json") {
      json = true;
    } else if (word == "all") {
      all = true;
    } else if (std::any_of(std::begin(kFormats), std::end(kFormats), names)) {
      chosen.push_back(word);
    } else {
      std::fprintf(stderr, "usage: packed_bench --peaks | [--json] [all | FORMAT ...], formats:");
      for (const Format& f : kFormats) std::fprintf(stderr, " %s", f.name);
      std::fprintf(stderr, "\n");
      return 1;
    }
  }
  Bench bench(isa);
  if (!json) {
    const Limits limits = LimitsOf(isa);
    std::printf("%s, one thread; peaks of registers: %s", Info(isa).name, limits.floats.name);
    if (limits.bytes.run != nullptr) {
      std::printf("; u8: %s; u4: %s", limits.bytes.name, limits.nibbles.name);
    }
    std::printf("\n%-6s %4s  %-13s %-9s %13s %8s %7s %7s %9s %7s %7s\n", "", "m", "", "", "n x k",
                "GB/s", "read", "", "GOPS", "peak", "");
  }
  size_t printed = 0;
  for (const Format& format : kFormats) {
    const bool named = std::find(chosen.begin(), chosen.end(), format.name) != chosen.end();
    if (!all && !(chosen.empty() ? format.quick : named)) continue;
    for (const size_t m : kRows) {
      std::vector<Result> results;
      for (const Shape& shape : kShapes) {
        if (m > 1 && shape.n > kMostOutputs) continue;  // a prompt needs the head for one row
        results.push_back(bench.Run(format, shape, m));
        json ? PrintJson(results.back(), printed++ == 0) : PrintRow(results.back());
      }
      if (json) continue;
      const auto worst =
          std::min_element(results.begin(), results.end(),
                           [](const Result& a, const Result& b) { return a.Share() < b.Share(); });
      std::printf("worst, %s, m %zu: %.0f %% of %s (%s, %s)\n\n", format.name, m,
                  100 * worst->Share(), worst->OfMemory() > worst->OfPeak() ? "memory" : "peak",
                  worst->shape.model, worst->shape.what);
      std::fflush(stdout);
    }
  }
  if (json) std::puts("]");
  return 0;
}

}  // namespace
}  // namespace rushlight::kernels

int main(int count, char** arguments) { return rushlight::kernels::Main(count, arguments); }
