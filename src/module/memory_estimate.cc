// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/memory_estimate.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <map>
#include <random>
#include <vector>

#include "src/core/no_throw.h"

namespace rushlight {
namespace {

constexpr uint64_t kPage = 4096;
// A fault on a mapped file brings its neighbours along where they are in the page cache: at least
// these.
constexpr uint64_t kFaultAround = 64 * 1024;
// Rows of all lookups beyond which a table counts as read.
constexpr double kMostTrials = 1 << 16;
// Pages of this program's own code that only a run touches.
constexpr uint64_t kCodeToCome = 768 * 1024;
// Of a thread of the team: its stack, as far as it is touched, and what the system keeps beside it.
constexpr uint64_t kThread = 64 * 1024;

uint64_t StatusBytes(const char* field) {
  std::FILE* file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) return 0;
  char line[256];
  unsigned long long kilobytes = 0;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    if (std::strncmp(line, field, std::strlen(field)) == 0) {
      std::sscanf(line + std::strlen(field), ": %llu", &kilobytes);
    }
  }
  std::fclose(file);
  return kilobytes * 1024;
}

// A set of byte ranges.
class Ranges {
 public:
  void Add(uint64_t begin, uint64_t end) {
    if (begin < end) ranges_.emplace_back(begin / kPage, (end + kPage - 1) / kPage);
  }
  // Bytes of the pages that any range touches.
  uint64_t Bytes() {
    std::sort(ranges_.begin(), ranges_.end());
    uint64_t pages = 0;
    uint64_t last = 0;
    for (const auto& [begin, end] : ranges_) {
      if (end > last) pages += end - std::max(begin, last);
      last = std::max(last, end);
    }
    return pages * kPage;
  }

 private:
  std::vector<std::pair<uint64_t, uint64_t>> ranges_;
};

// How many bytes of a table become resident by looking up this many rows, wherever they are.
// Systems differ in how much they map around a row that is touched, from 64 kB to 2 MB where they
// happen to keep the file in huge pages, so it is tried: with as many bytes in other places.
uint64_t TouchedByLookup(Span<const uint8_t> table, double rows, double* trials) {
  const double windows = std::ceil(static_cast<double>(table.size()) / kFaultAround);
  if (windows <= 1 || rows > *trials) return table.size();
  *trials -= rows;
  const double touched = windows * (1 - std::pow(1 - 1 / windows, rows));
  const auto expected = static_cast<uint64_t>(std::ceil(touched)) * kFaultAround;
  const uint64_t before = StatusBytes("RssFile");
  std::minstd_rand random;
  std::uniform_int_distribution<size_t> place(0, table.size() - 1);
  for (double row = 0; row < rows; ++row) {
    [[maybe_unused]] const volatile uint8_t byte = table[place(random)];
  }
  const uint64_t after = StatusBytes("RssFile");
  const uint64_t grown = after > before ? after - before : 0;
  return std::min<uint64_t>(table.size(), std::max(expected, grown));
}

// Weights, as far as instructions and delegates read them.
uint64_t TouchedWeights(const Program& program, const MethodMeta& meta, const Method& method,
                        double shapes) {
  struct Use {
    bool whole = false;
    double rows = 0;
  };
  std::map<size_t, Use> uses;
  char buffer[MethodMeta::kMaxOperatorName + 1];
  Span<const uint8_t> bytes;
  const size_t num_instructions = meta.num_instructions();
  for (size_t i = 0; i < num_instructions; ++i) {
    const Span<const int32_t> operands = meta.instruction_operands(i);
    const bool lookup =
        operands.size() > 1 && meta.instruction_name(i, buffer) == "aten::embedding.out";
    for (size_t k = 0; k < operands.size(); ++k) {
      const auto v = static_cast<size_t>(operands[k]);
      if (!meta.constant_value(v, &bytes)) continue;
      if (!lookup || k != 0) {
        uses[v].whole = true;
        continue;
      }
      const Result<TensorInfo> indices = meta.value_tensor(static_cast<size_t>(operands[1]));
      if (!indices.ok()) continue;
      double rows = 1;
      for (const int32_t size : indices->sizes) rows *= size;
      uses[v].rows += indices->dynamic ? std::ceil(rows * shapes) : rows;
    }
  }
  for (size_t i = 0; i < meta.num_outputs(); ++i) {
    if (meta.constant_value(meta.output_value(i), &bytes)) uses[meta.output_value(i)].whole = true;
  }
  Ranges whole;
  uint64_t lookups = 0;
  double trials = kMostTrials;
  for (size_t i = 0; i < method.num_delegates(); ++i) {
    for (const PlanWeights& w : method.delegate_info(i).weights) {
      const double rows = std::ceil(static_cast<double>(w.lookups) * shapes);
      const auto begin = reinterpret_cast<uintptr_t>(w.bytes.data()) -
                         reinterpret_cast<uintptr_t>(program.file().data());
      if (w.lookups == 0) {
        whole.Add(begin, begin + w.bytes.size());
      } else {
        lookups += TouchedByLookup(w.bytes, rows, &trials);
      }
    }
  }
  for (const auto& [v, use] : uses) {
    meta.constant_value(v, &bytes);
    const auto begin = static_cast<uint64_t>(bytes.data() - program.file().data());
    if (use.whole) {
      whole.Add(begin, begin + bytes.size());
    } else {
      lookups += TouchedByLookup(bytes, use.rows, &trials);
    }
  }
  return whole.Bytes() + lookups;
}

