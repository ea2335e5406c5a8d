// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// hostile: runs a campaign of damaged files, in worker processes, and counts how they end.
//
//   cmake --preset asan && cmake --build build/asan --target hostile
//   build/asan/tests/hostile/hostile --mutants 200000 --jobs 2
//
// is the run behind "no input crashes it", for `make claims`.  One finding again, under a debugger:
//
//   build/asan/tests/hostile/hostile --jobs 0 --first NUMBER --count 1
//
// and --write-seeds FOLDER writes the seeds (for mutate.py, for other programs).  Exit code: 0
// where every file ended in an Error or a normal run; leaks are findings too, where the build has a
// sanitizer that looks for them.

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "rushlight/describe.h"
#include "tests/hostile/campaign.h"

namespace rushlight::hostile {
namespace {

constexpr size_t kCodes = static_cast<size_t>(ErrorCode::kTemplateInvalid) + 1;

// What a worker tells its parent: in memory that they share.
struct Progress {
  std::atomic<uint64_t> next;  // not finished yet
  uint64_t ends[kCodes];       // by how they ended
};

struct Options {
  uint32_t seed = 7;
  uint64_t mutants = 200000;
  uint64_t first = 0;
  uint64_t count = UINT64_MAX;
  uint64_t jobs = 2;  // 0: in this process
  std::string write_seeds;
};

void Work(const Campaign& campaign, const Trial& trial, uint64_t end, uint64_t step,
          Progress* progress) {
  for (uint64_t i = progress->next; i < end; i += step) {
    progress->next = i;
    const Error error = trial.Run(campaign.Make(i));
    ++progress->ends[static_cast<size_t>(error.code())];
  }
  progress->next = UINT64_MAX;
}

pid_t Start(const Campaign& campaign, const Trial& trial, uint64_t end, uint64_t step,
            Progress* progress) {
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid != 0) return pid;
  Work(campaign, trial, end, step, progress);
  std::exit(0);  // with the search for leaks
}

// Runs everything.  Returns the number of findings.
uint64_t RunAll(const Campaign& campaign, const Options& options, Progress* progress) {
  const uint64_t end =
      options.first +
      std::min(options.count, campaign.size() - std::min(campaign.size(), options.first));
  const uint64_t jobs = std::max<uint64_t>(options.jobs, 1);
  std::vector<std::unique_ptr<Trial>> trials;
  std::vector<pid_t> workers;
  for (uint64_t j = 0; j < jobs; ++j) {
    trials.push_back(std::make_unique<Trial>("hostile" + std::to_string(j)));
    progress[j].next = options.first + j;
    if (options.jobs == 0) {
      Work(campaign, *trials[j], end, 1, progress);
      return 0;
    }
    workers.push_back(Start(campaign, *trials[j], end, jobs, &progress[j]));
  }
  uint64_t findings = 0;
  for (uint64_t running = jobs; running > 0;) {
    int status = 0;
    const pid_t pid = wait(&status);
    if (pid < 0) break;
    const auto j =
        static_cast<size_t>(std::find(workers.begin(), workers.end(), pid) - workers.begin());
    if (j == workers.size()) continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
      --running;
      continue;
    }
    ++findings;
    if (progress[j].next == UINT64_MAX) {
      std::printf("finding: at the end of worker %zu\n", j);  // a leak
      --running;
      continue;
    }
    std::printf("finding: number %llu\n", static_cast<unsigned long long>(progress[j].next));
    progress[j].next += jobs;
    workers[j] = Start(campaign, *trials[j], end, jobs, &progress[j]);
  }
  return findings;
}

bool WriteSeeds(const std::string& folder) {
  const auto write = [&](const std::string& name, const File& bytes) {
    std::ofstream file(folder + "/" + name, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    return file.good();
  };
  for (const Seed& s : MakeSeeds()) {
    if (!write(s.name + ".pte", s.program)) return false;
    if (!s.data.empty() && !write(s.name + ".ptd", s.data)) return false;
  }
  return true;
}

int Main(const Options& options) {
  if (!options.write_seeds.empty()) return WriteSeeds(options.write_seeds) ? 0 : 1;
  const size_t jobs = std::max<size_t>(options.jobs, 1);
  void* const shared = mmap(nullptr, jobs * sizeof(Progress), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 2;
  auto* const progress = static_cast<Progress*>(shared);
  for (size_t j = 0; j < jobs; ++j) new (&progress[j]) Progress{};

  const auto begin = std::chrono::steady_clock::now();
  const Campaign campaign(options.seed, options.mutants);
  std::printf("%llu truncations, %zu published mutants, %llu mutants of metadata\n",
              static_cast<unsigned long long>(campaign.truncations()), Campaign::kPublished,
              static_cast<unsigned long long>(options.mutants));
  const uint64_t findings = RunAll(campaign, options, progress);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;

  uint64_t total = 0;
  for (size_t code = 0; code < kCodes; ++code) {
    uint64_t count = 0;
    for (size_t j = 0; j < jobs; ++j) count += progress[j].ends[code];
    total += count;
    if (count == 0) continue;
    std::printf("%9llu %s\n", static_cast<unsigned long long>(count),
                code == 0 ? "ran" : CodeName(static_cast<ErrorCode>(code)));
  }
  std::printf("%llu files in %.0f s, %llu findings\n", static_cast<unsigned long long>(total),
              seconds.count(), static_cast<unsigned long long>(findings));
  return findings == 0 ? 0 : 1;
}

}  // namespace
}  // namespace rushlight::hostile

int main(int argc, char** argv) {
  rushlight::hostile::Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    const char* const value = i + 1 < argc ? argv[i + 1] : "";
    const uint64_t number = std::strtoull(value, nullptr, 10);
    if (name == "--seed") {
      options.seed = static_cast<uint32_t>(number);
    } else if (name == "--mutants") {
      options.mutants = number;
    } else if (name == "--first") {
      options.first = number;
    } else if (name == "--count") {
      options.count = number;
    } else if (name == "--jobs") {
      options.jobs = number;
    } else if (name == "--write-seeds") {
      options.write_seeds = value;
    } else {
      std::fprintf(stderr,
                   "usage: hostile [--mutants N] [--seed S] [--jobs N] [--first I] [--count N] "
                   "[--write-seeds FOLDER]\n");
      return 2;
    }
  }
  return rushlight::hostile::Main(options);
}
