// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Attention and row operations, one thread, as shares of what the machine can do at the same
// moment.
//
//   rows_bench      RUSHLIGHT_ISA caps the instruction set

#include <cstdio>
#include <cstring>
#include <vector>

#include "bench/roofline.h"
#include "rushlight/platform.h"
#include "src/kernels/attention/attention.h"
#include "src/kernels/rows/rows.h"

namespace rushlight::kernels {
namespace {

// Decode reads caches that lie behind one another in memory, as those of a model's layers.
void BenchAttention(Isa isa, std::vector<float>* memory, const Roofline& roof) {
  struct {
    DType type;
    size_t m, context, kv_heads, group, size;
  } constexpr kCases[] = {
      {DType::kFloat32, 1, 1024, 3, 3, 64},   {DType::kBFloat16, 1, 1024, 3, 3, 64},
      {DType::kFloat16, 1, 1024, 3, 3, 64},   {DType::kFloat32, 1, 1024, 8, 4, 64},
      {DType::kBFloat16, 1, 1024, 8, 4, 64},  {DType::kBFloat16, 1, 1024, 8, 2, 128},
      {DType::kFloat32, 1, 1024, 8, 1, 64},   {DType::kFloat32, 512, 512, 3, 3, 64},
      {DType::kBFloat16, 512, 512, 3, 3, 64}, {DType::kFloat32, 128, 1024, 8, 4, 128},
      {DType::kInt8, 1, 1024, 3, 3, 64},      {DType::kInt8, 1, 1024, 8, 4, 64},
      {DType::kInt8, 512, 512, 3, 3, 64},
  };
  for (const auto& c : kCases) {
    KvCache cache = {c.type, nullptr, nullptr, c.kv_heads, c.size, c.size};
    const size_t bytes = c.context * KeyBytes(cache);
    const size_t caches = c.m == 1 ? memory->size() * 4 / (2 * bytes) : 1;
    const size_t width = c.kv_heads * c.group * c.size;
    std::vector<float> q(c.m * width, 0.5f), out(c.m * width), scratch(AttentionScratch(cache));
    const double seconds = Fastest([&] {
      for (size_t i = 0; i < caches; ++i) {
        cache.keys = reinterpret_cast<uint8_t*>(memory->data()) + 2 * i * bytes;
        cache.values = static_cast<uint8_t*>(cache.keys) + bytes;
        AttentionArgs args = {cache,
                              q.data(),
                              width,
                              out.data(),
                              width,
                              c.m,
                              c.kv_heads * c.group,
                              c.context,
                              c.context - c.m,
                              true,
                              0,
                              0.125f,
                              0,
                              nullptr,
                              nullptr,
                              0,
                              0,
                              0,
                              scratch.data()};
        args.end = AttentionItems(args);
        kAttention[isa](args);
      }
    });
    // Of the last m positions the later ones are seen by few rows.
    const double seen = c.m * (c.context - (c.m - 1) * 0.5);
    const double gflops = caches * 4e-9 * seen * width / seconds;
    const double gigabytes = caches * 2e-9 * bytes / seconds;
    std::printf(
        "attention %-8s m %3zu at %4zu  heads %zu x %zu x %3zu  %6.1f GFLOPS %5.1f %%  "
        "%6.1f GB/s %5.1f %%\n",
        DTypeName(c.type), c.m, c.context, c.kv_heads, c.group, c.size, gflops,
        100 * gflops / roof.gflops, gigabytes, 100 * gigabytes / roof.gigabytes);
  }
}

// In the cache, as rows are when they come from a product.
void BenchRows(Isa isa) {
  const RowKernels& k = *kRowKernels[isa];
  constexpr size_t kN = 2048, kTimes = 100;
  std::vector<float> x(kN), y(kN, 0.5f), out(kN);
  for (size_t i = 0; i < kN; ++i) x[i] = static_cast<float>(i % 37) * 0.1f - 1;
  const auto report = [](const char* name, double seconds) {
    std::printf("row %-10s %6.2f ns for 16\n", name, seconds / kTimes / (kN / 16) * 1e9);
  };
#define RUSHLIGHT_ROW(name, call)                    \
  report(name, Fastest([&] {                         \
           for (size_t i = 0; i < kTimes; ++i) call; \
         }))
  RUSHLIGHT_ROW("rms_norm", k.rms_norm(x.data(), y.data(), 1e-5f, kN, out.data()));
  RUSHLIGHT_ROW("silu", k.gate(Activation::kSilu, x.data(), y.data(), kN, out.data()));
  RUSHLIGHT_ROW("gelu", k.gate(Activation::kGelu, x.data(), y.data(), kN, out.data()));
  RUSHLIGHT_ROW("gelu_tanh", k.gate(Activation::kGeluTanh, x.data(), y.data(), kN, out.data()));
  RUSHLIGHT_ROW("softmax", k.softmax(x.data(), 1, 0, kN, out.data()));
  RUSHLIGHT_ROW("argmax", sink = static_cast<float>(k.argmax(x.data(), kN)));
#undef RUSHLIGHT_ROW
}

}  // namespace
}  // namespace rushlight::kernels

int main() {
  using namespace rushlight;
  using namespace rushlight::kernels;
  const Isa isa = ChooseIsa(platform::CpuFeatures(), platform::Setting("RUSHLIGHT_ISA"));
  std::vector<float> memory(size_t{64} << 20, 0.01f);  // 256 MB: more than caches
  const Roofline roof = MeasureRoofline(isa, memory.data(), memory.size());
  std::printf("%s: %.1f GFLOPS in registers, %.1f GB/s read\n", Info(isa).name, roof.gflops,
              roof.gigabytes);
  BenchAttention(isa, &memory, roof);
  BenchRows(isa);
  const Roofline after = MeasureRoofline(isa, memory.data(), memory.size());
  std::printf("after: %.1f GFLOPS, %.1f GB/s\n", after.gflops, after.gigabytes);
  return 0;
}