// Of a tensor in planned memory or in the caller's.
uint64_t TouchedBytes(const TensorInfo& info, const EstimateOptions& options) {
  const double share = !info.name.empty() ? options.state : info.dynamic ? options.shapes : 1.0;
  return static_cast<uint64_t>(std::ceil(static_cast<double>(info.nbytes) * share));
}

// Activations and state.  What lies inside of state without a name of its own is state under
// another value, such as the result of writing to a cache in place.
void EstimatePlanned(const MethodMeta& meta, const EstimateOptions& options,
                     MemoryEstimate* estimate) {
  struct Memory {
    Ranges activations, state;
    std::map<uint64_t, uint64_t> named;  // the whole of state: begin to end
  };
  std::map<uint32_t, Memory> memories;
  PlannedTensor planned;
  for (size_t v = 0; v < meta.num_values(); ++v) {
    if (!meta.planned_value(v, &planned) || planned.info.name.empty()) continue;
    Memory& memory = memories[planned.memory_id];
    memory.state.Add(planned.offset, planned.offset + TouchedBytes(planned.info, options));
    uint64_t& end = memory.named[planned.offset];
    end = std::max(end, planned.offset + planned.info.nbytes);
  }
  for (size_t v = 0; v < meta.num_values(); ++v) {
    if (!meta.planned_value(v, &planned) || !planned.info.name.empty()) continue;
    Memory& memory = memories[planned.memory_id];
    const auto behind = memory.named.upper_bound(planned.offset);
    const bool inside = behind != memory.named.begin() &&
                        planned.offset + planned.info.nbytes <= std::prev(behind)->second;
    if (inside) continue;
    memory.activations.Add(planned.offset, planned.offset + TouchedBytes(planned.info, options));
  }
  for (auto& [id, memory] : memories) {
    estimate->activations += memory.activations.Bytes();
    estimate->state += memory.state.Bytes();
  }
}

}  // namespace

uint64_t ResidentBytes() { return StatusBytes("VmRSS"); }
uint64_t PeakResidentBytes() { return StatusBytes("VmHWM"); }

namespace {

Result<MemoryEstimate> Estimate(const Module& module, std::string_view method,
                                const EstimateOptions& options) {
  const Program& program = module.program();
  RL_ASSIGN_OR_RETURN(const MethodMeta meta, MethodMeta::Get(program, method));
  MemoryEstimate estimate;
  const size_t threads = options.threads == 0 ? module.options().threads : options.threads;
  estimate.process = ResidentBytes() + kCodeToCome + (threads - 1) * kThread;
  // Loading without memory tells what operators and delegates need beside the plan.
  MethodOptions load;
  load.ops = module.options().ops;
  load.delegates = module.options().delegates;
  load.threads = threads;
  load.external = module.external_data();
  std::vector<uint64_t> memory(meta.arena_bytes() / 8 + 3);
  for (;;) {
    Arena arena(memory.data(), memory.size() * 8);
    const Result<Method> loaded = Method::Load(program, method, load, arena);
    if (loaded.ok()) {
      estimate.tables = arena.high_water();
      estimate.scratch = loaded->scratch_bytes();
      estimate.weights = TouchedWeights(program, meta, *loaded, options.shapes);
      for (size_t i = 0; i < loaded->num_states(); ++i) {
        const StateSpec& spec = loaded->state(i);
        const double filled = std::ceil(static_cast<double>(spec.max_positions) * options.state);
        uint64_t bytes = 0;
        RL_CHECK(spec.BytesFor(static_cast<uint64_t>(filled), &bytes), Reason::kStateArena,
                 static_cast<uint32_t>(i));
        estimate.state += bytes;
      }
      break;
    }
    const bool too_small = loaded.error().reason == Reason::kMethodArena;
    if (!too_small || meta.num_delegates() == 0) return loaded.error();
    const size_t words = memory.size() * 2 + 512;
    RL_CHECK(words * 8 <= module.options().memory_limit, Reason::kMemoryBudget, Error::kNone,
             static_cast<int64_t>(words * 8), static_cast<int64_t>(module.options().memory_limit));
    memory.resize(words);
  }
  EstimatePlanned(meta, options, &estimate);
  for (size_t i = 0; i < meta.num_inputs(); ++i) {
    const Result<TensorInfo> info = meta.input_tensor(i);
    if (info.ok()) estimate.inputs += TouchedBytes(*info, options);
  }
  for (size_t i = 0; i < meta.num_outputs(); ++i) {
    const Result<TensorInfo> info = meta.output_tensor(i);
    if (info.ok() && !info->planned) estimate.outputs += TouchedBytes(*info, options);
  }
  return estimate;
}

}  // namespace

Result<MemoryEstimate> EstimateMemory(const Module& module, std::string_view method,
                                      const EstimateOptions& options) {
  return NoThrow([&] { return Estimate(module, method, options); });
}

}  // namespace rushlight
