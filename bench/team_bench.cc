// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// team_bench [rounds]: what the thread team gives, alone and beside busy programs.
//
// "decode" streams 80 MB through 150 loops, "prefill" computes as many loops over data in the
// cache: the shape of a small language model's steps.  One and two threads take turns, so that what
// else happens on the machine hits both; of the rounds' ratios the median is printed, with the
// quartiles.

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "rushlight/platform.h"
#include "rushlight/thread_team.h"

namespace rushlight {
namespace {

constexpr size_t kLoops = 150;
constexpr size_t kPanel = size_t{4} << 10;  // floats
constexpr size_t kPanels = 32;              // of a loop: 0.5 MB

std::vector<float> weights(kLoops* kPanels* kPanel, 0.5f);
std::vector<float> results(kLoops* kPanels);

float Dot(const float* x, const float* w, size_t n) {
  float sums[32] = {};
  for (size_t i = 0; i < n; i += 32) {
    for (size_t j = 0; j < 32; ++j) sums[j] += x[i + j] * w[i + j];
  }
  float sum = 0;
  for (const float s : sums) sum += s;
  return sum;
}

void Decode(Context& context) {
  for (size_t loop = 0; loop < kLoops; ++loop) {
    const float* const w = weights.data() + loop * kPanels * kPanel;
    (void)context.ParallelFor(kPanels, 1, [&](size_t begin, size_t end) {
      for (size_t p = begin; p < end; ++p) {
        results[p] = Dot(weights.data(), w + p * kPanel, kPanel);
      }
    });
  }
}

// The same bytes in one loop: what the memory gives two threads that never meet.
void Stream(Context& context) {
  (void)context.ParallelFor(kLoops * kPanels, 64, [&](size_t begin, size_t end) {
    for (size_t p = begin; p < end; ++p) {
      results[p] = Dot(weights.data(), weights.data() + p * kPanel, kPanel);
    }
  });
}

void Prefill(Context& context) {
  for (size_t loop = 0; loop < kLoops; ++loop) {
    (void)context.ParallelFor(kPanels, 1, [&](size_t begin, size_t end) {
      for (size_t p = begin; p < end; ++p) {
        for (int again = 0; again < 64; ++again) {
          results[p] += Dot(weights.data(), weights.data() + p % 2 * kPanel, kPanel / 4);
        }
      }
    });
  }
}

int64_t Time(size_t threads, const std::function<void(Context&)>& work) {
  ThreadTeam::Lease lease(ThreadTeam::Default(), threads);
  Context context;
  context.parallel = &ThreadTeam::Lease::ParallelFor;
  context.team = &lease;
  context.threads = threads;
  const int64_t begin = platform::MonotonicNanos();
  work(context);
  return platform::MonotonicNanos() - begin;
}

void Pin(std::thread& thread, size_t cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(thread.native_handle(), sizeof set, &set);
}

// Another program, pinned to the last CPU.
class Neighbour {
 public:
  explicit Neighbour(const std::function<void(const std::atomic<bool>&)>& work)
      : thread_([this, work] { work(stop_); }) {
    Pin(thread_, platform::TotalCpus() - 1);
  }
  ~Neighbour() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

void Busy(const std::atomic<bool>& stop) {
  while (!stop.load(std::memory_order_relaxed)) {
  }
}

void Streaming(const std::atomic<bool>& stop) {
  std::vector<float> own(size_t{16} << 20, 1.0f);
  volatile float sink = 0;
  while (!stop.load(std::memory_order_relaxed)) {
    for (size_t i = 0; i < own.size(); i += kPanel) sink = sink + Dot(&own[0], &own[i], kPanel);
  }
}

double Quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1))];
}

void Compare(const char* name, const char* beside, size_t rounds,
             const std::function<void(Context&)>& work) {
  std::vector<double> one, two, ratio;
  for (size_t round = 0; round < rounds; ++round) {
    one.push_back(static_cast<double>(Time(1, work)) / 1e6);
    two.push_back(static_cast<double>(Time(2, work)) / 1e6);
    ratio.push_back(one.back() / two.back());
  }
  double sum_one = 0, sum_two = 0;
  for (const double t : one) sum_one += t;
  for (const double t : two) sum_two += t;
  std::printf(
      "%-8s %-17s 1 thread %7.2f ms  2 threads %7.2f ms  ratio %.2f (%.2f to %.2f), of sums %.2f\n",
      name, beside, Quantile(one, 0.5), Quantile(two, 0.5), Quantile(ratio, 0.5),
      Quantile(ratio, 0.25), Quantile(ratio, 0.75), sum_one / sum_two);
}

// Of loops whose two pieces are empty: as they come, where the caller may take both; and with the
// caller waiting for the other thread to take its own.
void RoundTrips() {
  constexpr size_t kTimes = 20'000;
  std::vector<double> free_running, forced;
  for (int round = 0; round < 15; ++round) {
    const auto run = [&](bool wait) {
      return static_cast<double>(
                 Time(2,
                      [&](Context& context) {
                        std::atomic<size_t> came{0};
                        for (size_t i = 0; i < kTimes; ++i) {
                          (void)context.ParallelFor(2, 1, [&](size_t thread, size_t begin, size_t) {
                            if (begin == 1) came.store(i + 1, std::memory_order_relaxed);
                            if (!wait || thread != 0) return;
                            // Not for ever: the other thread may be put aside.
                            for (int n = 0; n < 10'000 && came.load(std::memory_order_relaxed) <= i;
                                 ++n) {
                            }
                          });
                        }
                      })) /
             kTimes;
    };
    free_running.push_back(run(false));
    forced.push_back(run(true));
  }
  std::printf(
      "loop of two empty pieces: %.0f ns; with both threads taking one: %.0f ns (best %.0f)\n",
      Quantile(free_running, 0.5), Quantile(forced, 0.5), Quantile(forced, 0));
}

int Main(size_t rounds) {
  double load = 0;
  (void)getloadavg(&load, 1);
  std::printf("%zu of %zu CPUs, load average %.1f before the start\n", platform::UsableCpus(),
              platform::TotalCpus(), load);
  (void)Time(2, Decode);
  RoundTrips();
  const auto compare = [&](const char* beside) {
    Compare("stream", beside, rounds, Stream);
    Compare("decode", beside, rounds, Decode);
    Compare("prefill", beside, rounds, Prefill);
  };
  compare("alone");
  {
    const Neighbour neighbour(Busy);
    compare("beside busy loop");
  }
  {
    const Neighbour neighbour(Streaming);
    compare("beside streaming");
  }
  return 0;
}

}  // namespace
}  // namespace rushlight

int main(int argc, char** argv) {
  const long rounds = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 100;
  return rushlight::Main(rounds > 0 ? static_cast<size_t>(rounds) : 1);
}
