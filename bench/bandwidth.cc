// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// What memory gives threads that only read: the limit of decoding.
//
//   bandwidth MEGABYTES THREADS      prints 10^9 bytes a second

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "bench/roofline.h"
#include "rushlight/platform.h"

namespace rushlight::kernels {
namespace {

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// All threads read their shares once, at the same time.
double Pass(const Limits& limits, const float* p, size_t n, size_t threads) {
  std::atomic<size_t> waiting{threads};
  std::vector<double> begins(threads), ends(threads);
  std::vector<float> sums(threads);
  const auto read = [&](size_t t) {
    waiting.fetch_sub(1);
    while (waiting.load() > 0) std::this_thread::yield();
    begins[t] = Seconds();
    sums[t] = limits.read(p + n / threads * t, n / threads);
    ends[t] = Seconds();
  };
  std::vector<std::thread> others;
  for (size_t t = 1; t < threads; ++t) others.emplace_back(read, t);
  read(0);
  for (std::thread& other : others) other.join();
  for (const float sum : sums) sink = sum;
  return *std::max_element(ends.begin(), ends.end()) -
         *std::min_element(begins.begin(), begins.end());
}

int Main(size_t megabytes, size_t threads) {
  if (megabytes == 0 || megabytes > 65536 || threads == 0 || threads > 1024) {
    std::fprintf(stderr, "usage: bandwidth MEGABYTES THREADS\n");
    return 1;
  }
  const Limits limits =
      LimitsOf(ChooseIsa(platform::CpuFeatures(), platform::Setting("RUSHLIGHT_ISA")));
  const size_t size = megabytes * 1000000 / 4096 * 4096;
  void* pages = platform::AllocatePages(size);
  if (pages == nullptr) {
    std::fprintf(stderr, "no memory\n");
    return 1;
  }
  std::memset(pages, 0, size);
  double fastest = 1e9;
  const double begin = Seconds();
  for (int i = 0; i < 5 || Seconds() - begin < 0.5; ++i) {
    fastest = std::min(fastest, Pass(limits, static_cast<const float*>(pages), size / 4, threads));
  }
  std::printf("%.2f\n", static_cast<double>(size) / fastest / 1e9);
  platform::FreePages(pages, size);
  return 0;
}

}  // namespace
}  // namespace rushlight::kernels

int main(int count, char** arguments) {
  if (count != 3) return rushlight::kernels::Main(0, 0);
  return rushlight::kernels::Main(std::strtoull(arguments[1], nullptr, 10),
                                  std::strtoull(arguments[2], nullptr, 10));
}
